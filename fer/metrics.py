"""Every figure of an evaluation, as pure functions of labels and probabilities.

Counting and ranking metrics are scikit-learn's; the calibration error and the interval are here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fer.types import PredictionTable

Probs = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

#: Bins of the expected calibration error (Guo et al. 2017).
ECE_BINS = 15


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
        mean over the classes that occur), ece, n, ci95 (of the accuracy), per_class, confusion_matrix
        (rows: label, columns: prediction).
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


def calibration_error(labels: Labels, probs: Probs, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal-width bins.

    Guo et al. 2017 (arXiv:1706.04599). Bins are open at the left and closed at the right.

    >>> calibration_error(np.array([0, 0]), np.array([[0.8, 0.2], [0.2, 0.8]]))  # both in one bin: |0.5 - 0.8|
    0.3
    """
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.abs(np.bincount(place, right, bins) - np.bincount(place, confidence, bins))
    return round(float(gap[count > 0].sum() / len(labels)), 12)


def wilson_interval(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a proportion, 95 % by default (Wilson 1927); stays inside 0..1.

    >>> [round(x, 4) for x in wilson_interval(66, 100)]
    [0.5628, 0.7454]
    """
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
