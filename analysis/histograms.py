"""How sure a model is of each class's faces: right and wrong answers apart."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.reliability import equal_width, sort_into_bins
from fer.types import PredictionTable

#: Bins of a histogram of confidences: 5 % each.
_BINS = 20


@dataclass(frozen=True)
class Histogram:
    """How sure a model is of the faces of one class, right and wrong answers apart.

    Attributes:
        name: the class, as the data set labels it.
        edges: B + 1 rising confidences, 0..1; a bin is open below and closed above.
        right: B counts.
        wrong: B counts.
    """

    name: str
    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]

    @property
    def n(self) -> int:
        """Faces."""
        return sum(self.right) + sum(self.wrong)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def histogram(table: PredictionTable, rows: npt.NDArray[np.bool_], name: str, bins: int = _BINS) -> Histogram:
    """The confidences of some rows, given as a mask bool (N,)."""
    confidence, right = table.probs.max(axis=1)[rows], (table.predicted == table.labels)[rows]
    binned = sort_into_bins(confidence, right, equal_width(bins))
    hits = binned.right.astype(np.int64)
    return Histogram(name, tuple(binned.edges.tolist()), tuple(hits.tolist()), tuple((binned.count - hits).tolist()))


def histograms(table: PredictionTable, bins: int = _BINS) -> tuple[Histogram, ...]:
    """A histogram for every class of the table, by the label of the faces; empty where a class does not occur."""
    return tuple(histogram(table, table.labels == c, name, bins) for c, name in enumerate(table.classes))
