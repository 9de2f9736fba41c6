"""YuNet through OpenCV, with a net of its form that finds red squares; fetched over a real connection."""

import hashlib
import http.server
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from fer.errors import WeightsError
from fer.faces import DETECTORS, Hint, Search, cut_faces, yunet
from tests.faces import nets


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return nets.write(tmp_path_factory.mktemp("net") / "face_detection_yunet_2023mar.onnx")


def squares(height, width, *corners, side=32):
    picture = np.full((height, width, 3), 40, np.uint8)
    for x, y in corners:
        picture[y : y + side, x : x + side] = (255, 0, 0)
    return picture


def boxes(finds):
    return sorted((round(f.x1), round(f.y1), round(f.x2), round(f.y2)) for f in finds)


def test_squares_are_found_where_they_are(net):
    finds = Search("yunet", net).open().find(squares(256, 320, (64, 96), (192, 32)))
    assert boxes(finds) == [(64, 96, 96, 128), (192, 32, 224, 64)]
    assert all(find.score > 0.9 for find in finds)


def test_landmarks_are_eyes_nose_and_mouth_in_the_picture(net):
    (find,) = Search("yunet", net).open().find(squares(256, 320, (64, 96)))
    np.testing.assert_allclose(find.landmarks, np.array((80, 112)) + 32 * np.array(nets.POINTS), atol=0.5)


def test_a_large_picture_is_searched_reduced_and_found_in_its_own_pixels(net):
    (find,) = Search("yunet", net).open().find(squares(960, 1280, (256, 128), side=64))
    assert boxes([find]) == [(256, 128, 320, 192)]


@pytest.mark.parametrize("size", [(97, 131), (100, 640), (30, 30), (1, 1), (3, 2000)])
def test_pictures_of_any_size_are_searched(net, size):
    assert Search("yunet", net).open().find(np.zeros((*size, 3), np.uint8)) == []


def test_a_hinted_face_is_brought_to_the_size_that_the_net_sees_best(net):
    """96 hinted pixels become 48: a square of 64 is one of 32 then, which this net finds; unhinted it would be two by two."""
    detector, picture = Search("yunet", net).open(), squares(192, 192, (128, 64), side=64)
    assert boxes(detector.find(picture, Hint(96, 140))) == [(128, 64, 192, 128)]
    assert all(find.side == pytest.approx(32) for find in detector.find(picture))


def test_a_leaning_face_is_turned_upright_by_its_eyes(tmp_path):
    leaning = nets.write(tmp_path / "leaning.onnx", lean=30.0)
    picture = squares(256, 320, (64, 96))
    picture[:96] = 250  # above the face
    (face,) = cut_faces(picture, Search("yunet", leaning).open())
    assert face.angle == pytest.approx(30, abs=0.5)
    left, right = face.landmarks[0], face.landmarks[1]
    assert right[0] > left[0]
    assert right[1] == pytest.approx(left[1], abs=0.2)  # the eyes are level in the face's own pixels


def test_threads_do_not_disturb_one_another(net):
    from concurrent.futures import ThreadPoolExecutor

    detector = Search("yunet", net).open()
    pictures = [squares(128 + 32 * (n % 5), 320, (32 * (n % 8), 64)) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(detector.find, pictures))
    assert [boxes(finds) for finds in found] == [[(32 * (n % 8), 64, 32 * (n % 8) + 32, 96)] for n in range(40)]


@pytest.mark.parametrize("content", [b"", b"no onnx" * 100])
def test_what_is_no_net_is_an_expected_error(tmp_path, content, capfd):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="OpenCV cannot use it as YuNet"):
        Search("yunet", tmp_path / "net.onnx").open()
    assert capfd.readouterr().err == ""


def test_another_onnx_is_an_expected_error(tmp_path):
    from fer.released import find

    with pytest.raises(WeightsError, match="OpenCV cannot use it as YuNet"):
        Search("yunet", find("fast_cnn-int8")).open().find(np.zeros((64, 64, 3), np.uint8))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def served(net, monkeypatch):
    """The net at an address on this machine, known by its own hash; gives the class that counts what is asked of it."""
    handler = type("Handler", (_Quiet,), {"asked": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=net.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    data = net.read_bytes()
    file = replace(
        yunet.FILE,
        url=f"http://127.0.0.1:{server.server_port}/{net.name}",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )
    monkeypatch.setattr(yunet, "FILE", file)
    monkeypatch.setitem(DETECTORS._entries, "yunet", replace(DETECTORS["yunet"], file=file))
    monkeypatch.setenv("FER_CACHE", str(net.parent / f"cache-{server.server_port}"))
    yield handler
    server.shutdown()
    server.server_close()


def test_the_file_is_fetched_once_and_auto_prefers_it_from_then_on(served):
    assert Search("auto").open().name == "haar"
    assert served.asked == 0  # auto never goes to the net
    assert boxes(Search("yunet").open().find(squares(128, 128, (32, 32)))) == [(32, 32, 64, 64)]
    Search("yunet").open()
    assert served.asked == 1
    assert Search("auto").open().name == "yunet"


def test_a_damaged_cache_is_fetched_anew(served):
    Search("yunet").open()
    yunet.FILE.path.write_bytes(b"damaged")
    assert Search("auto").open().name == "haar"
    Search("yunet").open()
    assert served.asked == 2


def test_another_file_at_the_address_is_refused_and_not_kept(served, monkeypatch):
    monkeypatch.setattr(yunet, "FILE", replace(yunet.FILE, sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"gave another file than .*, its sha256 is wrong; fetch http://127"):
        Search("yunet").open()
    assert not yunet.FILE.path.exists()


def test_without_a_network_the_error_says_what_to_do(served, monkeypatch):
    monkeypatch.setattr(yunet, "FILE", replace(yunet.FILE, url="http://127.0.0.1:9/net.onnx"))
    with pytest.raises(WeightsError, match=r"cannot fetch net\.onnx .*pass --detector-model FILE, or use --detector haar"):
        Search("yunet").open()


def test_the_official_file_is_the_one_that_is_named():
    assert yunet.FILE.name == "face_detection_yunet_2023mar.onnx"
    assert yunet.FILE.size == 232_589
    assert yunet.FILE.sha256 == "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
