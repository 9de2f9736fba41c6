"""Temperature scaling against a grid search and against a net whose temperature is known."""

import numpy as np
import pytest

from fer.calibration import COLDEST, HOTTEST, fit_temperature, halves
from fer.errors import DataError
from fer.reliability import calibration_error
from fer.types import PredictionTable, softmax


def drawn(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``temperature`` times too large for the labels drawn from them."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, (n, 7))
    labels = (softmax(true).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return true * temperature, labels


def log_loss(logits, labels, temperature):
    return -np.log(softmax(logits / temperature).astype(np.float64)[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 6.0])
def test_the_temperature_that_was_put_in_comes_out(temperature):
    logits, labels = drawn(20_000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_no_temperature_of_a_fine_grid_has_a_lower_log_loss():
    logits, labels = drawn(500, 3.0, seed=4)
    fitted = fit_temperature(logits, labels)
    grid = [log_loss(logits, labels, t) for t in np.geomspace(0.5, 15, 400)]
    assert log_loss(logits, labels, fitted) <= min(grid) + 1e-6


def test_scaling_lowers_the_calibration_error_of_faces_it_was_not_fitted_on_and_no_answer_changes():
    logits, labels = drawn(8_000, 3.0)
    fitted = fit_temperature(logits[:4000], labels[:4000])
    before, after = softmax(logits[4000:]), softmax(logits[4000:] / fitted)
    assert calibration_error(labels[4000:], before) > 0.1
    assert calibration_error(labels[4000:], after) < 0.02
    assert np.array_equal(before.argmax(1), after.argmax(1))


@pytest.mark.parametrize("scale", [1e-9, 1e4])
def test_impossible_scales_end_at_the_bounds(scale):
    logits, labels = drawn(200, 1.0)
    found = fit_temperature(logits * scale, labels)
    assert found == pytest.approx(COLDEST if scale < 1 else HOTTEST, rel=0.01)


def test_nothing_to_fit_on_is_said():
    with pytest.raises(DataError, match="needs faces"):
        fit_temperature(np.zeros((0, 7)), np.zeros(0, dtype=int))


def test_halves_share_every_class_and_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 101)
    logits = rng.normal(size=(101, 3))
    names = tuple(f"{n:03}.png" for n in range(101))
    table = PredictionTable(logits, labels, names, ("angry", "fear", "happy"), "validation")
    one, two = halves(table)
    assert sorted(one.names + two.names) == sorted(names)
    difference = np.bincount(one.labels, minlength=3) - np.bincount(two.labels, minlength=3)
    assert np.abs(difference).max() <= 1
    again, _ = halves(table.rows(rng.permutation(101)))
    assert set(again.names) == set(one.names)
    row = one.names.index(one.names[7])
    np.testing.assert_array_equal(one.logits[row], table.logits[names.index(one.names[7])])
