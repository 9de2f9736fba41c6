"""How detectors are measured: by detectors that do what the test says, then on real faces."""

import numpy as np
import pytest

from fer.data import load
from fer.detection import fit, lfw_subset, staged, trial
from fer.errors import DataError
from fer.faces import Find, Margin, Search
from fer.predict import open_model
from tests.conftest import REAL_DATA

#: Where a staged face lies.
LOW, HIGH = 96, 288


class Says:
    """Finds these boxes in every picture that is bright enough."""

    name, leans = "says", ()

    def __init__(self, *finds, margin=None):
        self.finds, self.margin = list(finds), margin or Margin()

    def find(self, image, hint=None):
        return self.finds if image.mean() > 100 else []


BRIGHT, DARK = np.full((25, 25), 200, np.uint8), np.full((25, 25), 20, np.uint8)
FACE, BESIDE = Find(100, 100, 280, 280, 1.0), Find(0, 0, 60, 60, 0.5)


def test_a_staged_face_lies_in_the_middle_with_its_edges_drawn_out():
    face = np.random.default_rng(0).integers(0, 255, (48, 48), dtype=np.uint8)
    picture = staged(face)
    assert picture.shape == (384, 384, 3)
    inner = picture[LOW:HIGH, LOW:HIGH, 0]
    assert np.corrcoef(inner[2::4, 2::4].ravel(), face.ravel())[0, 1] > 0.9
    assert (picture[:LOW, 200] == picture[LOW, 200]).all()


def test_found_and_false_boxes_are_counted():
    result = trial(Says(FACE, BESIDE), [BRIGHT, BRIGHT, DARK], [BRIGHT, DARK])
    assert (result.pictures, result.found) == (3, 2)
    assert result.false == 2 * 1 + 2  # one beside each face found; both in the other picture


def test_a_box_must_lie_on_the_face():
    small, shifted = Find(180, 180, 200, 200, 1.0), Find(250, 96, 442, 288, 1.0)
    for box in (small, shifted):
        assert trial(Says(box), [BRIGHT], []).found == 0


@pytest.fixture
def faces(fake_zip):
    return load(fake_zip).split("validation")


def test_the_margin_is_what_turns_the_boxes_into_the_squares(faces):
    """A box of 160 whose centre lies 8 pixels below the square's of 192: 1.2 times as wide, .05 of the box up."""
    detector = Says(Find(112, 120, 272, 280, 1.0), margin=Margin(1.2, 0.05))
    detector.find = lambda image, hint=None: detector.finds
    fitted = fit(detector, open_model("fast_cnn-int8"), faces)
    assert (fitted.margin.side, fitted.margin.up) == pytest.approx((1.2, 0.05))
    assert (fitted.narrow, fitted.wide, fitted.found, fitted.faces) == (1.2, 1.2, len(faces), len(faces))
    assert fitted.cut == pytest.approx(fitted.given, abs=0.2)


def test_a_detector_that_finds_nothing_is_an_expected_error(faces):
    with pytest.raises(DataError, match="none finds none of"):
        fit(Search("none").open(), open_model("fast_cnn-int8"), faces)


def test_the_cascade_finds_nearly_all_faces_of_lfw_and_little_else():
    people, others = lfw_subset()
    assert (len(people), len(others), people[0].shape) == (100, 100, (25, 25))
    result = trial(Search("haar").open(), people, others)
    assert result.found >= 97
    assert result.false <= 5


@pytest.mark.realdata
def test_the_cascades_margin_is_the_fitted_one_and_costs_no_accuracy():
    import torch

    split = load(REAL_DATA).split("validation")
    detector = Search("haar").open()
    fitted = fit(detector, open_model("fast_cnn-int8"), split.select(torch.arange(0, len(split), 7)))
    assert fitted.margin.side == pytest.approx(detector.margin.side, abs=0.03)
    assert fitted.margin.up == pytest.approx(detector.margin.up, abs=0.02)
    assert fitted.found / fitted.faces > 0.75
    assert fitted.cut > fitted.given - 0.04  # two standard errors of a paired difference over 400 faces
