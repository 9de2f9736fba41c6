"""BlazeFace through MediaPipe's tasks API: what comes in and goes out; and, where its file is given, on the sample."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer.errors import ConfigError, WeightsError
from fer.faces import Search, cut_faces, mediapipe
from fer.images import read
from fer.samples import sample_path

#: The official file cannot be fetched where tests run; name it to run the test of the real net.
MODEL = Path(os.environ.get("FER_MEDIAPIPE_MODEL", "no file"))


class Net:
    """Answers as MediaPipe does: boxes in pixels, points in shares of the picture."""

    def __init__(self, *detections):
        self.detections, self.shapes = list(detections), []

    def detect(self, picture):
        self.shapes.append((picture.height, picture.width))
        return SimpleNamespace(detections=self.detections)

    def close(self):
        pass


def detection(x, y, width, height, score, *points):
    return SimpleNamespace(
        bounding_box=SimpleNamespace(origin_x=x, origin_y=y, width=width, height=height),
        categories=[SimpleNamespace(score=score)],
        keypoints=[SimpleNamespace(x=u, y=v) for u, v in points],
    )


@pytest.fixture
def net(monkeypatch):
    def use(*detections):
        made = Net(*detections)
        monkeypatch.setattr(mediapipe, "_open", lambda path: made)
        return made

    return use


def test_boxes_and_points_come_out_in_pixels(net, tmp_path):
    eyes, nose, mouth, ears = ((0.25, 0.4), (0.35, 0.4)), (0.3, 0.5), (0.3, 0.6), ((0.2, 0.45), (0.4, 0.45))
    used = net(detection(40, 60, 60, 60, 0.9, *eyes, nose, mouth, *ears))
    (find,) = Search("mediapipe", _touched(tmp_path)).open().find(np.zeros((200, 200, 3), np.uint8))
    assert (find.x1, find.y1, find.x2, find.y2, find.score) == (40, 60, 100, 120, 0.9)
    np.testing.assert_allclose(find.landmarks[:3], [(50, 80), (70, 80), (60, 100)], atol=1e-4)
    # the corners of the mouth lie on either side of its middle, along the line of the eyes
    np.testing.assert_allclose(find.landmarks[3:].mean(axis=0), (60, 120), atol=1e-4)
    assert find.landmarks[3, 0] < 60 < find.landmarks[4, 0]
    assert used.shapes[-1] == (200, 200)


def test_a_picture_without_faces_has_none(net, tmp_path):
    net()
    assert Search("mediapipe", _touched(tmp_path)).open().find(np.zeros((50, 60, 3), np.uint8)) == []


def _touched(folder):
    (folder / "net.tflite").touch()
    return folder / "net.tflite"


@pytest.mark.parametrize("content", [b"", b"no net" * 1000])
def test_what_is_no_net_is_an_expected_error(tmp_path, content, capfd):
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(WeightsError, match="MediaPipe cannot use it"):
        Search("auto", tmp_path / "net.tflite").open()
    assert capfd.readouterr().err == ""


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mediapipe")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ConfigError, match=r"pip install 'ferscope\[mediapipe\]'"):
        Search("mediapipe", _touched(tmp_path)).open()


def test_the_official_file_is_the_one_that_is_named():
    assert mediapipe.FILE.name == "blaze_face_short_range.tflite"
    assert mediapipe.FILE.sha256 == "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f"


@pytest.mark.skipif(not MODEL.is_file(), reason="needs BlazeFace's file, named by FER_MEDIAPIPE_MODEL")
def test_the_real_net_finds_the_sample(capfd):
    (face,) = cut_faces(read(sample_path()), Search("mediapipe", MODEL).open())
    np.testing.assert_allclose(face.box.as_list(), (177, 66, 272, 161), atol=22)
    left, right = face.landmarks[:2]
    assert left[0] < right[0]
    assert capfd.readouterr().err == ""
