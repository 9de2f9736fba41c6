"""What counts as blurred and dark: by hand, and on the real faces."""

import cv2
import numpy as np
import pytest

from fer.clarity import BLURRED, DARK, doubt, sharpness
from fer.data import load
from tests.conftest import REAL_DATA
from tests.fer import planted


def test_a_dark_face_is_dark_before_it_is_blurred():
    face = planted.face(1)
    assert doubt(face) == ""
    assert doubt((face // 12).astype(np.uint8)) == "dark"
    assert doubt(cv2.GaussianBlur(face, (0, 0), 3)) == "blurred"
    assert doubt(np.zeros((48, 48), np.uint8)) == "dark"
    assert doubt(np.full((48, 48), 200, np.uint8)) == "blurred"


def test_the_bounds_are_open_above():
    assert doubt(np.full((48, 48), int(DARK) - 1, np.uint8)) == "dark"
    stripes = np.tile(np.array([25, 25, 26, 25], np.uint8), (48, 12))
    assert doubt(stripes) == "" and sharpness(stripes) > BLURRED


@pytest.mark.realdata
def test_real_faces_are_rarely_called_blurred_and_blurred_ones_nearly_always():
    """docs/page.md: 0.03 % as they are, 85 % with a Gaussian of one pixel, 99 % with 1.25."""
    faces = load(REAL_DATA).split("validation").images.numpy()[:, 0]

    def share(sigma):
        return np.mean([sharpness(cv2.GaussianBlur(face, (0, 0), sigma)) < BLURRED for face in faces])

    assert np.mean([sharpness(face) < BLURRED for face in faces]) == pytest.approx(0.0003, abs=0.0003)
    assert share(1.0) == pytest.approx(0.847, abs=0.005)
    assert share(1.25) == pytest.approx(0.989, abs=0.005)
