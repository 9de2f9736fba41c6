"""Histograms of confidence against numpy's, and what the figure shows."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.figures import confidence_histograms
from analysis.histograms import histograms
from fer.emotions import COLOURS, EMOTIONS
from tests.analysis.tables import all_right, all_wrong, drawn, one_class, toy


def test_counts_are_those_of_numpy():
    table = drawn(2000)
    confidence, right = table.probs.max(axis=1), table.predicted == table.labels
    for c, found in enumerate(histograms(table, bins=20)):
        own = table.labels == c
        # none of these lies on an edge, where numpy closes bins on the other side
        assert list(found.right) == np.histogram(confidence[own & right], 20, (0, 1))[0].tolist()
        assert list(found.wrong) == np.histogram(confidence[own & ~right], 20, (0, 1))[0].tolist()
        assert found.n == own.sum() and found.name == EMOTIONS[c]


def test_a_toy_by_hand():
    fear, sad = histograms(toy((True, 0.95), (True, 0.93), (True, 0.55), (False, 0.93)), bins=10)
    assert fear.right == (0, 0, 0, 0, 0, 1, 0, 0, 0, 2) and sum(fear.wrong) == 0
    assert sad.wrong == (0, 0, 0, 0, 0, 0, 0, 0, 0, 1) and sum(sad.right) == 0


def test_bars_have_the_heights_of_the_counts_and_the_colour_of_the_class():
    found = histograms(drawn(700))[3]
    ax = confidence_histograms.draw(Figure().subplots(), found)
    right, wrong = ax.containers
    assert [bar.get_height() for bar in right] == list(found.right)
    assert [bar.get_height() for bar in wrong] == list(found.wrong)
    assert [bar.get_y() for bar in wrong] == list(found.right)
    assert {to_hex(bar.get_facecolor()) for bar in right} == {COLOURS["happy"]}
    assert {bar.get_hatch() for bar in wrong} == {"////"}
    assert ax.get_title() == f"happy, n = {found.n}, {sum(found.right) / found.n:.1%} right"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("confidence", "faces")


@pytest.mark.parametrize("table", [all_right(), all_wrong(), one_class(), toy((True, 0.7))], ids=["right", "wrong", "one", "1"])
def test_the_figure_is_drawn_whatever_there_is(table):
    figure = confidence_histograms.figure(histograms(table))
    figure.canvas.draw()
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title().split(",")[0] for ax in panels] == list(table.classes)
    empty = [ax for ax in panels if "n = 0" in ax.get_title()]
    assert [text.get_text() for ax in empty for text in ax.texts] == ["no faces"] * len(empty)
    assert f"n = {len(table)}" in figure.get_suptitle()
