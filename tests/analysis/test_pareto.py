"""The figure of accuracy against cost: what is joined, marked and left out."""

import json

import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import pareto
from fer.predict import open_model
from fer.released import RELEASED

POINTS = [
    {"name": "small", "accuracy": 0.60, "milliseconds": 1.0, "megabytes": 2.0, "ci95": [0.58, 0.62]},
    {"name": "waste", "accuracy": 0.59, "milliseconds": 3.0, "megabytes": 9.0, "ci95": [0.57, 0.61]},
    {"name": "large", "accuracy": 0.70, "milliseconds": 9.0, "megabytes": 5.0, "ci95": [0.68, 0.72], "default": True},
    {"name": "peer", "accuracy": 0.65, "milliseconds": 0.5, "published": True},
]


def drawn(key):
    ax = Figure().subplots()
    return pareto.draw(ax, POINTS, key, "cost")


def test_only_our_own_points_that_nothing_beats_are_joined():
    front = drawn("milliseconds").lines[0]
    assert list(front.get_xdata()) == [1.0, 9.0]
    assert list(front.get_ydata()) == pytest.approx([60.0, 70.0])


def test_every_point_is_named_and_one_without_a_cost_is_left_out():
    assert [text.get_text() for text in drawn("milliseconds").texts] == ["small", "waste", "large", "peer"]
    assert [text.get_text() for text in drawn("megabytes").texts] == ["small", "waste", "large"]


def test_the_default_is_red_and_what_was_measured_elsewhere_hollow():
    dots = [line for line in drawn("milliseconds").lines if line.get_marker() == "o"]
    assert [dot.get_markeredgecolor() for dot in dots] == ["#3f90da", "#3f90da", "#e42536", "#717581"]
    assert [dot.get_markerfacecolor() for dot in dots][-1] == "white"


@pytest.mark.parametrize(("accuracies", "above"), [((0.6, 0.6), "cheap"), ((0.6, 0.61), "dear"), ((0.61, 0.6), "cheap")])
def test_one_of_two_neighbours_has_its_name_above(accuracies, above):
    points = [
        {"name": name, "accuracy": accuracy, "megabytes": cost}
        for (name, cost), accuracy in zip((("cheap", 2.0), ("dear", 2.5)), accuracies, strict=True)
    ]
    for order in (points, points[::-1]):
        texts = pareto.draw(Figure().subplots(), order, "megabytes", "cost").texts
        assert [text.get_text() for text in texts if text.xyann[1] > 0] == [above]


def test_of_two_equal_ones_the_cheaper_is_on_the_front():
    assert pareto._front([(2.0, 0.6), (1.0, 0.6), (1.0, 0.5), (3.0, 0.7)]) == [(1.0, 0.6), (3.0, 0.7)]


def names_of_all_classes():
    """What is released for all seven classes and the data set's own labels; an export of a checkpoint's name has its suffix."""
    checkpoints = {path.stem for path in RELEASED.glob("*.pth")}
    cards = {path: open_model(path).card for path in RELEASED.iterdir() if path.suffix in (".pth", ".onnx")}
    return {
        path.name if path.suffix == ".onnx" and path.stem in checkpoints else path.stem
        for path, card in cards.items()
        if len(card.classes) == 7 and card.config.get("labels", "fer") == "fer"
    }


def test_the_command_times_every_released_checkpoint(fer, tmp_path):
    refused = fer("zoo", "pareto", "--out", tmp_path / "pareto.json")  # the picture would replace its own figures
    assert refused.code == 2 and "pareto.json" in refused.err and ".png" in refused.err and not list(tmp_path.iterdir())
    outcome = fer("zoo", "pareto", "--out", tmp_path / "pareto.png")
    assert outcome.code == 0, outcome.err
    content = json.loads((tmp_path / "pareto.json").read_text(encoding="utf-8"))
    own = [row for row in content["models"] if not row.get("published")]
    assert sorted(row["name"] for row in own) == sorted(names_of_all_classes())
    assert all(row["milliseconds"] > 0 and row["milliseconds_single"] > 0 for row in own)
    assert sum(row["default"] for row in own) == 1
    with Image.open(tmp_path / "pareto.png") as picture:
        assert picture.width > 800
