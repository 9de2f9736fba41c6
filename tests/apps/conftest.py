"""The page as a person would start it, for tests of the browser and of programs."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, save_random

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


@pytest.fixture(scope="module")
def url(checkpoint: Path, uploads: Path) -> Iterator[str]:
    """Address of ``python apps/gradio_app.py``, running as a person would start it."""
    port = free_port()
    command = ["apps/gradio_app.py", "--no-share", "--port", str(port), "--checkpoint", str(checkpoint)]
    env = {**os.environ, "GRADIO_TEMP_DIR": str(uploads)}
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as program:
        wait_until_it_answers(f"http://127.0.0.1:{port}/", program)
        yield f"http://127.0.0.1:{port}/"
        program.terminate()
        program.communicate(timeout=30)
