"""One class looked at closely: how often its faces are recognised, what they are taken for, how sure the model is of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.figures import confidence_histograms, face_grid, save
from analysis.figures.face_grid import Judged
from analysis.histograms import Histogram, histogram
from fer.data import FaceSet
from fer.emotions import canonical
from fer.errors import ConfigError, DataError
from fer.files import make_folder, write_whole
from fer.metrics import wilson_interval
from fer.types import PredictionTable

#: Decides which faces are drawn.
SEED = 0
#: Faces in a gallery at most.
GALLERY = 100


@dataclass(frozen=True)
class EmotionLook:
    """What a model makes of the faces of one class.

    Attributes:
        emotion: the class, as the data set labels them.
        split: where they are from.
        n: faces judged.
        available: faces of that class in the split; where there are more than ``n``, they were drawn with ``seed``.
        seed: of the draw.
        accuracy: share recognised, 0..1.
        interval: Wilson's, 95 %.
        answers: faces taken for each class, all classes of the model.
        confidence_right: mean confidence of right answers; None where there are none.
        confidence_wrong: the same of wrong ones.
        histogram: of the confidences.
    """

    emotion: str
    split: str
    n: int
    available: int
    seed: int
    accuracy: float
    interval: tuple[float, float]
    answers: Mapping[str, int]
    confidence_right: float | None
    confidence_wrong: float | None
    histogram: Histogram

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def sample_faces(
    faces: FaceSet, emotion: str, among: Sequence[str], num_samples: int | None = None, seed: int = SEED
) -> tuple[FaceSet, int]:
    """The faces of a class, or so many of them, drawn without replacement and kept in their order; and how many there are.

    Args:
        faces: a split.
        emotion: any spelling that :func:`fer.emotions.canonical` knows.
        among: classes that can be answered.
        num_samples: None, or more than there are: all.
        seed: of the draw.

    Raises:
        UnknownNameError: no such class.
        ConfigError: fewer than one face is asked for, or the class cannot be answered.
        DataError: the split has no face of it.
    """
    name = canonical(emotion)
    if num_samples is not None and num_samples < 1:
        raise ConfigError(f"{num_samples} samples are asked for; give 1 or more, or none for all faces of the class")
    if name not in among:
        raise ConfigError(f"{name} is none of the answers of this model: {', '.join(among)}; choose one of these")
    if not faces.counts.get(name):
        raise DataError(f"the {faces.split} split has no face of {name}; choose another split or class")
    chosen = faces.only([name])
    available = len(chosen)
    if num_samples is None or num_samples >= available:
        return chosen, available
    drawn = np.sort(np.random.default_rng(seed).choice(available, num_samples, replace=False))
    return chosen.select(torch.from_numpy(drawn)), available


def look_at(table: PredictionTable, emotion: str, available: int | None = None, seed: int = SEED) -> EmotionLook:
    """What a table says of the faces of one class.

    Args:
        table: one pass; rows of other classes are left out.
        emotion: a class of the table.
        available: faces that the rows were drawn from; None: the rows are all there are.
        seed: of the draw.

    Raises:
        DataError: no row of that class.
    """
    rows = table.labels == table.classes.index(emotion)
    if not rows.any():
        raise DataError(f"the table has no face of {emotion}; choose another class")
    own = table.rows(rows)
    right, confidence = own.predicted == own.labels, own.probs.max(axis=1)
    counts = np.bincount(own.predicted, minlength=len(own.classes)).tolist()
    return EmotionLook(
        emotion=emotion,
        split=own.split,
        n=len(own),
        available=available or len(own),
        seed=seed,
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(own)),
        answers=dict(zip(own.classes, counts, strict=True)),
        confidence_right=float(confidence[right].mean()) if right.any() else None,
        confidence_wrong=float(confidence[~right].mean()) if not right.all() else None,
        histogram=histogram(own, np.full(len(own), True), emotion),
    )


def judged_faces(table: PredictionTable, faces: FaceSet, most: int = GALLERY) -> list[Judged]:
    """Faces with their answers, the surest first; of more than ``most``, so many evenly spread over that order.

    ``faces`` are those of the table, in its order.
    """
    confidence = table.probs.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))
    return [
        Judged(
            faces.images[i, 0].cpu().numpy(),
            table.classes[table.predicted[i]],
            float(confidence[i]),
            bool(table.predicted[i] == table.labels[i]),
        )
        for i in order[places].tolist()
    ]


def write(look: EmotionLook, table: PredictionTable, faces: FaceSet, out: Path) -> list[Path]:
    """Write the histogram, the gallery and the numbers into a folder, named by the class; their paths.

    Raises:
        OutputError: the folder is not writable.
    """
    make_folder(out)
    shown = judged_faces(table, faces)
    written = [out / f"{look.emotion}-{name}" for name in ("histogram.png", "gallery.png", "emotion.json")]
    save(confidence_histograms.figure([look.histogram]), written[0])
    save(face_grid.figure(shown, f"{_extent(look, len(shown))}, {look.accuracy:.1%} right"), written[1])
    write_whole(written[2], (json.dumps({**table.source, **look.to_dict()}, indent=1) + "\n").encode())
    return written


def _extent(look: EmotionLook, shown: int) -> str:
    part = f", {shown} of them shown" if shown < look.n else ""
    return f"{look.emotion}, {look.split} split, n = {describe_sample(look)}{part}"


def describe_sample(look: EmotionLook) -> str:
    """``100 of 496 (drawn with seed 0)``, or ``496`` where these are all."""
    return f"{look.n:,}" + (f" of {look.available:,} (drawn with seed {look.seed})" if look.n < look.available else "")
