"""What the maps of a class have in common: means over the faces that a model gets right and wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.explain.heatmaps import HeatmapTable
from fer.types import ByteArray, FloatArray, PredictionTable

#: The groups of faces of each class.
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True, eq=False)
class Average:
    """Means over one group of a class's faces.

    Attributes:
        name: the true class.
        group: ``"right"`` or ``"wrong"``.
        count: faces in it.
        face: float32 (H, W), mean grey value 0..255; 0 where there is none.
        heatmap: float32 (H, W), mean of their maps, 0..1.
    """

    name: str
    group: str
    count: int
    face: FloatArray
    heatmap: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Plain values, maps to four decimals."""
        values = [[round(float(v), 4) for v in row] for row in self.heatmap]
        return {"class": self.name, "group": self.group, "n": self.count, "heatmap": values}


def averages(table: PredictionTable, heatmaps: HeatmapTable, images: ByteArray) -> tuple[Average, ...]:
    """Mean face and map of every class, right and wrong apart; images uint8 (N, H, W), row by row with the tables."""
    right = table.predicted == table.labels
    found = []
    for index, name in enumerate(table.classes):
        for group, where in ((RIGHT, right), (WRONG, ~right)):
            rows = np.flatnonzero((table.labels == index) & where)
            face, values = (_mean(array, rows) for array in (images, heatmaps.values))
            found.append(Average(name, group, len(rows), face, values))
    return tuple(found)


def _mean(arrays: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> FloatArray:
    if not len(rows):
        return np.zeros(arrays.shape[1:], dtype=np.float32)
    return np.asarray(arrays[rows].mean(axis=0, dtype=np.float64), dtype=np.float32)
