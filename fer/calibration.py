"""Calibration: a temperature, and a bias a class, that bring a network's confidence to its accuracy.

A temperature alone (Guo et al. 2017, arXiv:1706.04599) cannot mend that a class is said too often, as after training with
class weights or smoothed labels; biases can (Alexandari et al. 2020, arXiv:1901.06852).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fer.errors import DataError
from fer.types import PredictionTable

#: Temperatures that are searched.
COLDEST, HOTTEST = 0.05, 20.0
#: Standard deviation of the biases that is expected before any face is seen: keeps them small where faces are few.
_EXPECTED_BIAS = 1.0


@dataclass(frozen=True)
class Calibration:
    """What is added to the logits, one number a class, and what divides the sum."""

    temperature: float
    biases: tuple[float, ...]

    def of(self, logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Calibrated logits float32 (N, C).

        >>> Calibration(2.0, (0.0, 1.0)).of(np.array([[4.0, 1.0]])).tolist()
        [[2.0, 1.0]]
        """
        return ((logits.astype(np.float64) + self.biases) / self.temperature).astype(np.float32)


def calibrate(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], *, biases: bool = True) -> Calibration:
    """Temperature and biases with the least log loss; the biases' sum is 0.

    Args:
        logits: float (N, C).
        labels: int (N,), 0..C-1.
        biases: whether there are to be any; a temperature alone, which changes no answer, otherwise.

    Raises:
        DataError: no rows.

    >>> found = calibrate(np.zeros((1000, 2)), np.array([0] * 750 + [1] * 250))  # e^(2b/T) is 3
    >>> round((found.biases[0] - found.biases[1]) / found.temperature, 2)
    1.1
    """
    from scipy.optimize import minimize

    temperature = fit_temperature(logits, labels)
    if not biases:
        return Calibration(temperature, (0.0,) * logits.shape[1])
    scores, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        scale, shift = math.exp(-values[0]), values[1:]  # the biases as they are after the division
        log_probs = _log_probs(scores * scale + shift)
        slope = np.exp(log_probs)
        slope[rows, labels] -= 1
        prior = shift / (_EXPECTED_BIAS**2 * len(labels))
        gradient = np.concatenate([[-scale * (slope * scores).sum() / len(labels)], slope.mean(axis=0) + prior])
        return float(-log_probs[rows, labels].mean() + shift @ prior / 2), gradient

    bounds = [(math.log(COLDEST), math.log(HOTTEST)), *[(None, None)] * scores.shape[1]]
    start = np.concatenate([[math.log(temperature)], np.zeros(scores.shape[1])])
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8})
    temperature = math.exp(float(found.x[0]))
    shift = temperature * (found.x[1:] - found.x[1:].mean())
    return Calibration(temperature, tuple(shift.tolist()))


def cross_fit(one: PredictionTable, other: PredictionTable, *, biases: bool) -> npt.NDArray[np.float32]:
    """Logits of ``one`` and then of ``other``, each calibrated by what is fitted on the other: no face sees its own fit."""
    pairs = ((one, other), (other, one))
    return np.concatenate([calibrate(fit.logits, fit.labels, biases=biases).of(half.logits) for half, fit in pairs])


def have_all_classes(*tables: PredictionTable) -> bool:
    """Whether each has faces of every class: where one is absent, biases push it down, and no face is there to object."""
    return all(set(table.labels.tolist()) == set(range(len(table.classes))) for table in tables)


def biases_pay(one: PredictionTable, other: PredictionTable) -> bool:
    """True where biases lower the log loss of faces they were not fitted on without lowering the accuracy."""
    labels = np.concatenate([one.labels, other.labels])
    alone, both = (_log_probs(cross_fit(one, other, biases=biases)) for biases in (False, True))
    rows, right = np.arange(len(labels)), [(found.argmax(axis=1) == labels).sum() for found in (alone, both)]
    return bool(both[rows, labels].mean() > alone[rows, labels].mean() and right[1] >= right[0])


def _log_probs(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


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
        return float(-_log_probs(scores / math.exp(log_temperature))[np.arange(len(scores)), labels].mean())

    found = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return math.exp(float(found.x))


def halves(table: PredictionTable) -> tuple[PredictionTable, PredictionTable]:
    """Two halves of a table with the same classes in both: every other row of each class, in the order of the names.

    Raises:
        DataError: there is one row only.
    """
    if len(table) < 2:
        raise DataError(f"one face of the {table.split} split cannot be halved; give two or more")
    order = np.lexsort((np.array(table.names), table.labels))
    return table.rows(np.sort(order[::2])), table.rows(np.sort(order[1::2]))
