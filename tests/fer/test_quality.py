"""Brightness, contrast, sharpness and oddness against scipy, numpy and hand-made faces."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from fer.data import quality
from tests.fer import planted

IMAGES = [planted.face(1), planted.fainter(planted.face(2)), (planted.face(3) // 8).astype(np.uint8), planted.BLANK]


def test_brightness_and_contrast_are_mean_and_deviation():
    np.testing.assert_allclose(quality.brightness(planted.stack(*IMAGES)), [image.mean() for image in IMAGES], rtol=1e-5)
    np.testing.assert_allclose(quality.contrast(planted.stack(*IMAGES)), [image.std() for image in IMAGES], rtol=1e-6)


def test_only_blank_images_have_no_contrast():
    nearly = np.full((48, 48), 255, dtype=np.uint8)
    nearly[3, 4] = 254
    assert (quality.contrast(planted.stack(planted.BLANK, nearly, 0 * nearly)) > 0).tolist() == [False, True, False]


def test_sharpness_is_the_variance_of_the_laplacian_over_that_of_the_pixels():
    kernel = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    expected = [
        convolve2d(image.astype(float), kernel, "valid").var(ddof=1) / max(image.astype(float).var(ddof=1), 1e-9)
        for image in IMAGES
    ]
    np.testing.assert_allclose(quality.sharpness(planted.stack(*IMAGES)), expected, rtol=1e-4)


def test_sharpness_does_not_count_contrast():
    face = planted.face(1) // 2
    soft, hard = quality.sharpness(planted.stack(face, face * 2))
    assert soft == pytest.approx(hard)


def usual(count):
    """Faces of one kind: a few fixed patterns in random shares."""
    rng = np.random.default_rng(0)
    patterns = np.stack([planted.face(seed).astype(float) - 128 for seed in range(8)])
    shares = rng.uniform(-0.4, 0.4, (count, 8))
    noise = rng.normal(0, 3, (count, 48, 48))
    return [image.astype(np.uint8) for image in np.clip(128 + np.tensordot(shares, patterns, 1) + noise, 0, 255)]


def test_what_is_unlike_all_others_is_odd():
    scores = quality.oddness(planted.stack(*usual(400), planted.face(99), planted.BLANK))
    assert scores.argmax() == 400 and scores[400] >= quality.ODD
    assert scores[401] == 0
    assert abs(np.median(scores[:400])) < 0.1


def test_a_few_faces_have_no_usual_look():
    assert quality.oddness(planted.stack(*usual(150), planted.face(99))).tolist() == [0] * 151
