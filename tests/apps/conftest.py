"""The page as a person would start it, for tests of the browser and of programs."""

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from fer.samples import sample_path
from tests.apps.visitor import opened
from tests.conftest import CHROMIUM, ROOT, save_random

#: Generous: a busy machine takes a minute to start the program.
STARTS = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(url: str, program: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + STARTS
    while time.monotonic() < deadline and program.poll() is None:
        try:
            urllib.request.urlopen(f"{url}config", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    program.kill()
    pytest.fail(f"the page did not start: {program.communicate()[0]}")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("checkpoint") / "random.pth")


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Gradio keeps what visitors send."""
    return tmp_path_factory.mktemp("uploads")


@contextmanager
def running(uploads: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of ``python apps/gradio_app.py`` without a link, running as a person would start it."""
    port = free_port()
    command = [sys.executable, "apps/gradio_app.py", "--no-share", "--port", str(port), *options]
    env = {**os.environ, "GRADIO_TEMP_DIR": str(uploads)}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/", program)
            yield f"http://127.0.0.1:{port}/", program
        finally:
            program.terminate()
            program.communicate(timeout=30)


@pytest.fixture(scope="module")
def url(checkpoint: Path, uploads: Path) -> Iterator[str]:
    """Address of a page that answers tests however fast they ask."""
    with running(uploads, "--checkpoint", str(checkpoint), "--limit", "0") as (url, _):
        yield url


QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FAKE_WEBCAM = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def clip_of_the_sample(folder: Path) -> Path:
    """The sample moving to the right in front of a webcam, as Motion JPEG of 640×480."""
    path, frames = folder / "clip.mjpeg", []
    with Image.open(sample_path()) as sample:
        portrait = sample.resize((480, 480))
    for step in range(12):
        frame, data = Image.new("RGB", (640, 480), "gray"), io.BytesIO()
        frame.paste(portrait, (60 + 4 * step, 0))
        frame.save(data, "JPEG", quality=90)
        frames.append(data.getvalue())
    path.write_bytes(b"".join(frames))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        clip = f"--use-file-for-fake-video-capture={clip_of_the_sample(tmp_path_factory.mktemp('webcam'))}"
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *FAKE_WEBCAM, clip])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with opened(browser, url) as page:
        yield page
