"""Heatmaps of many faces, small enough for a page: one layer a question that is asked about them."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from analysis.explain import BATCH, HeatmapTable, explain
from analysis.figures.overlay import resized
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.types import ByteArray, Heatmap, PredictionTable, Progress

#: Side of a stored map: that of the largest map that the networks for 48 pixels give before it is enlarged.
SIDE = 12


@dataclass(frozen=True, eq=False)
class MapLayer:
    """The answers to one question about some faces of a page.

    Attributes:
        title: the question, for a reader: ``"gradcam for the prediction"``.
        rows: the faces it is asked about, as rows of the table.
        targets: what each map explains.
        peaks: largest raw value of each map before scaling, in the method's own units.
        values: uint8 (M, 12, 12), 255 at the hottest.
    """

    title: str
    rows: tuple[int, ...]
    targets: tuple[str, ...]
    peaks: tuple[float, ...]
    values: ByteArray

    def __post_init__(self) -> None:
        n = len(self.rows)
        if self.values.shape != (n, SIDE, SIDE) or len(self.targets) != n or len(self.peaks) != n:
            raise ValueError(f"{n} rows, {len(self.targets)} targets, {len(self.peaks)} peaks, values {self.values.shape}")

    def heatmap(self, row: int) -> Heatmap | None:
        """The stored map of a row at its small size; None where the row has none."""
        if row not in self.rows:
            return None
        place = self.rows.index(row)
        return Heatmap(self.values[place].astype(np.float32) / 255, self.peaks[place], self.targets[place], self.title)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; ``values`` in base64, 144 bytes a map."""
        return {
            "title": self.title,
            "side": SIDE,
            "rows": list(self.rows),
            "targets": list(self.targets),
            "peaks": [float(f"{peak:.4g}") for peak in self.peaks],
            "values": base64.b64encode(self.values.tobytes()).decode(),
        }


def layer_from(content: Mapping[str, Any]) -> MapLayer:
    """What :meth:`MapLayer.to_dict` wrote; KeyError, TypeError or ValueError where it is damaged."""
    values = np.frombuffer(base64.b64decode(content["values"]), np.uint8).reshape(-1, SIDE, SIDE)
    return MapLayer(content["title"], tuple(content["rows"]), tuple(content["targets"]), tuple(content["peaks"]), values)


def layer_of(title: str, rows: Sequence[int], heatmaps: Iterable[Heatmap]) -> MapLayer:
    """Heatmaps of any size, one a row, made small."""
    small = [(heatmap.target, heatmap.peak, _bytes(heatmap)) for heatmap in heatmaps]
    values = np.array([pixels for _, _, pixels in small], dtype=np.uint8).reshape(-1, SIDE, SIDE)
    return MapLayer(title, tuple(rows), tuple(one[0] for one in small), tuple(one[1] for one in small), values)


def _bytes(heatmap: Heatmap) -> ByteArray:
    return np.asarray((255 * resized(heatmap, SIDE, SIDE)).round().astype(np.uint8))


def own_layer(heatmaps: HeatmapTable) -> MapLayer:
    """The maps of all faces of a split, as one pass gave them."""
    return layer_of(f"{heatmaps.method} for the prediction", range(len(heatmaps)), (heatmaps[i] for i in range(len(heatmaps))))


def contrast_layer(
    checkpoint: Checkpoint, faces: FaceSet, table: PredictionTable, method: str, progress: Progress | None = None
) -> MapLayer:
    """Why each wrong answer and not the label: maps of the mistakes alone, row by row with ``faces``."""
    rows = np.flatnonzero(table.predicted != table.labels).tolist()
    found: list[Heatmap] = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        answers, labels = ([table.classes[which[i]] for i in part] for which in (table.predicted, table.labels))
        found += explain(checkpoint, faces.images[torch.tensor(part)], answers, method, against=labels)
        if progress:
            progress(start + len(part), len(rows))
    return layer_of(f"{method}: why not the label", rows, found)
