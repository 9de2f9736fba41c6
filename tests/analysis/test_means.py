"""Means with intervals, against SciPy's bootstrap and the formula of the normal distribution."""

import numpy as np
import pytest
from scipy import stats

from analysis import means
from analysis.means import FEW, Mean

SKEWED = np.random.default_rng(1).exponential(2.0, 60)
OTHER = np.random.default_rng(2).normal(1.0, 1.0, 45)


def test_the_interval_is_that_of_scipys_bootstrap():
    expected = stats.bootstrap((SKEWED,), np.mean, n_resamples=20_000, method="percentile", rng=3).confidence_interval
    found = Mean.of(SKEWED)
    assert (found.n, found.mean) == (60, pytest.approx(SKEWED.mean()))
    np.testing.assert_allclose(found.ci95, expected, atol=0.05)
    assert found.ci95[1] - found.ci95[0] > 0.5  # the tolerance is small beside it


def test_the_interval_of_a_difference_is_that_of_scipys_bootstrap():
    def difference(one, other, axis=-1):
        return one.mean(axis=axis) - other.mean(axis=axis)

    expected = stats.bootstrap((SKEWED, OTHER), difference, n_resamples=20_000, method="percentile", rng=3).confidence_interval
    found = Mean.difference(SKEWED, OTHER)
    assert (found.n, found.mean) == (45, pytest.approx(SKEWED.mean() - OTHER.mean()))
    np.testing.assert_allclose(found.ci95, expected, atol=0.06)


def test_many_faces_are_drawn_in_parts_and_their_interval_is_the_formulas(monkeypatch):
    values = np.random.default_rng(4).normal(5.0, 2.0, 3_000)
    monkeypatch.setattr(means, "_AT_ONCE", 7 * len(values))  # 2,000 draws are no multiple of 7
    half = 1.96 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose(Mean.of(values).ci95, (values.mean() - half, values.mean() + half), atol=0.1 * half)


def test_what_is_undefined_is_left_out():
    with_gaps = np.concatenate([SKEWED, np.full(5, np.nan)])
    assert Mean.of(with_gaps) == Mean.of(SKEWED)
    assert Mean.difference(with_gaps, OTHER) == Mean.difference(SKEWED, OTHER)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_of_no_face_nothing_is_said(values):
    empty = np.array(values, dtype=np.float64)
    assert Mean.of(empty) == Mean.difference(empty, OTHER) == Mean.difference(OTHER, empty) == Mean(0, None, None)
    assert Mean.of(empty).sign is None


def test_of_one_face_there_is_a_mean_and_no_interval():
    assert Mean.of(np.array([3.0])) == Mean(1, 3.0, None)
    assert Mean.difference(np.array([3.0]), np.array([1.0, 2.0])) == Mean(1, 1.5, None)


@pytest.mark.parametrize(
    ("n", "interval", "sign"),
    [(FEW, (0.1, 0.2), 1), (FEW, (-0.2, -0.1), -1), (FEW, (-0.1, 0.1), 0), (FEW - 1, (0.1, 0.2), None), (1, None, None)],
)
def test_the_sign_is_that_of_the_whole_interval_and_of_ten_faces(n, interval, sign):
    assert Mean(n, 0.15, interval).sign == sign
