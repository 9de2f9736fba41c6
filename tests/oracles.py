"""Figures by other people's implementations, for tests that share them."""

import numpy as np
from sklearn.calibration import calibration_curve

from fer.types import FloatArray, IntArray


def calibration_error_by_sklearn(labels: IntArray, probs: FloatArray, bins: int = 15) -> float:
    """Expected calibration error of the answers, from scikit-learn's curve over bins of equal width."""
    right, confidence = probs.argmax(axis=1) == labels, probs.max(axis=1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins, strategy="uniform")
    count, _ = np.histogram(confidence, bins=bins, range=(0, 1))
    return float((count[count > 0] * np.abs(accuracy - mean)).sum() / len(labels))
