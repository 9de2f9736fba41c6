"""The cascade on the sample: upright, leaning, reduced, hinted."""

import cv2
import numpy as np
import pytest

from fer.environment import cascade_file
from fer.errors import FerError
from fer.faces import Hint, Search, cut_faces
from fer.images import read
from fer.samples import sample_path

#: Box of the sample's face: from the bottom of the hairline to the chin, by eye.
FACE = (177, 66, 272, 161)


@pytest.fixture(scope="module")
def haar():
    return Search("haar").open()


@pytest.fixture(scope="module")
def sample():
    return read(sample_path())


def turned(picture, angle):
    """Clockwise about the face."""
    turn = cv2.getRotationMatrix2D((224, 113), -angle, 1.0)
    return cv2.warpAffine(picture, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)


def test_the_sample_has_one_face(haar, sample):
    (face,) = cut_faces(sample, haar)
    np.testing.assert_allclose(face.box.as_list(), FACE, atol=8)
    assert face.detector == "haar"


@pytest.mark.parametrize("angle", [-30, -25, 25, 30])
def test_a_face_that_leans_is_found_and_turned_upright(haar, sample, angle):
    (face,) = cut_faces(turned(sample, angle), haar)
    assert face.angle == np.sign(angle) * 25
    centre = (face.box.x1 + face.box.x2) / 2, (face.box.y1 + face.box.y2) / 2
    np.testing.assert_allclose(centre, (224, 113), atol=10)
    upright = cut_faces(sample, haar)[0].image
    faces = (cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA) for picture in (face.image, upright))
    ours, theirs = (picture.astype(float).ravel() for picture in faces)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8


def test_a_hint_searches_only_its_sizes_and_its_lean(haar, sample):
    assert len(haar.find(sample, Hint(80, 120))) == 1
    assert haar.find(sample, Hint(20, 60)) == [] or all(f.side < 66 for f in haar.find(sample, Hint(20, 60)))
    assert haar.find(turned(sample, 30), Hint(80, 120)) == []
    assert [find.angle for find in haar.find(turned(sample, 30), Hint(80, 120, 25.0))] == [25.0]


def test_a_large_picture_gives_boxes_in_its_own_pixels(haar, sample):
    large = cv2.resize(sample, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    (face,) = cut_faces(large, haar)
    np.testing.assert_allclose(face.box.as_list(), 3 * np.array(FACE), atol=30)


@pytest.mark.parametrize("size", [(97, 1), (1, 97), (100, 2000), (500, 97)])
def test_pictures_of_any_size_are_searched(haar, size):
    assert haar.find(np.full((*size, 3), 90, np.uint8)) == []


def test_a_cascade_of_ones_own_is_used(sample):
    own = cascade_file().with_name("haarcascade_frontalface_default.xml")
    finds = Search("auto", own).open().find(sample)
    assert any(abs(find.centre[0] - 224) < 20 for find in finds)


@pytest.mark.parametrize("content", ["", "<xml/>", "no cascade"])
def test_what_is_no_cascade_is_an_expected_error(tmp_path, content):
    (tmp_path / "c.xml").write_text(content, encoding="utf-8")
    with pytest.raises(FerError, match="OpenCV reads no cascade from it"):
        Search("haar", tmp_path / "c.xml").open()
