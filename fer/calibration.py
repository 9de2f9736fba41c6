"""Temperature scaling: one number that brings a network's confidence to its accuracy (Guo et al. 2017, arXiv:1706.04599)."""

import math

import numpy as np
import numpy.typing as npt

from fer.errors import DataError
from fer.types import PredictionTable

#: Temperatures that are searched.
COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> float:
    """The temperature whose probabilities have the least log loss, 0.05..20.

    Args:
        logits: float (N, C).
        labels: int (N,), 0..C-1.

    Raises:
        DataError: no rows.

    >>> round(fit_temperature(np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 3)  # 3 of 4 right: e^(2/T) is 3
    1.82
    """
    from scipy.optimize import minimize_scalar

    if not len(logits):
        raise DataError("a temperature needs faces to be fitted on; give a split that has some")
    scores = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        z = scores / math.exp(log_temperature)
        z -= z.max(axis=1, keepdims=True)
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean())

    found = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return math.exp(float(found.x))


def halves(table: PredictionTable) -> tuple[PredictionTable, PredictionTable]:
    """Two halves of a table with the same classes in both: every other row of each class, in the order of the names."""
    order = np.lexsort((np.array(table.names), table.labels))
    return table.rows(np.sort(order[::2])), table.rows(np.sort(order[1::2]))
