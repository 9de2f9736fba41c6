"""Explanations of a data set: every class's hits and misses with their maps, and what the maps have in common."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.averages import averages
from analysis.explain import OWN_PREDICTION, HeatmapTable, Question, check, explain_set
from analysis.figures import averages as average_figure
from analysis.figures import gallery, save
from analysis.left_out import left_out
from analysis.passes import save_pass
from analysis.pictures import heatmap_record, write_records
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.files import make_folder, write_whole
from fer.types import PredictionTable, Progress

#: Faces of each class that are shown as hits, and as many as misses.
_SHOWN = 4


def pick(table: PredictionTable, shown: int = _SHOWN, *, surest: bool = True) -> list[list[int]]:
    """Rows to show: for every class ``shown`` hits, then ``shown`` misses, the most (or the least) confident first."""
    confidence = table.probs.max(axis=1)
    order = np.argsort(-confidence if surest else confidence, kind="stable")
    right = table.predicted == table.labels
    return [
        [int(i) for wanted in (True, False) for i in order[(table.labels[order] == c) & (right[order] == wanted)][:shown]]
        for c in range(len(table.classes))
    ]


def explain_split(
    checkpoint: Checkpoint, faces: FaceSet, out: Path, question: Question = OWN_PREDICTION, progress: Progress | None = None
) -> tuple[list[Path], list[str]]:
    """Judge and explain all faces of a split in one pass; write the tables, galleries, averages and their numbers.

    Returns:
        Files written: predictions.npz, heatmaps.npz (what later commands read), two galleries and the averages as
        pictures, explanations.json with the numbers of the faces shown, averages.json. And notes for the user.

    Raises:
        OutputError: the folder is not writable.
    """
    check(checkpoint, question)
    make_folder(out)
    table, heatmaps = explain_set(checkpoint, faces, question, progress)
    known = faces.only(checkpoint.card.classes)
    judged = set(table.names)
    images = known.images.cpu().numpy()[np.array([name in judged for name in known.names]), 0]
    written = save_pass(out, table, heatmaps)
    about = f"{_asked(question)}; {faces.split} split, n = {len(table):,}"
    if words := left_out(table):
        about += f" ({words})"
    chosen: list[int] = []
    for surest, name, what in ((True, "gallery", "most"), (False, "unsure", "least")):
        rows = pick(table, surest=surest)
        chosen += [i for row in rows for i in row]
        picture = gallery.figure(
            table, images, rows, {i: heatmaps[i] for i in chosen}, f"{what} confident hits (left) and misses (right): {about}"
        )
        written.append(out / f"{name}-{faces.split}.png")
        save(picture, written[-1])
    found = averages(table, heatmaps, images)
    written.append(out / f"averages-{faces.split}.png")
    save(average_figure.figure(found, question.method, f"mean face and mean map of each class: {about}"), written[-1])
    written.append(out / "averages.json")
    write_whole(written[-1], (json.dumps([average.to_dict() for average in found]) + "\n").encode())
    records = _records(table, heatmaps, list(dict.fromkeys(chosen)))
    written.append(write_records(out, checkpoint, records, len(known) - len(table)))
    return written, [f"of {len(known):,} faces {words}"] if words else []


def _asked(question: Question) -> str:
    """What the maps show, in words: ``gradcam at layer3: fear, not happy``."""
    place = f" at {', '.join(question.layers)}" if question.layers else ""
    if question.target is None and question.against is None:
        return f"{question.method}{place}"
    target, against = (name if isinstance(name, str) else "" for name in (question.target, question.against))
    return f"{question.method}{place}: {target or 'the answer'}" + (f", not {against}" if against else "")


def _records(table: PredictionTable, heatmaps: HeatmapTable, chosen: Sequence[int]) -> list[dict[str, Any]]:
    probs = table.probs
    return [
        {
            "name": table.names[i],
            "truth": table.classes[table.labels[i]],
            "label": table.classes[table.predicted[i]],
            "probabilities": dict(zip(table.classes, probs[i].tolist(), strict=True)),
            **heatmap_record(heatmaps[i]),
        }
        for i in chosen
    ]
