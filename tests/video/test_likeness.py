"""Views of one face are more alike than those of two, measured on real faces."""

import cv2
import numpy as np
import pytest

from fer.data import load
from fer.detection import lfw_subset
from fer.faces import Find
from fer.video.likeness import likeness, look_of
from fer.video.tracker import _ALIKE
from tests.conftest import REAL_DATA


def looks_of(faces):
    return [look_of(np.repeat(f[..., None], 3, axis=2), Find(0, 0, f.shape[1], f.shape[0], 1.0)) for f in faces]


def pairs(faces):
    seen = looks_of(faces)
    return [likeness(a, b) for n, a in enumerate(seen) for b in seen[:n]]


def test_different_people_of_lfw_are_rarely_alike():
    different = pairs(lfw_subset()[0][:60])
    assert np.percentile(different, 99) == pytest.approx(0.78, abs=0.02)
    assert np.mean(np.array(different) >= _ALIKE) < 0.03


@pytest.mark.realdata
def test_different_people_of_fer_are_rarely_alike_and_one_beside_itself_mostly_is():
    faces = load(REAL_DATA).split("validation").images[::20, 0].numpy()
    assert np.percentile(pairs(faces[:80]), 99) == pytest.approx(0.73, abs=0.02)
    rng, same = np.random.default_rng(0), []
    for face in faces:
        large = np.repeat(cv2.resize(face, (192, 192))[..., None], 3, axis=2)
        (x, y), grown = rng.normal(0, 0.04 * 144, 2), rng.normal(0, 0.04 * 144)
        beside = Find(24 + x - grown, 24 + y - grown, 168 + x + grown, 168 + y + grown, 1.0)
        same.append(likeness(look_of(large, Find(24, 24, 168, 168, 1.0)), look_of(large, beside)))
    assert np.mean(np.array(same) >= _ALIKE) > 0.96


def test_a_look_outside_of_the_picture_is_like_none():
    picture = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    outside = look_of(picture, Find(60, 60, 80, 80, 1.0))
    assert outside.shape == (24, 24, 3)
    assert likeness(outside, look_of(picture, Find(0, 0, 50, 50, 1.0))) == 0
