"""Confidence beside accuracy, bin by bin: what calibration errors sum up and reliability diagrams draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

#: Bins of the expected calibration error (Guo et al. 2017).
ECE_BINS = 15


@dataclass(frozen=True, eq=False)
class Bins:
    """Answers sorted by their confidence; bin ``i`` reaches from ``edges[i]`` (open) to ``edges[i + 1]`` (closed).

    Attributes:
        edges: float (B + 1,), rising, 0..1.
        count: int (B,), answers in each bin.
        right: float (B,), how many of them are right.
        confidence: float (B,), the sum of their confidences.
    """

    edges: Floats
    count: Labels
    right: Floats
    confidence: Floats

    @property
    def error(self) -> float:
        """Gap between confidence and accuracy, 0..1, mean over the bins weighted by their answers; 0 without answers."""
        return round(float(np.abs(self.right - self.confidence).sum() / max(1, self.count.sum())), 12)


def sort_into_bins(confidence: Floats, right: npt.NDArray[np.bool_], edges: Floats) -> Bins:
    """Answers sorted into the bins between these edges.

    >>> sort_into_bins(np.array([0.2, 0.9, 1.0]), np.array([True, True, False]), equal_width(2)).count.tolist()
    [1, 2]
    """
    bins = len(edges) - 1
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=bins)
    hits, sums = (np.bincount(place, weights, bins).astype(np.float64) for weights in (right, confidence))
    return Bins(edges, count, hits, sums)


def equal_width(bins: int = ECE_BINS) -> Floats:
    """float (bins + 1,): edges of bins that are equally wide."""
    return np.linspace(0, 1, bins + 1)


def equal_mass(confidence: Floats, bins: int = ECE_BINS) -> Floats:
    """float (bins + 1,): edges of bins that hold equally many answers, but for ties, which stay together."""
    return np.quantile(confidence, np.linspace(0, 1, bins + 1))


def calibration_error(labels: Labels, probs: Floats, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal-width bins, 0..1.

    Guo et al. 2017 (arXiv:1706.04599).

    >>> calibration_error(np.array([0, 0]), np.array([[0.8, 0.2], [0.2, 0.8]]))  # both in one bin: |0.5 - 0.8|
    0.3
    """
    return sort_into_bins(probs.max(axis=1), probs.argmax(axis=1) == labels, equal_width(bins)).error


def adaptive_calibration_error(labels: Labels, probs: Floats, bins: int = ECE_BINS) -> float:
    """The same over bins that hold equally many answers, so that no bin rests on a few faces, 0..1.

    Nguyen and O'Connor 2015 (arXiv:1508.05154); for the most probable class as in Mukhoti et al. 2020 (arXiv:2002.09437).

    >>> probs = np.array([[0.6, 0.4], [0.9, 0.1]])
    >>> adaptive_calibration_error(np.array([1, 0]), probs, bins=2)  # (|0 - 0.6| + |1 - 0.9|) / 2
    0.35
    """
    confidence = probs.max(axis=1)
    return sort_into_bins(confidence, probs.argmax(axis=1) == labels, equal_mass(confidence, bins)).error
