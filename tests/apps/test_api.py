"""What a program without a browser may ask for."""

import json
import urllib.request
from pathlib import Path

import pytest

from fer.samples import sample_path
from tests.conftest import save_random

pytestmark = pytest.mark.browser


def call(url: str, *inputs: object) -> str:
    """Event stream that the page's programming interface answers with."""
    body = json.dumps({"data": inputs}).encode()
    request = urllib.request.Request(f"{url}gradio_api/call/look", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/look/{event}", timeout=60) as answer:
        return answer.read().decode()


def file(path: Path) -> dict[str, object]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def test_a_file_of_the_machine_that_was_not_uploaded_is_not_read(url, checkpoint, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(sample_path().read_bytes())
    assert "event: error" in call(url, file(secret), str(checkpoint))


def test_a_checkpoint_that_is_not_offered_is_not_read(url, tmp_path):
    other = save_random(tmp_path / "other.pth", seed=3)
    assert "event: error" in call(url, None, str(other))


def test_the_stream_is_not_offered_to_programs(url):
    with urllib.request.urlopen(f"{url}gradio_api/info", timeout=30) as answer:
        assert set(json.load(answer)["named_endpoints"]) == {"/look", "/compare"}
