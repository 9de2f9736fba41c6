"""The figure of accuracy against cost: what is joined, marked and left out."""

import json
from itertools import combinations
from pathlib import Path

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
    assert [text.get_text() for text in drawn("milliseconds").texts] == ["large", "peer", "small", "waste"]
    assert [text.get_text() for text in drawn("megabytes").texts] == ["large", "small", "waste"]


def test_the_default_is_red_and_what_was_measured_elsewhere_hollow():
    dots = [line for line in drawn("milliseconds").lines if line.get_marker() == "o"]
    assert [dot.get_markeredgecolor() for dot in dots] == ["#3f90da", "#3f90da", "#e42536", "#717581"]
    assert [dot.get_markerfacecolor() for dot in dots][-1] == "white"


CROWDED = json.loads((Path(__file__).parents[2] / "docs" / "images" / "pareto.json").read_text(encoding="utf-8"))["models"]


@pytest.mark.parametrize("key", ["milliseconds", "megabytes"])
@pytest.mark.parametrize("points", [POINTS, CROWDED, CROWDED[::-1]], ids=["few", "released", "reversed"])
def test_no_name_lies_on_another_or_on_a_dot(points, key):
    ax = pareto.figure(points, "a machine").axes[0 if key == "milliseconds" else 1]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == sum(bool(point.get(key)) for point in points)
    assert [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)] == []
    dots = ax.transData.transform([line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"])
    assert not any(box.contains(x, y) for box in boxes for x, y in dots)


def test_a_name_stands_beside_its_own_point_above_where_there_is_room():
    ax = drawn("milliseconds")
    assert [text.xyann for text in ax.texts] == [(6, 4)] * 4
    assert {text.get_text(): text.xy for text in ax.texts}["large"] == (9.0, 70.0)


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
