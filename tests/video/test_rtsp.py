"""A camera of the network: VLC serves a film by RTSP, and it is read until the server goes."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from fer.errors import VideoError
from fer.video import open_source
from tests.conftest import needs
from tests.video import films
from tests.video.films import rows_of

pytestmark = needs("cvlc")
MODEL = "fast_cnn-int8"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Eight seconds of a face that moves."""
    pictures = films.frames(200, (films.head(), lambda n: (20 + n * 0.6, 60)))
    return films.write(tmp_path_factory.mktemp("films") / "film.mp4", pictures)


@pytest.fixture
def camera(film):
    """The address where the film is served at its own pace, over and over, and the process that serves it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"rtsp://127.0.0.1:{port}/camera"
    nobody = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []  # VLC does not run as root
    words = ["cvlc", "-I", "dummy", "--loop", "--sout-keep", "--sout", f"#rtp{{sdp={address}}}", "fd://0"]
    with film.open("rb") as file:
        process = subprocess.Popen([*nobody, *words], stdin=file, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_served(port, process)
        yield address, process
    finally:
        _end(process)


def test_a_stream_becomes_a_table_until_its_time_is_over(fer, camera, tmp_path):
    address, _ = camera
    outcome = fer("webcam", "--source", address, "--no-show", "--csv", tmp_path / "faces.csv", "--seconds", "3", "-c", MODEL)
    assert outcome.code == 0
    rows = rows_of(tmp_path / "faces.csv")
    assert {row["face"] for row in rows} == {"1"}
    numbers, seconds = [int(row["frame"]) for row in rows], [float(row["seconds"]) for row in rows]
    assert numbers == sorted(set(numbers)) and seconds == sorted(seconds)
    assert min(seconds) >= 0 and max(seconds) <= 3


def test_frames_are_those_that_were_sent(camera):
    with open_source(camera[0]) as source:
        assert source.is_live
        assert source.size == (films.WIDTH, films.HEIGHT)
        frames = [frame for frame, _ in zip(source, range(10), strict=False)]
    expected = films.background().mean()
    assert all(abs(frame.image.mean() - expected) < 12 for frame in frames)


def test_a_server_that_goes_is_an_error_and_the_files_are_whole(fer, camera, tmp_path):
    address, process = camera
    table = tmp_path / "faces.csv"
    ending = threading.Thread(target=_end_once_written, args=(process, table))
    ending.start()
    outcome = fer("webcam", "--source", address, "--no-show", "-o", tmp_path / "out.mp4", "--csv", table, "-c", MODEL)
    ending.join()
    assert outcome.code == 2
    assert {row["face"] for row in rows_of(table)} == {"1"}
    assert f"{address} gives no more frames after" in outcome.err
    with open_source(str(tmp_path / "out.mp4")) as source:
        assert sum(1 for _ in source) >= 1
    with pytest.raises(VideoError, match="cannot be opened"):
        open_source(address)


def _wait_until_served(port, process):
    """Until the film is offered under its address: the server listens before it knows what it serves."""
    request = f"DESCRIBE rtsp://127.0.0.1:{port}/camera RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode()
    for _ in range(300):
        assert process.poll() is None, "VLC ended"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
                link.sendall(request)
                if b"m=video" in link.recv(4096):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("VLC serves nothing")


def _end_once_written(process, table):
    """Once the table has a row, or after minutes without, so that the test ends, too."""
    deadline = time.monotonic() + 120
    while not (table.is_file() and table.read_text(encoding="utf-8").count("\n") > 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    _end(process)


def _end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
