"""Where two models part: the faces they answer differently with both maps, and how alike their maps are."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from analysis.compare import disagreements
from analysis.explain import explain
from analysis.pictures import heatmap_record
from analysis.similarity import Similarity
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.types import ByteArray, Heatmap, PredictionTable

#: Faces in a gallery.
SHOWN = 12


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one model says of a face, how sure it is (0..1), and its map of that class."""

    label: str
    confidence: float
    heatmap: Heatmap


@dataclass(frozen=True, eq=False)
class Dispute:
    """A face that two models answer differently: uint8 (48, 48) grey, its name and label, both opinions."""

    face: ByteArray
    name: str
    truth: str
    a: Opinion
    b: Opinion

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the maps among them, not the face."""
        return {"name": self.name, "truth": self.truth, "a": _record(self.a), "b": _record(self.b)}


@dataclass(frozen=True, eq=False)
class Gallery:
    """The disputes of two models that are shown, and how many there are among how many faces."""

    a: str
    b: str
    split: str
    n: int
    differ: int
    shown: tuple[Dispute, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        facts = {"a": self.a, "b": self.b, "split": self.split, "n": self.n, "differ": self.differ}
        return {**facts, "faces": [dispute.to_dict() for dispute in self.shown]}


def _record(opinion: Opinion) -> dict[str, Any]:
    return {"label": opinion.label, "confidence": opinion.confidence, **heatmap_record(opinion.heatmap)}


def galleries(
    models: Mapping[str, Checkpoint],
    tables: Mapping[str, PredictionTable],
    faces: FaceSet,
    method: str,
    shown: int = SHOWN,
) -> list[Gallery]:
    """For every pair of models the disputes in which both are surest; maps are of what each model says.

    Args:
        models: by name.
        tables: of the same names; row i is face i.
        faces: the faces of the tables.
        method: name of an explanation method.
        shown: faces a gallery.
    """
    return [_gallery((a, b), models, tables, faces, (method, shown)) for a, b in itertools.combinations(models, 2)]


def _gallery(
    pair: tuple[str, str],
    models: Mapping[str, Checkpoint],
    tables: Mapping[str, PredictionTable],
    faces: FaceSet,
    how: tuple[str, int],
) -> Gallery:
    method, shown = how
    table = tables[pair[0]]
    rows = disagreements(table, tables[pair[1]])
    first = rows[:shown]
    images = faces.images[torch.from_numpy(first)]
    opinions = [_opinions(models[name], tables[name].rows(first), images, method) if len(first) else () for name in pair]
    disputes = tuple(
        Dispute(image, table.names[row], table.classes[table.labels[row]], a, b)
        for row, image, a, b in zip(first, images[:, 0].cpu().numpy(), *opinions, strict=True)
    )
    return Gallery(*pair, table.split, len(table), len(rows), disputes)


def _opinions(model: Checkpoint, table: PredictionTable, images: torch.Tensor, method: str) -> tuple[Opinion, ...]:
    labels = [table.classes[i] for i in table.predicted]
    confidences = table.probs.max(axis=1)
    heatmaps = explain(model, images, labels, method)
    return tuple(Opinion(*said) for said in zip(labels, map(float, confidences), heatmaps, strict=True))


def map_similarities(
    models: Mapping[str, Checkpoint], table: PredictionTable, faces: FaceSet, rows: torch.Tensor, method: str
) -> list[dict[str, Any]]:
    """How alike the maps of every pair of models are; all explain the label of the data set.

    Args:
        models: by name.
        table: of any of them, for labels and classes; row i is face i.
        faces: the faces of the table.
        rows: int64 positions of the faces to explain.
        method: name of an explanation method.
    """
    targets: Sequence[str] = [table.classes[i] for i in table.labels[rows.numpy()]]
    images = faces.images[rows]
    maps = {name: explain(model, images, targets, method) if targets else () for name, model in models.items()}
    return [
        {"a": a, "b": b, "method": method, "target": "label", **Similarity.of(maps[a], maps[b]).to_dict()}
        for a, b in itertools.combinations(models, 2)
    ]
