"""Risk, coverage and the threshold for "unsure" against plain loops and hand-computed toys."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.abstention import abstention, kept_at, risk_coverage
from analysis.figures import risk_coverage as figures
from fer.calibration import halves
from fer.errors import ConfigError, DataError
from fer.metrics import wilson_interval
from tests.analysis.tables import all_right, all_wrong, drawn, one_class, toy

#: Right and wrong by falling confidence: risks 0, 0, 1/3, 1/4, 2/5.
FIVE = toy((False, 0.55), (True, 0.9), (True, 0.95), (True, 0.6), (False, 0.8))


def test_risk_and_area_of_five_faces_by_hand():
    found = risk_coverage(FIVE)
    assert [(round(p.coverage, 9), round(p.risk, 9)) for p in found.points] == [
        (0.2, 0.0), (0.4, 0.0), (0.6, round(1 / 3, 9)), (0.8, 0.25), (1.0, 0.4)
    ]  # fmt: skip
    assert [p.threshold for p in found.points] == pytest.approx([0.95, 0.9, 0.8, 0.6, 0.55], abs=1e-6)
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    assert found.best_aurc == pytest.approx((0 + 0 + 0 + 1 / 4 + 2 / 5) / 5)
    assert found.risk == pytest.approx(0.4)


def test_the_area_is_the_mean_risk_over_all_coverages():
    table = drawn(500)
    order = np.argsort(-table.probs.max(axis=1))
    wrong = (table.predicted != table.labels)[order]
    assert risk_coverage(table).aurc == pytest.approx(np.mean([wrong[: k + 1].mean() for k in range(500)]))
    last = np.sort(wrong)
    assert risk_coverage(table).best_aurc == pytest.approx(np.mean([last[: k + 1].mean() for k in range(500)]))


def test_every_point_is_what_its_threshold_gives():
    table = drawn(1234, temperature=2)
    confidence, wrong = table.probs.max(axis=1), table.predicted != table.labels
    found = risk_coverage(table)
    assert len(found.points) == 100 and found.points[-1].coverage == 1
    for percent, point in enumerate(found.points, 1):
        given = confidence >= point.threshold
        assert point.coverage == pytest.approx(given.mean()) and point.risk == pytest.approx(wrong[given].mean())
        assert percent / 100 <= point.coverage < percent / 100 + 1 / 1234


def test_faces_of_equal_confidence_are_answered_together_whatever_their_order():
    rows = [(True, 0.9), (False, 0.9), (True, 0.9), (False, 0.6)]
    found = [risk_coverage(toy(*(rows[i] for i in order))) for order in ((0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 1, 0))]
    assert {(p.coverage, round(p.risk, 9)) for one in found for p in one.points} == {(0.75, round(1 / 3, 9)), (1.0, 0.5)}
    assert len({one.aurc for one in found}) == 1 and found[0].aurc == pytest.approx((3 * (1 / 3) + 0.5) / 4)


def slow_threshold(table, accuracy):
    """Tries every confidence from below."""
    confidence, right = table.probs.max(axis=1), table.predicted == table.labels
    reached = [t for t in sorted(confidence.tolist()) if right[confidence >= t].mean() >= accuracy]
    return reached[0] if reached else None


@pytest.mark.parametrize("accuracy", [0.1, 0.7, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_threshold_is_the_lowest_that_reaches_the_accuracy_on_one_half_and_is_judged_on_the_other(accuracy, seed):
    table = drawn(800, seed=seed)
    one, other = halves(table)
    found = abstention(table, accuracy)
    assert found.threshold == slow_threshold(one, accuracy)
    assert found.fitted.accuracy >= accuracy
    given = other.probs.max(axis=1) >= found.threshold
    right = (other.predicted == other.labels)[given]
    assert (found.held_out.n, found.held_out.of) == (given.sum(), 400)
    assert found.held_out.accuracy == right.mean() and found.held_out.coverage == given.mean()
    assert found.held_out.interval == wilson_interval(int(right.sum()), len(right))


def test_an_accuracy_that_is_met_exactly_counts():
    table = toy(*[(True, 0.9)] * 22, *[(False, 0.7)] * 18)  # 11 of 20 right in each half
    assert abstention(table, 0.55).fitted.accuracy == 0.55
    assert abstention(table, 0.55).threshold == pytest.approx(0.7)


def test_what_cannot_be_reached_is_left_without_a_threshold():
    found = abstention(all_wrong(), 0.5)
    assert found.threshold is None
    assert (found.held_out.n, found.held_out.accuracy, found.held_out.interval, found.held_out.coverage) == (0, None, None, 0)


def test_without_mistakes_everything_is_answered():
    found = abstention(all_right(), 1.0)
    assert found.fitted.coverage == found.held_out.coverage == found.held_out.accuracy == 1
    assert risk_coverage(all_right()).aurc == 0


@pytest.mark.parametrize("accuracy", [0, -0.1, 1.01, 80, float("nan")])
def test_an_impossible_accuracy_is_said(accuracy):
    with pytest.raises(ConfigError, match="give one above 0 and up to 1"):
        abstention(drawn(10), accuracy)


def test_one_face_cannot_be_halved():
    with pytest.raises(DataError, match="give two or more"):
        abstention(toy((True, 0.9)))


# figure


def test_the_curve_and_the_threshold_are_drawn_where_they_lie():
    table = drawn(800)
    curve, found = risk_coverage(table), abstention(table, 0.8)
    ax = figures.draw(Figure().subplots(), curve, found)
    assert list(ax.lines[0].get_ydata()) == [p.risk for p in curve.points]
    assert list(ax.lines[0].get_xdata()) == [p.coverage for p in curve.points]
    (point,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (found.held_out.coverage, 1 - found.held_out.accuracy)
    (bar,) = [line for line in ax.lines if line.get_linewidth() == 1.2]
    assert sorted(1 - y for y in bar.get_ydata()) == pytest.approx(found.held_out.interval)
    assert ax.get_title() == "risk against coverage, n = 800"


def test_the_dashed_curve_has_the_area_of_a_perfect_order():
    curve = risk_coverage(drawn(5000))
    ax = figures.draw(Figure().subplots(), curve)
    assert np.mean(ax.lines[1].get_ydata()) == pytest.approx(curve.best_aurc, abs=2e-3)


@pytest.mark.parametrize(
    "table", [all_right(), all_wrong(), one_class(), toy((True, 0.7)), toy((False, 0.7), (True, 0.7))],
    ids=["right", "wrong", "one class", "1 face", "ties"],
)  # fmt: skip
def test_the_figure_is_drawn_whatever_there_is(table):
    figure = figures.figure(risk_coverage(table), abstention(table, 1.0) if len(table) > 1 else None)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert ax.get_title().endswith(f"n = {len(table)}") and len(ax.lines) >= 3


def test_nothing_is_kept_without_a_threshold():
    assert kept_at(all_right(), None).n == 0
