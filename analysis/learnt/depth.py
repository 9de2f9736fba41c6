"""Where a network looks at every depth: maps of the same faces read from its early to its late layers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from analysis.explain import explain
from analysis.explain.stages import stages
from analysis.gallery import pick
from analysis.pictures import heatmap_record
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.types import FloatArray, Heatmap, PredictionTable, Progress

#: LayerCAM weighs every place by itself; one weight a channel, as in Grad-CAM, is too coarse for early layers
#: (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943).
METHOD = "layercam"
#: Faces whose maps are measured at every layer.
_MEASURED = 140


@dataclass(frozen=True)
class Spread:
    """How far the maps of one layer spread over the face; maps without any mass are counted and left out.

    Attributes:
        layer: name of the layer.
        n: maps measured.
        empty: maps that are 0 everywhere.
        entropy: mean entropy of the map as a distribution over the pixels, 1 where it is even; None without maps.
        half_area: mean share of the pixels that hold half of the map, the hottest first, ≤ 0.5; None without maps.
        entropy_ci95: bounds of the mean, from its standard error.
        half_area_ci95: the same.
    """

    layer: str
    n: int
    empty: int
    entropy: float | None
    half_area: float | None
    entropy_ci95: tuple[float, float] | None
    half_area_ci95: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Depth:
    """Maps of some faces at some layers.

    Attributes:
        rows: their rows in the table, one face a class; None where no face of the class is judged right.
        layers: names of the layers, early ones first.
        heatmaps: a row a layer, a column a class; None as in ``rows``.
        spreads: how far maps of a larger sample of faces spread, one a layer.
    """

    rows: tuple[int | None, ...]
    layers: tuple[str, ...]
    heatmaps: tuple[tuple[Heatmap | None, ...], ...]
    spreads: tuple[Spread, ...]

    def to_dict(self, table: PredictionTable) -> dict[str, Any]:
        """Plain JSON form: which faces, and every map with its peak."""
        faces = [
            {"name": table.names[row], "class": table.classes[table.labels[row]], "confidence": float(table.probs[row].max())}
            for row in self.rows
            if row is not None
        ]
        maps = [
            {"layer": layer, "name": table.names[row], **heatmap_record(heatmap)}
            for layer, line in zip(self.layers, self.heatmaps, strict=True)
            for row, heatmap in zip(self.rows, line, strict=True)
            if row is not None and heatmap is not None
        ]
        return {"method": METHOD, "layers": self.measured(), "faces": faces, "maps": maps}

    def measured(self) -> list[dict[str, Any]]:
        """Plain JSON form of the spreads."""
        return [asdict(spread) for spread in self.spreads]


def by_depth(checkpoint: Checkpoint, faces: FaceSet, table: PredictionTable, progress: Progress | None = None) -> Depth:
    """The most confident hit of every class, explained at one layer of every depth; ``faces`` row by row with ``table``.

    How far the maps spread is measured on up to 140 faces at even distances in the table, for their predictions.
    """
    right = table.predicted == table.labels
    rows = tuple(next((row for row in line if right[row]), None) for line in pick(table, 1))
    known = [row for row in rows if row is not None]
    measured = np.unique(np.linspace(0, len(table) - 1, _MEASURED).round().astype(np.int64)).tolist()
    layers, asked = stages(checkpoint), known + measured
    names = [table.classes[table.predicted[row]] for row in asked]
    images, maps, spreads = faces.images[torch.tensor(asked, dtype=torch.int64)], [], []
    for done, layer in enumerate(layers, 1):
        found = explain(checkpoint, images, names, METHOD, layers=(layer,))
        shown = dict(zip(known, found, strict=False))
        maps.append(tuple(None if row is None else shown[row] for row in rows))
        spreads.append(spread(layer, found[len(known) :]))
        if progress:
            progress(done, len(layers))
    return Depth(rows, layers, tuple(maps), tuple(spreads))


def spread(layer: str, heatmaps: Sequence[Heatmap]) -> Spread:
    """Measure maps of one layer.

    >>> even = Heatmap(np.ones((4, 4), np.float32), 1.0, "sad", "layercam")
    >>> spread("conv1", [even]).entropy, spread("conv1", [even]).half_area
    (1.0, 0.5)
    """
    values = np.array([h.values.ravel() for h in heatmaps if h.peak > 0 and h.values.any()], dtype=np.float64)
    empty = len(heatmaps) - len(values)
    if not len(values):
        return Spread(layer, 0, empty, None, None, None, None)
    shares = -np.sort(-values / values.sum(axis=1, keepdims=True), axis=1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(axis=1) / np.log(shares.shape[1])
    half = ((shares.cumsum(axis=1) < 0.5 - 1e-9).sum(axis=1) + 1) / shares.shape[1]
    return Spread(layer, len(values), empty, float(entropy.mean()), float(half.mean()), _bounds(entropy), _bounds(half))


def _bounds(values: FloatArray) -> tuple[float, float]:
    """95 % interval of a mean by the normal distribution; the mean itself for one value."""
    error = 1.959964 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean() - error), float(values.mean() + error)
