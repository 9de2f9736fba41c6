"""The canonical template: every pixel has one region, it sits where eyes and mouths are, and it follows landmarks."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from analysis.regions.face_template import (
    ANCHORS,
    BACKGROUND,
    REGION_COLOURS,
    REGIONS,
    label_at,
    regions_from_landmarks,
    regions_of,
    regions_of_crops,
    similarity,
    template,
)
from fer.data import load
from fer.errors import DataError
from fer.types import Box, Face
from tests.conftest import REAL_DATA


def test_every_pixel_has_one_region_and_every_region_some_pixels():
    labels = template()
    assert labels.shape == (48, 48) and labels.dtype == np.int8
    counts = np.bincount(labels.ravel(), minlength=len(REGIONS))
    assert counts.sum() == 48 * 48 and len(counts) == len(REGIONS) and (counts >= 60).all()
    assert len(set(REGION_COLOURS.values())) == len(REGIONS)


@pytest.mark.parametrize(
    ("region", "pieces"),
    [("brows", 1), ("eyes", 2), ("nose", 1), ("mouth", 1), ("cheeks", 1), ("forehead", 1), ("chin", 1), ("background", 2)],
)
def test_a_region_is_of_one_piece_or_one_on_each_side(region, pieces):
    marked, _ = ndimage.label(template() == REGIONS.index(region))
    assert (np.bincount(marked.ravel())[1:] > 2).sum() == pieces  # a pixel of cheek lies between eye and nose


@pytest.mark.parametrize(("anchor", "region"), zip(range(5), ["eyes", "eyes", "nose", "mouth", "mouth"], strict=True))
def test_the_anchors_lie_in_their_regions(anchor, region):
    assert REGIONS[label_at(ANCHORS[anchor : anchor + 1])[0]] == region


def test_the_corners_are_background_and_the_brows_lie_over_the_eyes():
    labels = template()
    assert [labels[y, x] for y in (0, 47) for x in (0, 47)] == [BACKGROUND] * 4
    rows = {name: np.nonzero(labels == place)[0].mean() for place, name in enumerate(REGIONS)}
    assert rows["brows"] < rows["eyes"] < rows["nose"] < rows["mouth"]


def moved(points, angle, scale, shift):
    """Independent of the code under test: by complex numbers."""
    z = (points[:, 0] + 1j * points[:, 1]) * scale * np.exp(1j * angle) + complex(*shift)
    return np.stack([z.real, z.imag], axis=1)


@pytest.mark.parametrize(("angle", "scale", "shift"), [(0, 1, (0, 0)), (0.3, 1, (2, -3)), (-0.2, 0.8, (5, 4)), (0, 2, (0, 0))])
def test_the_similarity_is_recovered_exactly(angle, scale, shift):
    found = similarity(ANCHORS, moved(ANCHORS, angle, scale, shift))
    expected = moved(np.array([(0.0, 0.0), (1, 0), (0, 1)]), angle, scale, shift)
    np.testing.assert_allclose(found[:, 2], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[:, 0], expected[1] - expected[0], atol=1e-9)
    np.testing.assert_allclose(found[:, 1], expected[2] - expected[0], atol=1e-9)


def test_with_noise_it_is_the_least_squares_fit():
    noisy = moved(ANCHORS, 0.1, 1.1, (1, 2)) + np.random.default_rng(0).normal(0, 1, (5, 2))
    x, y = ANCHORS.T
    one, zero = np.ones(5), np.zeros(5)
    design = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, tx, ty = np.linalg.lstsq(design, noisy.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(ANCHORS, noisy), [[a, -b, tx], [b, a, ty]], atol=1e-9)


def test_the_templates_own_points_give_the_template():
    np.testing.assert_array_equal(regions_from_landmarks(ANCHORS), template())


def test_a_shift_by_whole_pixels_shifts_the_regions():
    found = regions_from_landmarks(ANCHORS + np.array((3, -2)))
    assert (found[:46, 3:] == template()[2:, :45]).mean() > 0.999  # pixels on an edge may fall to either side


def test_a_face_turned_by_a_quarter_turns_the_regions():
    quarter = np.stack([47 - ANCHORS[:, 1], ANCHORS[:, 0]], axis=1)  # clockwise
    found = regions_from_landmarks(quarter)
    assert (found == np.rot90(template(), -1)).mean() > 0.999  # pixels on an edge may fall to either side


def test_a_crop_of_another_size_has_the_same_shares():
    large = regions_from_landmarks((ANCHORS + 0.5) * 4 - 0.5, size=192)
    assert large.shape == (192, 192)
    for place in range(len(REGIONS)):
        assert (large == place).mean() == pytest.approx((template() == place).mean(), abs=0.01)


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((5, 2)), np.ones((4, 2)), np.full((5, 2), np.nan), np.zeros(10)],
    ids=["one point", "four points", "nan", "flat"],
)
def test_landmarks_that_are_none_are_an_expected_error(landmarks):
    with pytest.raises(DataError, match="five"):
        regions_from_landmarks(landmarks)


def test_a_face_without_landmarks_has_the_template_one_with_them_its_own():
    image, box = np.zeros((96, 96, 3), dtype=np.uint8), Box(100, 50, 196, 146)
    assert regions_of(Face(image, box, 1.0, "haar")) is template()
    landmarks = (ANCHORS + np.array((3, -2)) + 0.5) * 2 - 0.5
    found = regions_of(Face(image, box, 1.0, "other", landmarks.astype(np.float32)))
    assert (found == regions_from_landmarks(ANCHORS + np.array((3, -2)))).mean() > 0.99


def test_faces_of_a_set_follow_their_landmarks_and_those_without_have_the_template():
    found = regions_of_crops(np.stack([ANCHORS + 4, np.full((5, 2), np.nan)]))
    assert found.shape == (2, 48, 48)
    np.testing.assert_array_equal(found[0], regions_from_landmarks(ANCHORS + 4))
    np.testing.assert_array_equal(found[1], template())
    assert (found[0] != found[1]).mean() > 0.1


@pytest.mark.parametrize(
    "landmarks", [ANCHORS, np.zeros((3, 4, 2)), np.zeros((1, 5, 2))], ids=["one face", "four", "one point"]
)
def test_landmarks_of_a_set_that_are_none_are_an_expected_error(landmarks):
    with pytest.raises(DataError, match="five"):
        regions_of_crops(landmarks)


def test_half_of_the_points_missing_is_an_expected_error():
    landmarks = ANCHORS.copy()
    landmarks[3:] = np.nan
    with pytest.raises(DataError, match="five"):
        regions_of_crops(landmarks[None])


@pytest.mark.realdata
def test_the_eyes_of_real_faces_lie_in_the_eyes():
    """OpenCV's own eye detector on the upper part of enlarged faces; pairs side by side and neither too near nor too far."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_eye.xml")
    pairs = []
    for image in load(REAL_DATA).split("validation").images[::6, 0].numpy():
        large = cv2.resize(image, (192, 192), interpolation=cv2.INTER_CUBIC)
        found = cascade.detectMultiScale(large[:120], 1.05, 6, minSize=(28, 28))
        eyes = sorted(((x + w / 2) / 4 - 0.5, (y + h / 2) / 4 - 0.5) for x, y, w, h in found)
        if len(eyes) == 2 and abs(eyes[0][1] - eyes[1][1]) < 5 and 12 < eyes[1][0] - eyes[0][0] < 26:
            pairs.append(eyes)
    points = np.array(pairs)
    assert len(points) > 300
    np.testing.assert_allclose(np.median(points, axis=0), ANCHORS[:2], atol=1)
    inside = (label_at(points.reshape(-1, 2)) == REGIONS.index("eyes")).mean()
    assert inside > 0.7  # docs/regions.md: 74 %
