"""Explanations of pictures: one PNG a face, and the numbers as JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.figures import panel, save
from analysis.question import OWN_PREDICTION, Question, ask
from fer.faces import DEFAULT_DETECTOR, Search
from fer.files import make_folder, write_whole
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

    Returns:
        The files written (pictures, then explanations.json), and notes for the user.

    Raises:
        ImageError: a picture cannot be read; nothing is written then.
        OutputError: the folder is not writable.
    """
    predictor = Predictor(model, detector)
    found = [(path, predictor.predict(path)) for path in images]
    notes = [note for path, predictions in found if (note := predictor.note(path, predictions))]
    answers = [[_ask(model, predictions, question) for question in questions] for _, predictions in found]
    written, records = [], []
    make_folder(out)
    for name, (path, predictions), maps in zip(_names(images), found, answers, strict=True):
        for number, prediction in enumerate(predictions, 1):
            own = [heatmaps[number - 1] for heatmaps in maps]
            picture = out / f"{name}-face{number}.png"
            captions = [panel.caption(heatmap, q.layers) for heatmap, q in zip(own, questions, strict=True)]
            save(panel.figure(prediction, own, captions), picture)
            written.append(picture)
            place = {"path": str(path), "face": number, "picture": picture.name}
            records += [place | record(prediction, heatmap, q.layers) for heatmap, q in zip(own, questions, strict=True)]
    written.append(write_records(out, model, records))
    return written, notes


def _ask(model: Model, predictions: Sequence[Prediction], question: Question) -> tuple[Heatmap, ...]:
    faces, q = [prediction.face for prediction in predictions], question
    # the predictions are known: no method needs to ask for them again
    target = q.target if q.target not in (None, "top1") or q.against else [prediction.label for prediction in predictions]
    return ask(model, faces, replace(q, target=target))


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


def write_records(out: Path, model: Model, records: Sequence[dict[str, Any]]) -> Path:
    """Write explanations.json; returns its path."""
    path = out / "explanations.json"
    content = {"checkpoint": model.name, "weights_sha256": model.card.weights_sha256, "faces": list(records)}
    write_whole(path, (json.dumps(content) + "\n").encode())
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
