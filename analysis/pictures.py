"""Explanations of pictures: one PNG a face, and the numbers as JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.figures import panel, save
from analysis.left_out import LEFT_OUT
from analysis.question import OWN_PREDICTION, Question, ask
from fer.aim import make_aim
from fer.errors import ConfigError
from fer.faces import DEFAULT_DETECTOR, Search
from fer.files import check_folder, make_folder, write_whole
from fer.predict import Model, Predictor
from fer.types import Heatmap, Prediction


def explain_pictures(
    model: Model,
    images: Sequence[Path],
    out: Path,
    questions: Sequence[Question] = (OWN_PREDICTION,),
    detector: str | Search = DEFAULT_DETECTOR,
) -> tuple[list[Path], list[str]]:
    """Explain every face of some pictures, each with all questions in one picture.

    A map is left out where a face's answer makes target and contrast one class.

    Returns:
        The files written (pictures, then explanations.json), and notes for the user.

    Raises:
        ImageError: a picture cannot be read; nothing is written then.
        ConfigError: a question does not fit the model, or no map is left.
        OutputError: the folder is not writable.
    """
    check_folder(out)
    predictor = Predictor(model, detector)
    found = [(path, predictor.predict(path)) for path in images]
    notes = [note for path, predictions in found if (note := predictor.note(path, predictions))]
    answers = [[_ask(model, predictions, question) for question in questions] for _, predictions in found]
    notes += _note_left_out([heatmap for maps in answers for heatmaps in maps for heatmap in heatmaps])
    written, records = [], []
    make_folder(out)
    for name, (path, predictions), maps in zip(_names(images), found, answers, strict=True):
        for number, prediction in enumerate(predictions, 1):
            pairs = zip([heatmaps[number - 1] for heatmaps in maps], questions, strict=True)
            own = [(heatmap, q.layers) for heatmap, q in pairs if heatmap]
            if not own:
                continue
            picture = out / f"{name}-face{number}.png"
            captions = [panel.caption(*each) for each in own]
            save(panel.figure(prediction, [heatmap for heatmap, _ in own], captions), picture)
            written.append(picture)
            place = {"path": str(path), "face": number, "picture": picture.name}
            records += [place | record(prediction, *each) for each in own]
    written.append(write_records(out, model, records))
    return written, notes


def _ask(model: Model, predictions: Sequence[Prediction], question: Question) -> list[Heatmap | None]:
    """A map a face, None where there is nothing to set apart."""
    q, classes = question, model.card.classes
    aim = make_aim(classes, len(predictions), q.target, q.against)
    # the predictions are known: no method needs to ask for them again
    scores = np.stack([prediction.logits for prediction in predictions])
    rows = np.flatnonzero(~aim.against_itself(scores)).tolist()
    if not rows:
        return [None] * len(predictions)
    target, against = ([classes[which[row]] for row in rows] for which in (aim.classes(scores), aim.contrasts(scores)))
    asked = replace(q, target=target, against=against if q.against else None)
    found = dict(zip(rows, ask(model, [predictions[row].face for row in rows], asked), strict=True))
    return [found.get(row) for row in range(len(predictions))]


def _note_left_out(maps: Sequence[Heatmap | None]) -> list[str]:
    count = sum(heatmap is None for heatmap in maps)
    if count == len(maps):
        raise ConfigError("every face is answered as the class that it would be set against; name two different classes")
    return [f"{count} maps left out, whose class would be set against itself"] if count else []


def record(prediction: Prediction, heatmap: Heatmap | None, layers: Sequence[str] = ()) -> dict[str, Any]:
    """One face's prediction and, where there is one, its map as plain values."""
    return {
        "box": prediction.face.box.as_list(),
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        **(heatmap_record(heatmap) if heatmap else {}),
        **({"layers": list(layers)} if layers else {}),
    }


def heatmap_record(heatmap: Heatmap) -> dict[str, Any]:
    """A map as plain values: what it explains, its peak, its values to four decimals."""
    values = [[round(float(v), 4) for v in row] for row in heatmap.values]
    contrast = {"against": heatmap.against} if heatmap.against else {}
    return {"target": heatmap.target, **contrast, "method": heatmap.method, "peak": heatmap.peak, "heatmap": values}


def write_records(out: Path, model: Model, records: Sequence[dict[str, Any]], left_out: int = 0) -> Path:
    """Write explanations.json, with the number of faces of a data set that were left out where any was; returns its path."""
    path = out / "explanations.json"
    content = {"checkpoint": model.name, "weights_sha256": model.card.weights_sha256, "faces": list(records)}
    write_whole(path, (json.dumps(content | ({LEFT_OUT: left_out} if left_out else {})) + "\n").encode())
    return path


def _names(images: Sequence[Path]) -> list[str]:
    """File stems, numbered where two pictures share one."""
    names: list[str] = []
    for path in images:
        name, number = path.stem, 1
        while name in names:
            number += 1
            name = f"{path.stem}-{number}"
        names.append(name)
    return names
