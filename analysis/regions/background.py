"""Faces and classes whose maps lie beside the face: what a model has learnt of pictures rather than of people."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from analysis.means import FEW, Mean
from analysis.regions.face_template import BACKGROUND
from analysis.regions.shares import Shares
from fer.types import PredictionTable

#: A map "looks at the background" where it lies there more than a map that is the same everywhere would.
BACKGROUND_LIFT = 1.0
#: Faces listed that look most at the background.
LISTED = 12

Peaks = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Stray:
    """A face whose map lies on the background.

    ``share`` is that of the map, ``strength`` the map's raw peak over the median one: a faint map says little, wherever it is.
    """

    name: str
    label: str
    predicted: str
    share: float
    strength: float | None


@dataclass(frozen=True)
class Background:
    """Who looks at the background: more than :data:`BACKGROUND_LIFT` times its area.

    Attributes:
        area: share of the picture that is background, mean over the faces.
        lift: class → mean lift of the background over all its faces.
        faces: class → faces flagged; empty maps are not.
        flagged: classes whose lift lies above the threshold, with the whole interval.
        worst: the flagged faces that do it most.
    """

    area: float
    lift: dict[str, Mean]
    faces: dict[str, int]
    flagged: tuple[str, ...]
    worst: tuple[Stray, ...]

    @classmethod
    def of(cls, table: PredictionTable, shares: Shares, peaks: Peaks) -> Self:
        """Over all faces of a table; peaks float (N,) are those of the raw maps."""
        lift = shares.lift[:, BACKGROUND]
        own = {name: lift[table.labels == c] for c, name in enumerate(table.classes)}
        means = {name: Mean.of(values) for name, values in own.items()}
        flagged = tuple(name for name, mean in means.items() if mean.ci95 and mean.n >= FEW and mean.ci95[0] > BACKGROUND_LIFT)
        order = np.argsort(-np.nan_to_num(lift, nan=-1), kind="stable")
        worst = [_stray(table, shares, peaks, int(i)) for i in order[:LISTED] if lift[i] > BACKGROUND_LIFT]
        counts = {name: int((values > BACKGROUND_LIFT).sum()) for name, values in own.items()}
        return cls(float(shares.area[:, BACKGROUND].mean()), means, counts, flagged, tuple(worst))


def _stray(table: PredictionTable, shares: Shares, peaks: Peaks, row: int) -> Stray:
    label, answer = (table.classes[places[row]] for places in (table.labels, table.predicted))
    median = float(np.median(peaks))
    strength = float(peaks[row]) / median if median > 0 else None
    return Stray(table.names[row], label, answer, float(shares.mass[row, BACKGROUND]), strength)
