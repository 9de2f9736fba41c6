"""Films, cameras and streams: what they give, and how they end."""

import http.server
import itertools
import os
import threading
from functools import partial

import cv2
import numpy as np
import pytest
from PIL import Image

from fer.errors import VideoError
from fer.video import open_source
from fer.video import source as sources
from tests.video import films


class Capture:
    """A camera that gives what the test says; None is a frame that cannot be read."""

    def __init__(self, pictures, fps=30.0, length=0.0):
        self.pictures, self.fps, self.length, self.released = list(pictures), fps, length, False

    def isOpened(self):
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_FRAME_COUNT: self.length}.get(what, 0.0)

    def read(self):
        picture = self.pictures.pop(0) if self.pictures else None
        if isinstance(picture, cv2.error):
            raise picture
        return picture is not None, picture

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    def plug(*arguments, **named):
        capture = Capture(*arguments, **named)
        monkeypatch.setattr(sources, "_capture", lambda name: capture)
        monkeypatch.setattr(sources, "_PAUSE", 0.0)
        return capture

    return plug


def shade(value, width=64, height=48):
    return np.full((height, width, 3), value, np.uint8)


def test_a_film_gives_its_frames_in_order_with_their_times(tmp_path):
    path = films.write(tmp_path / "film.mp4", [shade(10 * n) for n in range(20)], fps=10.0)
    with open_source(str(path)) as source:
        assert (source.size, source.fps, source.length, source.is_live) == ((64, 48), 10.0, 20, False)
        seen = list(source)
    assert [frame.number for frame in seen] == list(range(20))
    np.testing.assert_allclose([frame.seconds for frame in seen], np.arange(20) / 10, atol=1e-3)
    # the codec loses a little
    np.testing.assert_allclose([frame.image.mean() for frame in seen], 10 * np.arange(20), atol=4)
    assert (source.skipped, source.ended_early) == (0, "")


def test_frames_are_rgb(tmp_path):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    with open_source(str(films.write(tmp_path / "red.avi", [red]))) as source:
        (frame,) = source
    assert frame.image[..., 0].mean() > 150 and frame.image[..., 2].mean() < 60


def test_a_film_that_is_cut_short_ends_with_a_reason(tmp_path):
    path = films.write(tmp_path / "film.avi", films.frames(60, (films.head(), films.still)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_source(str(path)) as source:
        count = sum(1 for _ in source)
    assert 5 < count < 55
    assert source.ended_early == f"{path} ends after {count} of 60 frames: cut short or damaged"


@pytest.mark.parametrize(
    ("make", "says"),
    {
        "nothing there": (lambda path: None, "no such file"),
        "a folder": (lambda path: path.mkdir(), "this is a folder"),
        "an empty file": (lambda path: path.touch(), "cannot be opened"),
        "no film": (lambda path: path.write_bytes(b"no film" * 1000), "cannot be opened"),
        "a film without its end": (lambda path: path.write_bytes(b"\0\0\0\x1cftypisom" + bytes(3000)), "cannot be opened"),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_film_is_an_expected_error_and_opencv_is_quiet(make, says, tmp_path, capfd):
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(VideoError, match=says):
        open_source(str(path))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.jpg", "A.PNG", "a.gif", "a.bmp", "a.tif"])
def test_a_still_is_no_film(name, tmp_path, capfd):
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(tmp_path / name)
    with pytest.raises(VideoError, match="this is a picture; use fer predict for pictures"):
        open_source(str(tmp_path / name))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_pictures_that_move_are_films(name, tmp_path):
    first, *rest = (Image.fromarray(shade(9 * number)) for number in range(1, 5))
    first.save(tmp_path / name, save_all=True, append_images=rest, duration=100)
    with open_source(str(tmp_path / name)) as source:
        assert sum(1 for _ in source) == 4


def test_a_film_that_is_named_as_a_picture_is_a_film(tmp_path):
    films.write(tmp_path / "film.mp4", [shade(9 * number) for number in range(5)]).rename(tmp_path / "film.jpg")
    with open_source(str(tmp_path / "film.jpg")) as source:
        assert sum(1 for _ in source) == 5


def test_a_camera_that_is_not_there_is_an_expected_error_and_opencv_is_quiet(capfd):
    with pytest.raises(VideoError, match=r"camera 97: cannot be opened; check that it is connected"):
        open_source("97")
    assert capfd.readouterr().err == ""


def test_a_number_that_is_no_cameras_is_taken_for_a_file():
    with pytest.raises(VideoError, match="99999999999: no such file"):
        open_source("99999999999")


def test_an_empty_name_is_an_expected_error():
    with pytest.raises(VideoError, match="an empty name"):
        open_source("")


def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    films.write(tmp_path / "film.mp4", [shade(9)]).rename(tmp_path / "a:b.mp4")
    with open_source("a:b.mp4") as source:
        assert sum(1 for _ in source) == 1


def test_a_kind_that_does_not_count_its_frames_is_not_said_to_be_cut_short(tmp_path):
    """Matroska says how long its longest stream lasts, and that may be the sound."""
    with open_source(str(films.write(tmp_path / "film.mkv", [shade(9)] * 5))) as source:
        assert source.length == 0
        assert sum(1 for _ in source) == 5
    assert source.ended_early == ""


def test_times_begin_at_zero_and_go_on_where_the_file_says_none(camera):
    capture = camera([shade(0)] * 5)
    said = iter([67, 67, 100, 133, 0, 0])  # milliseconds: of the first when it is opened, then frame by frame
    capture.get = lambda what: next(said) if what == cv2.CAP_PROP_POS_MSEC else {cv2.CAP_PROP_FPS: 30.0}.get(what, 0.0)
    with sources.Source(capture, "film.avi", is_live=False) as source:
        np.testing.assert_allclose([frame.seconds for frame in source], np.arange(5) / 30, atol=2e-3)


def test_a_stream_that_nobody_serves_is_an_expected_error():
    with pytest.raises(VideoError, match=r"http://127\.0\.0\.1:9/film: cannot be opened"):
        open_source("http://127.0.0.1:9/film")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """Address of a folder on a server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_stream_is_read_over_the_network(served, tmp_path):
    """A camera's pictures one after the other, as many as come."""
    pictures = [cv2.imencode(".jpg", shade(100))[1].tobytes() for _ in range(12)]
    (tmp_path / "camera.mjpeg").write_bytes(b"".join(pictures))
    with open_source(f"{served}/camera.mjpeg") as source:
        assert source.is_live
        assert sum(1 for _ in source) == 12
    assert "gives no more frames after 12" in source.ended_early


def test_a_film_on_a_server_is_read_by_its_own_times(served, tmp_path):
    films.write(tmp_path / "film.mp4", films.frames(30, (films.head(), films.still)))
    with open_source(f"{served}/film.mp4") as source:
        times = [frame.seconds for frame in source]
    assert not source.is_live and source.ended_early == ""
    assert times == pytest.approx([n / films.FPS for n in range(30)], abs=1e-3)


def test_an_unplugged_camera_ends_with_a_reason_and_is_released(camera):
    capture = camera([shade(n) for n in range(7)])
    with open_source("0") as source:
        seen = list(source)
    assert [frame.image[0, 0, 0] for frame in seen] == list(range(7))
    assert source.ended_early == "camera 0 gives no more frames after 7; is it still connected?"
    assert capture.released


def test_times_of_a_camera_are_those_of_a_clock_and_only_grow(camera):
    camera([shade(0)] * 5)
    with open_source("0") as source:
        times = [frame.seconds for frame in source]
    assert times[0] < 0.05
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


def test_frames_that_cannot_be_read_are_skipped_and_counted(camera):
    camera([shade(1), None, shade(2), cv2.error("damaged"), None, shade(3), np.zeros((0, 0, 3), np.uint8), shade(4)])
    with open_source("0") as source:
        assert [frame.image[0, 0, 0] for frame in source] == [1, 2, 3, 4]
    assert source.skipped == 4


def test_frames_of_another_size_are_fitted_whole_into_the_first(camera):
    camera([shade(200, 64, 48), shade(200, 128, 96), shade(200, 48, 48), np.full((24, 64), 200, np.uint8)])
    with open_source("0") as source:
        same, half, square, wide = (frame.image for frame in source)
    assert {picture.shape for picture in (same, half, square, wide)} == {(48, 64, 3)}
    assert half.min() == 200
    assert square[:, :8].max() == square[:, 56:].max() == 0
    assert square[:, 8:56].min() == 200
    assert wide[:12].max() == wide[36:].max() == 0
    assert wide[12:36].min() == 200


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e6, float("nan")])
def test_a_pace_that_cannot_be_is_replaced(camera, fps):
    camera([shade(0)], fps=fps)
    with open_source("0") as source:
        assert source.fps == 25.0


def test_a_camera_without_any_frame_is_an_expected_error(camera):
    capture = camera([])
    with pytest.raises(VideoError, match="gives no frame that can be read"):
        open_source("0")
    assert capture.released


def test_the_address_of_a_file_is_that_file(tmp_path):
    path = films.write(tmp_path / "a film.mp4", films.frames(12, (films.head(), films.still)))
    with open_source(path.as_uri()) as source, open_source(str(path)) as plain:
        assert (source.is_live, source.length) == (False, 12)
        assert [frame.seconds for frame in source] == [frame.seconds for frame in plain]
    with pytest.raises(VideoError, match="no such file"):
        open_source((tmp_path / "nowhere.mp4").as_uri())


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/dev/null"])
def test_names_that_no_film_has_are_an_expected_error(name):
    with pytest.raises(VideoError) as error:
        open_source(name)
    assert len(str(error.value)) < 500


def test_a_pipe_is_read_as_a_film(tmp_path):
    film, pipe = films.write(tmp_path / "film.avi", films.frames(8, (films.head(), films.still))), tmp_path / "pipe.avi"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(film.read_bytes()), daemon=True)
    writer.start()
    with open_source(str(pipe)) as source:
        assert sum(1 for _ in source) == 8
    writer.join(10)
