"""Every figure of an evaluation, as pure functions of labels and probabilities.

Counting and ranking metrics are scikit-learn's; calibration errors are those of :mod:`fer.reliability`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fer.reliability import adaptive_calibration_error, calibration_error
from fer.types import PredictionTable

Probs = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


def evaluate_table(table: PredictionTable) -> dict[str, Any]:
    """All figures of a table, as plain JSON values; a figure that is undefined is None."""
    return evaluate(table.labels, table.probs.astype(np.float64), table.classes)


def evaluate(labels: Labels, probs: Probs, classes: Sequence[str]) -> dict[str, Any]:
    """Figures of a classifier.

    Args:
        labels: int (N,), 0..C-1.
        probs: float (N, C), rows summing to 1.
        classes: C names.

    Returns:
        accuracy, top3_accuracy, macro_precision, macro_recall, macro_f1, mcc, log_loss, roc_auc (one against rest,
        mean over the classes that occur), ece, adaptive_ece, brier, n, ci95 (of the accuracy), per_class,
        confusion_matrix (rows: label, columns: prediction). Older cards lack adaptive_ece and brier.
    """
    from sklearn import metrics as sk

    predicted = probs.argmax(axis=1)
    every = list(range(len(classes)))
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0.0)
    auc = [_auc(labels == c, probs[:, c]) for c in every]
    known_auc = [value for value in auc if value is not None]
    right = int((predicted == labels).sum())
    rows = zip(precision, recall, f1, auc, support, strict=True)
    return {
        "accuracy": right / len(labels),
        "top3_accuracy": top_k_accuracy(labels, probs, 3),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "mcc": _mcc(labels, predicted),
        "log_loss": float(sk.log_loss(labels, probs / probs.sum(axis=1, keepdims=True), labels=every)),
        "roc_auc": float(np.mean(known_auc)) if known_auc else None,
        "ece": calibration_error(labels, probs),
        "adaptive_ece": adaptive_calibration_error(labels, probs),
        "brier": brier_score(labels, probs),
        "n": len(labels),
        "ci95": list(wilson_interval(right, len(labels))),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "roc_auc": a, "n": int(n)}
            for name, (p, r, f, a, n) in zip(classes, rows, strict=True)
        },
        "confusion_matrix": sk.confusion_matrix(labels, predicted, labels=every).tolist(),
    }


class Scores(NamedTuple):
    """Figures that a confusion matrix alone gives, each 0..1; classes without images or answers count 0."""

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


def scores(confusion: npt.NDArray[np.integer[Any]]) -> Scores:
    """Figures of a confusion matrix int (C, C), rows: label, columns: prediction.

    >>> scores(np.array([[3, 1], [0, 4]])).accuracy
    0.875
    """
    right, answered, present = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    precision, recall = right / np.maximum(answered, 1), right / np.maximum(present, 1)
    f1 = 2 * right / np.maximum(answered + present, 1)
    accuracy = right.sum() / max(1, confusion.sum())
    return Scores(*(float(value) for value in (accuracy, precision.mean(), recall.mean(), f1.mean())))


def _mcc(labels: Labels, predicted: Labels) -> float:
    from sklearn.metrics import matthews_corrcoef

    one_class = len(np.unique(labels)) == 1 and np.array_equal(labels, predicted)
    return 0.0 if one_class else float(matthews_corrcoef(labels, predicted))


def _auc(positive: npt.NDArray[np.bool_], scores: Probs) -> float | None:
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return None
    return float(roc_auc_score(positive, scores))


def top_k_accuracy(labels: Labels, probs: Probs, k: int) -> float:
    """Share of rows whose label is among the ``k`` most probable classes; a tie counts by class order."""
    best = np.argsort(-probs, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def brier_score(labels: Labels, probs: Probs) -> float:
    """Squared distance between probabilities and the label's one-hot row, summed over the classes, 0 (best) to 2.

    Brier 1950, "Verification of forecasts expressed in terms of probability": the original definition; for two classes
    it is twice the one-sided score that also goes by this name.

    >>> round(brier_score(np.array([0]), np.array([[0.7, 0.2, 0.1]])), 6)  # 0.3² + 0.2² + 0.1²
    0.14
    """
    return float(((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1).mean())


def wilson_interval(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a proportion, 95 % by default (Wilson 1927); stays inside 0..1.

    >>> [round(x, 4) for x in wilson_interval(66, 100)]
    [0.5628, 0.7454]
    """
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    # at the ends the formula gives 0 and 1 but for rounding
    return 0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half


def pearson(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Correlation over the pixels of each pair of maps: float64 (N,), −1..1, NaN where a map is the same everywhere.

    >>> pearson(np.array([[[0.0, 1.0]]]), np.array([[[1.0, 0.0]]])).tolist()
    [-1.0]
    """
    x, y = (_centred(maps) for maps in (one, other))
    norm = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.where(norm > 0, (x * y).sum(axis=1) / np.where(norm > 0, norm, 1), np.nan).clip(-1, 1)


def _centred(maps: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    rows = maps.reshape(len(maps), math.prod(maps.shape[1:])).astype(np.float64)
    same = (rows == rows[:, :1]).all(axis=1, keepdims=True)  # the rounding of a mean must not pass for a pattern
    return np.where(same, 0, rows - rows.mean(axis=1, keepdims=True))
