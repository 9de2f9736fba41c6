"""The page as a person would start it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

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


def wait(ready: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        time.sleep(0.02)
    return ready()


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
