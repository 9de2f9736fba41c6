"""Do two maps point at the same places? Correlations between maps of the same faces."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from analysis.figures.overlay import resized
from fer.metrics import pearson
from fer.types import FACE_SIZE, FloatArray, Heatmap

Values = npt.NDArray[np.float64]


def stacked(maps: Sequence[Heatmap]) -> FloatArray:
    """float32 (N, 48, 48): maps of any size brought to that of a face."""
    if not maps:
        return np.zeros((0, FACE_SIZE, FACE_SIZE), dtype=np.float32)
    same = all(heatmap.values.shape == (FACE_SIZE, FACE_SIZE) for heatmap in maps)
    return np.stack([heatmap.values if same else resized(heatmap, FACE_SIZE, FACE_SIZE) for heatmap in maps])


def spearman(one: FloatArray, other: FloatArray) -> Values:
    """Rank correlation (Spearman 1904) of each pair of maps, ties sharing their mean rank; NaN as for ``pearson``."""
    from scipy.stats import rankdata

    x, y = (rankdata(maps.reshape(len(maps), math.prod(maps.shape[1:])), axis=1)[:, None] for maps in (one, other))
    return pearson(x, y)


@dataclass(frozen=True)
class Similarity:
    """How alike two sets of maps of the same faces are.

    Attributes:
        n: pairs of maps.
        empty: pairs without a correlation, since a map is the same everywhere; the means leave them out.
        pearson: mean correlation, or None where no pair has one.
        spearman: mean rank correlation, or None.
        pearson_of_others: mean correlation with the map of another face (the next one): what being a map of a face
            gives already. A similarity says something only as far as it exceeds this.
    """

    n: int
    empty: int
    pearson: float | None
    spearman: float | None
    pearson_of_others: float | None

    @classmethod
    def of(cls, one: Sequence[Heatmap], other: Sequence[Heatmap]) -> Self:
        """Compare map by map; both of the same faces in the same order, their sizes may differ."""
        x, y = stacked(one), stacked(other)
        found = pearson(x, y)
        others = pearson(x, np.roll(y, 1, axis=0)) if len(y) > 1 else np.array([])
        return cls(len(x), int(np.isnan(found).sum()), mean_or_none(found), mean_or_none(spearman(x, y)), mean_or_none(others))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def mean_or_none(values: Values) -> float | None:
    """Mean of what is defined, None where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
