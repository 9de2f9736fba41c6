"""Reliability, the error by chance, and temperature scaling, each against another way to the same number."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from analysis.calibration import calibration_scores, compare_scaling, cross_fitted, expected_ece_if_calibrated, reliability
from analysis.figures import reliability as figures
from fer import checkpoint as checkpoints
from fer.calibration import biases_pay, calibrate, halves
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table, wilson_interval
from fer.types import PredictionTable
from tests.analysis.tables import all_right, all_wrong, drawn, one_class, toy
from tests.oracles import calibration_error_by_sklearn


def said(table, temperature, tta="none"):
    return replace(table, source={"temperature": repr(temperature), "tta": tta})


def test_bins_are_those_of_scikit_learn():
    table = drawn(3000, temperature=2)
    right, confidence = table.predicted == table.labels, table.probs.max(axis=1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    found = reliability(table)
    np.testing.assert_allclose([one.accuracy for one in found.bins], accuracy)
    np.testing.assert_allclose([one.confidence for one in found.bins], mean, rtol=1e-6)
    assert sum(one.n for one in found.bins) == found.n == 3000
    for one in found.bins:
        assert one.interval == wilson_interval(round(one.accuracy * one.n), one.n)
        assert one.low < one.confidence <= one.high


def test_a_class_is_judged_by_the_faces_that_were_given_it():
    table = drawn(3000, temperature=2)
    fear = EMOTIONS.index("fear")
    rows = table.predicted == fear
    theirs = calibration_error_by_sklearn(table.labels[rows], table.probs[rows])
    found = reliability(table, "fear")
    assert found.n == rows.sum() and found.ece == pytest.approx(theirs, abs=1e-6)
    assert sum(reliability(table, name).n for name in EMOTIONS) == 3000


def test_a_class_that_is_never_answered_has_no_error():
    found = reliability(one_class(), "fear")
    assert (found.n, found.ece, found.adaptive_ece, found.bins) == (0, None, None, ())


def test_the_error_by_chance_is_that_of_labels_drawn_from_the_probabilities():
    """The long way: labels of all classes, and the error of scikit-learn's curve."""
    probs = drawn(400).probs.astype(np.float64)
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(300):
        labels = (probs.cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)
        errors.append(calibration_error_by_sklearn(labels, probs))
    found = expected_ece_if_calibrated(probs, n_draws=1000, seed=0)
    assert found.mean == pytest.approx(np.mean(errors), rel=0.04)
    assert found.high == pytest.approx(np.quantile(errors, 0.95), rel=0.08)
    assert found == expected_ece_if_calibrated(probs, n_draws=1000, seed=0) != expected_ece_if_calibrated(probs, 1000, 1)


def test_one_bin_has_an_error_by_chance_that_can_be_worked_out():
    """All answers alike: the error is |p̂ - p|, for large n the mean of a half-normal distribution."""
    n, p = 2000, 0.7
    probs = np.tile([p, 1 - p], (n, 1))
    expected = np.sqrt(p * (1 - p) / n * 2 / np.pi)
    assert expected_ece_if_calibrated(probs, n_draws=4000).mean == pytest.approx(expected, rel=0.04)


def test_the_error_by_chance_shrinks_with_the_root_of_the_number_of_faces():
    small, large = (expected_ece_if_calibrated(drawn(n).probs, 300).mean for n in (500, 8000))
    assert small / large == pytest.approx(4, rel=0.15)


def test_a_calibrated_model_stays_below_the_error_by_chance_in_about_95_of_100_cases():
    scores = [calibration_scores(drawn(300, seed=seed)) for seed in range(60)]
    assert 52 <= sum(one.ece <= one.chance.high for one in scores) <= 60


def test_scores_are_those_of_scikit_learn():
    table = drawn(1000, temperature=1.5)
    probs = table.probs.astype(np.float64)
    found = calibration_scores(table)
    normed = probs / probs.sum(axis=1, keepdims=True)
    assert found.brier == pytest.approx(brier_score_loss(table.labels, normed, labels=range(7), scale_by_half=False), abs=1e-6)
    assert found.log_loss == pytest.approx(log_loss(table.labels, normed, labels=range(7)), abs=1e-6)
    assert found.ece == pytest.approx(calibration_error_by_sklearn(table.labels, probs), abs=1e-6)


def test_scaling_is_judged_on_the_half_that_the_temperature_was_not_fitted_on():
    raw = drawn(4000, temperature=2.0)
    table = said(raw.cooled(2.0), 2.0)
    kept = evaluate_table(halves(table)[1])["log_loss"]
    table = replace(table, source={**table.source, "held_out_log_loss": repr(kept)})
    found = compare_scaling(table)
    assert found.temperature == 2.0 and found.faces == "held-out half of the validation split"
    assert found.raw == calibration_scores(halves(raw)[1])
    assert found.scaled == calibration_scores(halves(table)[1])
    assert found.raw.ece > 0.1 and found.scaled.ece <= 0.03
    assert found.raw.accuracy == found.scaled.accuracy and found.raw.n == 2000


@pytest.mark.parametrize("kind", ["other names", "some classes", "unknown"])
def test_a_half_that_the_temperature_was_fitted_on_is_not_called_held_out(kind):
    table = drawn(4000)
    kept = repr(evaluate_table(halves(table)[1])["log_loss"])
    table = replace(table, source={"temperature": "2.0", "held_out_log_loss": "" if kind == "unknown" else kept})
    if kind == "other names":
        table = replace(table, names=tuple(name[::-1] for name in table.names))
    if kind == "some classes":
        table = table.only(EMOTIONS[:4])
    found = compare_scaling(table)
    assert found.faces == "validation split, fitted on in part"
    assert found.scaled == calibration_scores(table)


def test_biases_of_the_release_are_taken_out_before_faces_are_calibrated_anew():
    raw, biases = drawn(600), np.linspace(-0.9, 0.9, 7)
    source = {"temperature": "2.0", "biases": json.dumps(dict(zip(EMOTIONS, biases.tolist(), strict=True)))}
    released = replace(raw, logits=(raw.logits + biases) / 2, source=source)
    np.testing.assert_allclose(cross_fitted(released).logits, cross_fitted(raw).logits, atol=1e-3)
    with pytest.raises(DataError, match="biases are damaged"):
        cross_fitted(replace(released, source={**source, "biases": "{}"}))


def test_a_pass_says_what_its_calibration_was_fitted_on(checkpoint_file, fake_folder):
    model, faces = checkpoints.load(checkpoint_file), load(fake_folder).split("validation")
    biases = (0.1, -0.1, 0.0, 0.0, 0.0, 0.2, -0.2)
    card = replace(model.card, biases=biases, metrics={"validation/held-out": {"log_loss": 0.75}})
    source = evaluate_checkpoint(replace(model, card=card), faces).source
    assert json.loads(source["biases"]) == dict(zip(EMOTIONS, biases, strict=True))
    assert source["held_out_log_loss"] == "0.75"


def test_on_another_split_every_face_is_held_out():
    found = compare_scaling(replace(said(drawn(500), 2.0), split="test"))
    assert (found.faces, found.raw.n) == ("test split", 500)


def test_cross_fitting_calibrates_each_half_by_what_fits_the_other():
    raw = drawn(600, temperature=2.0)
    found = cross_fitted(raw)
    assert sorted(found.names) == sorted(raw.names) and found.source == {}
    one, other = halves(raw)
    biases = biases_pay(one, other)
    fits = [(half.names, calibrate(rest.logits, rest.labels, biases=biases)) for half, rest in ((one, other), (other, one))]
    assert fits[0][1] != fits[1][1]
    fitted = {name: calibration for names, calibration in fits for name in names}
    for row, name in enumerate(found.names):
        before = raw.names.index(name)
        np.testing.assert_allclose(found.logits[row], fitted[name].of(raw.logits[before][None])[0], rtol=1e-6)
        assert found.labels[row] == raw.labels[before]
    # what the logits were divided by before does not matter
    np.testing.assert_allclose(cross_fitted(raw.cooled(1.7)).logits, found.logits, atol=1e-3)


@pytest.mark.parametrize("biases", [False, True])
def test_what_is_all_of_one_class_is_calibrated_without_biases(biases):
    """They would answer that class for every face: all right, whatever the network says."""
    raw = one_class(40)
    if biases:
        said_of = json.dumps(dict(zip(EMOTIONS, np.linspace(-0.1, 0.1, 7).tolist(), strict=True)))
        raw = replace(raw, source={"temperature": "1.0", "biases": said_of})
    found = cross_fitted(raw)
    assert (raw.predicted == raw.labels).mean() == 0.5
    answers = dict(zip(found.names, found.predicted.tolist(), strict=True))
    assert answers == dict(zip(raw.names, raw.predicted.tolist(), strict=True))


def test_a_class_that_only_one_half_has_allows_no_biases():
    rng = np.random.default_rng(3)
    labels = np.array([0] * 30 + [1] * 30 + [2])
    logits = rng.normal(0, 1, (61, 3)) + np.array([2.0, 0.0, 0.0])  # the first class is said too often, which biases would mend
    names = tuple(f"{row:02}" for row in range(61))
    alone = PredictionTable(logits, labels, names, EMOTIONS[:3], "validation")
    assert biases_pay(*halves(alone))
    found = cross_fitted(alone)
    assert [found.predicted[found.names.index(name)] for name in names] == alone.predicted.tolist()


@pytest.mark.parametrize("table", [drawn(50), said(drawn(50), 2.0, tta="flip")], ids=["no temperature", "views averaged"])
def test_a_table_that_does_not_give_the_raw_logits_back_has_no_comparison(table):
    assert compare_scaling(table) is None


@pytest.mark.parametrize("text", ["warm", "0", "-1", "nan", "inf"])
def test_a_temperature_that_is_none_is_said(text):
    with pytest.raises(DataError, match="no positive number"):
        compare_scaling(replace(drawn(10), source={"temperature": text}))


# figure


def test_points_stand_at_the_confidence_and_accuracy_of_their_bins():
    found = reliability(drawn(500))
    ax = figures.draw(Figure().subplots(), found)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    drawn_at = [(float(x), float(y)) for line in points for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    assert drawn_at == [(one.confidence, one.accuracy) for one in found.bins]
    hollow = [line.get_markerfacecolor() == "white" for line in points]
    assert hollow == [one.n < 10 for one in found.bins]
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([one.n / 500 for one in found.bins])
    assert ax.get_title() == f"all classes, n = 500, ECE {found.ece:.3f}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("confidence", "share right")


@pytest.mark.parametrize("table", [all_right(), all_wrong(), one_class(), toy((True, 0.7))], ids=["right", "wrong", "one", "1"])
def test_the_figure_is_drawn_whatever_there_is(table):
    panels = [reliability(table, name) for name in table.classes]
    figure = figures.figure(reliability(table), panels)
    figure.canvas.draw()
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert [title.split(",")[0] for title in titles] == ["all classes", *table.classes]
    assert sum("no answers" in title for title in titles) == sum(panel.n == 0 for panel in panels)
