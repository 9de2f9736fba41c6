"""The page as a person would start it, for tests of the browser and of programs."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from fer.samples import sample_path
from tests.apps.started import running
from tests.apps.visitor import opened
from tests.conftest import CHROMIUM, save_random


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("checkpoint") / "random.pth")


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Gradio keeps what visitors send."""
    return tmp_path_factory.mktemp("uploads")


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
