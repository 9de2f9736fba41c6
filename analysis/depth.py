"""Where a network looks at every depth: maps of the same faces read from its early to its late layers."""

from dataclasses import dataclass
from typing import Any

import torch

from analysis.explain import explain
from analysis.explain.question import stages
from analysis.gallery import pick
from analysis.pictures import heatmap_record
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.types import Heatmap, PredictionTable

#: LayerCAM weighs every place by itself; one weight a channel, as in Grad-CAM, is too coarse for early layers
#: (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943).
METHOD = "layercam"


@dataclass(frozen=True, eq=False)
class Depth:
    """Maps of some faces at some layers.

    Attributes:
        rows: their rows in the table, one face a class; None where no face of the class is judged right.
        layers: names of the layers, early ones first.
        heatmaps: a row a layer, a column a class; None as in ``rows``.
    """

    rows: tuple[int | None, ...]
    layers: tuple[str, ...]
    heatmaps: tuple[tuple[Heatmap | None, ...], ...]

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
        return {"method": METHOD, "layers": list(self.layers), "faces": faces, "maps": maps}


def by_depth(checkpoint: Checkpoint, faces: FaceSet, table: PredictionTable) -> Depth:
    """The most confident hit of every class, explained at one layer of every depth; ``faces`` row by row with ``table``."""
    right = table.predicted == table.labels
    rows = tuple(next((row for row in line if right[row]), None) for line in pick(table, 1))
    known = [row for row in rows if row is not None]
    layers = stages(checkpoint)
    images = faces.images[torch.tensor(known, dtype=torch.int64)]
    names = [table.classes[table.labels[row]] for row in known]
    found = [dict(zip(known, explain(checkpoint, images, names, METHOD, layers=(layer,)), strict=True)) for layer in layers]
    maps = tuple(tuple(None if row is None else line[row] for row in rows) for line in found)
    return Depth(rows, layers, maps)
