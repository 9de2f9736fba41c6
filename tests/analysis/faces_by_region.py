"""A network that reads one region of the face and nothing else, and tables whose maps lie where they are told to."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from analysis.explain import HeatmapTable
from analysis.perturbation import GREY
from analysis.regions.face_template import REGIONS, template
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.emotions import EMOTIONS
from fer.types import PredictionTable, Preprocess

#: Weight of the region's mean brightness in the logit.
WEIGHT = 4.0
STD = 0.25


class OneRegion(nn.Module):
    """Logit of one class: mean brightness of one region of the template; all others 0."""

    def __init__(self, region: str, name: str) -> None:
        super().__init__()
        where = torch.from_numpy(template() == REGIONS.index(region))
        self.register_buffer("mask", where.float() / where.sum())
        self.register_buffer("direction", WEIGHT * torch.eye(len(EMOTIONS))[EMOTIONS.index(name)])
        self.head = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0] * self.mask).sum(dim=(1, 2))[:, None] * self.direction


def reader_of(region: str, name: str = "happy", temperature: float = 1.0) -> Checkpoint:
    card = Card("baseline", "small", EMOTIONS, Preprocess(mean=(GREY,), std=(STD,)), temperature=temperature)
    return Checkpoint(OneRegion(region, name).eval(), card, "reader")


def chance_of(brightness: float, temperature: float = 1.0) -> float:
    """Probability of the class when its region is so bright on average, by hand."""
    z = WEIGHT * (brightness - GREY) / STD / temperature
    return float(np.exp(z) / (np.exp(z) + len(EMOTIONS) - 1))


def table_of(rows: Sequence[tuple[str, str]], checkpoint: str = "toy") -> PredictionTable:
    """Rows: true class, answer."""
    logits = 5 * np.eye(len(EMOTIONS))[[EMOTIONS.index(answer) for _, answer in rows]]
    labels = [EMOTIONS.index(label) for label, _ in rows]
    names = tuple(f"{i:04}.png" for i in range(len(rows)))
    return PredictionTable(logits, labels, names, EMOTIONS, "validation", {"checkpoint": checkpoint})


def maps_of(table: PredictionTable, regions: Sequence[str], peaks: Sequence[float] | None = None) -> HeatmapTable:
    """A row a face: the region that its map fills evenly; ``""``: an empty map, ``"all"``: one that is the same everywhere."""
    every = {"": np.zeros((48, 48), bool), "all": np.ones((48, 48), bool)}
    values = np.stack([every[region] if region in every else template() == REGIONS.index(region) for region in regions])
    strengths = np.ones(len(table)) if peaks is None else peaks
    return HeatmapTable(values.astype(np.float16), strengths, table.predicted, table.classes, "gradcam", table.names)
