"""From finds to faces: where they are cut, and how those that lean are turned."""

import cv2
import numpy as np
import pytest

from fer.faces import Find, Margin, cut
from fer.faces.crop import lean_of

PICTURE = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)


def test_an_upright_face_is_the_picture_inside_its_box():
    face = cut(PICTURE, Find(50, 60, 110, 120, 2.5), Margin(), "haar")
    assert face.box.as_list() == [50, 60, 110, 120]
    np.testing.assert_array_equal(face.image, PICTURE[60:120, 50:110])
    assert (face.score, face.detector, face.angle, face.landmarks) == (2.5, "haar", 0.0, None)


def test_the_margin_widens_and_lifts_the_square():
    face = cut(PICTURE, Find(100, 80, 140, 120, 1.0), Margin(side=1.5, up=0.1), "x")
    # centre (120, 100) lifted by 4, side 60
    assert face.box.as_list() == [90, 66, 150, 126]


def test_an_oblong_box_gives_a_square_of_its_longer_side():
    assert cut(PICTURE, Find(100, 80, 130, 120, 1.0), Margin(), "x").box.as_list() == [95, 80, 135, 120]


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((-20, -10, 40, 50), [0, 0, 40, 50]),
        ((270, 170, 330, 230), [270, 170, 300, 200]),
        ((-100, -100, 400, 400), [0, 0, 300, 200]),
        ((-50, 0, 0, 50), None),
        ((300, 0, 350, 50), None),
        ((10.2, 10.2, 10.4, 10.4), None),
    ],
)
def test_a_box_ends_where_the_picture_does_and_what_lies_outside_is_none(corners, box):
    face = cut(PICTURE, Find(*corners, 1.0), Margin(), "x")
    assert (face and face.box.as_list()) == box


@pytest.mark.parametrize("corners", [(-20, -10, 40, 50), (270, 170, 330, 230), (-100, -100, 400, 400), (280, -5, 310, 25)])
@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_a_face_at_the_edge_keeps_its_proportions(corners, angle):
    """As if the picture went on: cut from one that numpy has padded with its edges."""
    points = np.float32([(10, 20), (30, 20), (22, 30), (12, 40), (28, 44)]) if not angle else None
    face = cut(PICTURE, Find(*corners, 1.0, angle=angle, landmarks=points), Margin(), "x")
    wide = np.pad(PICTURE, ((500, 500), (500, 500), (0, 0)), mode="edge")
    moved = Find(*corners, 1.0, angle=angle, landmarks=points).moved(1.0, 500, 500)
    expected = cut(wide, moved, Margin(), "x")
    side = corners[2] - corners[0]
    assert face.image.shape == (side, side, 3)
    np.testing.assert_allclose(face.image, expected.image, atol=0 if not angle else 1)
    assert face.pivot == expected.pivot
    if points is not None:
        np.testing.assert_allclose(face.landmarks, expected.landmarks)
    (x, y), box = face.inset, face.box
    assert (box.x1 - x, box.y1 - y) == corners[:2]
    if not angle:
        inside = face.image[y : y + box.height, x : x + box.width]
        np.testing.assert_array_equal(inside, PICTURE[box.y1 : box.y2, box.x1 : box.x2])


def test_a_leaning_face_is_cut_from_a_picture_wider_than_opencv_turns():
    wide = np.zeros((120, 40_000, 3), np.uint8)
    wide[:, 34_000:34_300] = PICTURE[:120]
    found = cut(wide, Find(34_120, 30, 34_180, 90, 1.0, angle=25.0), Margin(), "x")
    expected = cut(PICTURE[:120], Find(120, 30, 180, 90, 1.0, angle=25.0), Margin(), "x")
    np.testing.assert_allclose(found.image, expected.image, atol=1)


def smooth():
    coarse = np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    return cv2.resize(coarse, (300, 200), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("angle", [-40.0, -25.0, 10.0, 25.0, 60.0])
def test_a_leaning_face_comes_out_as_it_was_before_it_leant(angle):
    """An upright picture is turned clockwise about a place; cutting there with the lean gives the upright pixels back."""
    upright, centre = smooth(), (150.0, 100.0)
    leaning = cv2.warpAffine(upright, cv2.getRotationMatrix2D(centre, -angle, 1.0), (300, 200), borderMode=cv2.BORDER_REPLICATE)
    face = cut(leaning, Find(120, 70, 180, 130, 1.0, angle=angle), Margin(), "x")
    assert face.angle == angle
    differs = np.abs(face.image.astype(int) - upright[70:130, 120:180].astype(int))
    assert differs.mean() < 3


def test_the_lift_of_a_leaning_face_goes_along_its_own_axis():
    face = cut(PICTURE, Find(120, 70, 180, 130, 1.0, angle=90.0), Margin(up=0.5), "x")
    # it lies on its right side, looking the same way: up is to the right
    assert face.box.as_list() == [150, 70, 210, 130]


def test_landmarks_lie_in_the_pixels_of_the_face():
    points = np.float32([(130, 90), (170, 90), (150, 105), (138, 120), (162, 120)])
    face = cut(PICTURE, Find(120, 70, 180, 130, 1.0, landmarks=points), Margin(), "x")
    np.testing.assert_allclose(face.landmarks, points - (120, 70))


def test_landmarks_of_a_leaning_face_are_turned_with_it():
    upright = np.float32([(130, 90), (170, 90), (150, 105), (138, 120), (162, 120)])
    turn = cv2.getRotationMatrix2D((150, 100), -30, 1.0)
    leaning = np.float32(upright @ turn[:, :2].T + turn[:, 2])
    find = Find(120, 70, 180, 130, 1.0, landmarks=leaning)
    assert lean_of(find) == pytest.approx(30, abs=1e-3)
    face = cut(PICTURE, find, Margin(), "x")
    np.testing.assert_allclose(face.landmarks, upright - (120, 70), atol=1e-3)


def test_small_leans_are_left_alone():
    assert cut(PICTURE, Find(120, 70, 180, 130, 1.0, angle=4.0), Margin(), "x").angle == 0.0


def test_a_find_moves_with_its_landmarks():
    find = Find(10, 20, 30, 40, 1.5, angle=7.0, landmarks=np.ones((5, 2), np.float32))
    moved = find.moved(2.0, 5, -5)
    assert (moved.x1, moved.y1, moved.x2, moved.y2, moved.score, moved.angle) == (25, 35, 65, 75, 1.5, 7.0)
    assert moved.landmarks.tolist() == [[7, -3]] * 5
    assert (find.side, find.centre) == (20, (20, 30))
