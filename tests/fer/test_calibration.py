"""Calibration against a grid search, another optimiser, and nets whose temperature and biases are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fer.calibration import (
    COLDEST,
    HOTTEST,
    Calibration,
    biases_pay,
    calibrate,
    cross_fit,
    fit_temperature,
    halves,
    have_all_classes,
)
from fer.emotions import EMOTIONS
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
    for fit in (fit_temperature, calibrate):
        with pytest.raises(DataError, match="needs faces"):
            fit(np.zeros((0, 7)), np.zeros(0, dtype=int))


BIASES = np.array([1.0, -0.5, 0.0, 0.4, -1.2, 0.6, -0.3])


def test_the_temperature_and_biases_that_were_put_in_come_out():
    logits, labels = drawn(40_000, 2.0)
    found = calibrate(logits - BIASES, labels)
    assert found.temperature == pytest.approx(2.0, rel=0.03)
    np.testing.assert_allclose(found.biases, BIASES - BIASES.mean(), atol=0.1)
    assert sum(found.biases) == pytest.approx(0, abs=1e-9)


def test_another_optimiser_finds_no_lower_loss():
    logits, labels = drawn(400, 3.0, seed=2)
    z, y = torch.tensor(logits - BIASES), torch.tensor(labels)
    scale, biases = (
        torch.zeros(1, dtype=torch.float64, requires_grad=True),
        torch.zeros(7, dtype=torch.float64, requires_grad=True),
    )
    search = torch.optim.LBFGS([scale, biases], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        found = torch.nn.functional.cross_entropy(z * scale.exp() + biases, y) + biases.square().sum() / (2 * len(y))
        found.backward()
        return found

    search.step(loss)
    found = calibrate(logits - BIASES, labels)
    assert found.temperature == pytest.approx(float((-scale.detach()).exp()), rel=1e-3)
    centred = (biases - biases.mean()).detach().numpy() * found.temperature
    np.testing.assert_allclose(found.biases, centred, atol=1e-3 * found.temperature)


def test_with_biases_every_class_is_said_as_often_as_it_is_true_of_faces_they_were_not_fitted_on():
    logits, labels = drawn(8_000, 2.0)
    logits = logits - 2 * BIASES
    alone = softmax(logits[4000:] / fit_temperature(logits[:4000], labels[:4000]))
    both = softmax(calibrate(logits[:4000], labels[:4000]).of(logits[4000:]))
    shares = np.bincount(labels[4000:], minlength=7) / 4000
    assert np.abs(alone.mean(axis=0) - shares).max() > 0.05
    assert np.abs(both.mean(axis=0) - shares).max() < 0.02
    assert calibration_error(labels[4000:], both) < 0.02


def table_of(logits: np.ndarray, labels: np.ndarray) -> PredictionTable:
    names = tuple(f"{row}.png" for row in range(len(labels)))
    return PredictionTable(logits.astype(np.float32), labels, names, EMOTIONS, "validation")


@pytest.mark.parametrize("planted, pays", [(2.0, True), (0.0, False)])
def test_biases_pay_where_some_are_planted_and_not_where_there_are_none(planted, pays):
    logits, labels = drawn(1_000, 2.0, seed=3)
    halved = halves(table_of(logits - planted * BIASES, labels))
    assert biases_pay(*halved) == pays


def test_all_classes_are_there_where_every_half_has_each():
    logits, labels = drawn(400, 2.0, seed=3)
    assert have_all_classes(*halves(table_of(logits, labels)))
    assert not have_all_classes(*halves(table_of(logits, np.where(labels == 1, 0, labels))))  # in neither
    one = halves(table_of(logits, labels))[0]
    assert have_all_classes(one) and not have_all_classes(one, one.rows(one.labels != 6))


def test_biases_that_lower_the_accuracy_do_not_pay_even_where_they_lower_the_log_loss():
    logits, labels = drawn(200, 2.0, seed=2)
    one, other = halves(table_of(logits - 0.5 * BIASES, labels))
    labels = np.concatenate([one.labels, other.labels])
    alone, both = (softmax(cross_fit(one, other, biases=biases)) for biases in (False, True))
    losses = [-np.log(probs[np.arange(200), labels]).mean() for probs in (alone, both)]
    right = [(probs.argmax(1) == labels).sum() for probs in (alone, both)]
    assert losses[1] < losses[0] - 0.01 and right[1] < right[0] - 3
    assert not biases_pay(one, other)


def test_no_half_sees_its_own_calibration():
    logits, labels = drawn(400, 2.0, seed=5)
    one, other = halves(table_of(logits, labels))
    found = cross_fit(one, other, biases=True)
    changed = replace(one, labels=(one.labels + 1) % 7)
    again = cross_fit(changed, other, biases=True)
    np.testing.assert_array_equal(again[: len(one)], found[: len(one)])
    assert not np.allclose(again[len(one) :], found[len(one) :], atol=0.1)


def test_without_biases_it_is_the_temperature_alone():
    logits, labels = drawn(400, 2.0, seed=6)
    assert calibrate(logits, labels, biases=False) == Calibration(fit_temperature(logits, labels), (0.0,) * 7)


def test_few_faces_and_missing_classes_leave_the_biases_small():
    logits, labels = drawn(9, 1.0)
    found = calibrate(logits, np.where(labels > 2, 0, labels))
    assert np.abs(np.array(found.biases) / found.temperature).max() < 3
    assert np.isfinite(found.of(logits)).all()


def test_a_calibration_of_nothing_changes_nothing():
    logits, _ = drawn(5, 1.0)
    np.testing.assert_array_equal(Calibration(1.0, (0.0,) * 7).of(logits), logits.astype(np.float32))


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
