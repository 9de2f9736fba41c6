"""How much of a map lies on each region of the face, and how much of the face each region is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.regions.face_template import REGIONS, Labels
from fer.errors import DataError

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Shares:
    """How maps lie on the regions.

    Attributes:
        mass: float64 (N, 8), share of each map on each region, rows summing to 1; NaN where a map is empty.
        area: float64 (N, 8), share of the pixels.
    """

    mass: Values
    area: Values

    @property
    def lift(self) -> Values:
        """float64 (N, 8), mass over area: 1 is what a map has there that is the same everywhere; NaN without area."""
        return ratio(self.mass, self.area)

    @property
    def empty(self) -> Mask:
        """bool (N,), maps that are 0 everywhere."""
        return np.asarray(np.isnan(self.mass).any(axis=1))


def region_shares(maps: npt.ArrayLike, labels: Labels) -> Shares:
    """Shares of maps float (N, H, W) ≥ 0 on regions int8 (H, W), or (N, H, W) for faces with regions of their own.

    Raises:
        DataError: maps and regions differ in size or number.

    >>> region_shares(np.ones((1, 1, 2)), np.array([[0, 1]], np.int8)).mass[0, :3].tolist()
    [0.5, 0.5, 0.0]
    """
    values, where = np.asarray(maps), np.asarray(labels)
    if values.ndim != 3 or where.shape not in (values.shape, values.shape[1:]):
        raise DataError(f"maps {values.shape} and regions {where.shape} do not fit; write the maps with fer explain --data")
    each = [where == region for region in range(len(REGIONS))]
    mass = np.stack([np.where(one, values, 0).sum(axis=(1, 2), dtype=np.float64) for one in each], axis=1)
    area = np.stack([one.mean(axis=(-2, -1)) for one in each], axis=-1)
    total = np.broadcast_to(mass.sum(axis=1, keepdims=True), mass.shape)
    return Shares(ratio(mass, total), np.broadcast_to(area, mass.shape))


def ratio(one: Values, other: Values) -> Values:
    """NaN where the other is 0, as for a region that lies outside the picture."""
    return np.divide(one, other, out=np.full_like(one, np.nan), where=other > 0)
