"""``--emotion`` of ``fer evaluate``: one class looked at closely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer.cli import console

if TYPE_CHECKING:
    from analysis.emotion import EmotionLook
    from fer.data import FaceSet
    from fer.types import PredictionTable


def sampled(faces: FaceSet, name: str, among: Sequence[str], count: int | None) -> tuple[FaceSet, int]:
    """The faces of a class, or a sample of so many, and how many there are; see :func:`analysis.emotion.sample_faces`."""
    from analysis.emotion import sample_faces

    return sample_faces(faces, name, among, count)


def look(predictions: PredictionTable, faces: FaceSet, available: int, out: Path | None) -> EmotionLook:
    """What the model makes of faces of one class; with ``out`` also its pictures and numbers as files."""
    from analysis.emotion import look_at, write

    found = look_at(predictions, faces.classes[0], available)
    if out:
        console.wrote(write(found, predictions, faces, out))
    return found


def show(look: EmotionLook, title: str) -> None:
    """Print it as two tables."""
    from analysis.emotion import describe_sample

    summary = console.make_table("figure", "value", title=f"{look.emotion}: {title}")
    summary.add_row("accuracy", console.with_interval(look.accuracy, look.interval))
    summary.add_row("n", describe_sample(look))
    for name, value in (("right", look.confidence_right), ("wrong", look.confidence_wrong)):
        summary.add_row(f"mean confidence, {name}", console.number(value))
    answers = console.make_table("taken for", "faces", "share")
    for name, count in sorted(look.answers.items(), key=lambda item: -item[1]):
        answers.add_row(name, f"{count:,}", console.percent(count / look.n))
    console.put_table(summary)
    console.put_table(answers)
