"""Calibration errors against scikit-learn and plain loops."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fer.metrics import evaluate
from fer.reliability import adaptive_calibration_error, calibration_error, equal_mass, equal_width, sort_into_bins
from tests.fer.test_metrics import random_case
from tests.oracles import calibration_error_by_sklearn


def slow_ece(labels, probs, bins=15):
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        rows = [i for i in range(len(labels)) if low < probs[i].max() <= high]
        if rows:
            accuracy = np.mean([probs[i].argmax() == labels[i] for i in rows])
            total += len(rows) / len(labels) * abs(accuracy - np.mean([probs[i].max() for i in rows]))
    return total


def test_calibration_error_equals_plain_loops():
    labels, probs = random_case()
    assert calibration_error(labels, probs) == pytest.approx(slow_ece(labels, probs), abs=1e-9)


def test_calibration_error_of_one_bin_by_hand():
    probs = np.array([[0.9, 0.1]] * 4)
    assert calibration_error(np.array([0, 0, 0, 1]), probs) == pytest.approx(0.9 - 0.75)


def test_calibration_error_takes_certainty():
    assert calibration_error(np.array([0, 1]), np.eye(2)) == 0


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_is_that_of_scikit_learn(bins, seed):
    labels, probs = random_case(seed=seed)
    assert calibration_error(labels, probs, bins) == pytest.approx(calibration_error_by_sklearn(labels, probs, bins), abs=1e-6)


@pytest.mark.parametrize("bins", [2, 15])
def test_adaptive_error_follows_from_the_quantile_curve_of_scikit_learn(bins):
    labels, probs = random_case(n=401)
    right, confidence = probs.argmax(1) == labels, probs.max(1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins, strategy="quantile")
    count = sort_into_bins(confidence, right, equal_mass(confidence, bins)).count
    expected = (count * np.abs(accuracy - mean)).sum() / 401
    assert adaptive_calibration_error(labels, probs, bins) == pytest.approx(expected, abs=1e-9)
    assert evaluate(labels, probs, "abcdefg")["adaptive_ece"] == adaptive_calibration_error(labels, probs)


def test_bins_of_equal_mass_differ_by_one_answer_at_most():
    confidence = np.random.default_rng(0).random(401)
    count = sort_into_bins(confidence, confidence > 0.5, equal_mass(confidence, 15)).count
    assert count.sum() == 401 and count.max() - count.min() <= 1


def test_the_order_of_the_rows_does_not_matter_even_where_confidences_are_equal():
    labels = np.array([0, 0, 1, 1, 0, 1, 0, 0, 1])
    probs = np.array([[0.75, 0.25]] * 6 + [[0.5, 0.5]] * 3)
    expected = adaptive_calibration_error(labels, probs, bins=4)
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(9)
        assert adaptive_calibration_error(labels[order], probs[order], bins=4) == expected
    assert expected == pytest.approx((abs(3 - 6 * 0.75) + abs(2 - 3 * 0.5)) / 9)


def test_an_edge_belongs_to_the_bin_below_it():
    bins = sort_into_bins(np.array([0.25, 0.5, 0.75, 1.0]), np.array([True, False, True, False]), equal_width(4))
    assert bins.count.tolist() == [1, 1, 1, 1] and bins.right.tolist() == [1, 0, 1, 0]
    assert bins.confidence.tolist() == [0.25, 0.5, 0.75, 1.0]
