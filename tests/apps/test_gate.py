"""What comes through to Gradio, and how much of it."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from apps.gate import LARGEST, Gate


async def app(scope, receive, send):
    """Reads everything, then answers."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
    await send({"status": 200})


def asked(path, length=None, bodies=(b"",), kind="http", host=None, names=()):
    """Status of the answer."""
    got, parts = [], list(bodies)

    async def receive():
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        got.append(message)

    headers = [] if length is None else [(b"Content-Length", length)]
    headers += [] if host is None else [(b"host", host)]
    asyncio.run(Gate(app, names)({"type": kind, "path": path, "headers": headers}, receive, send))
    return got[0]["status"]


OPEN = [
    "/",
    "/config",
    "/info",
    "/theme.css",
    "/favicon.ico",
    "/assets/index-1.js",
    "/static/img/logo.svg",
    "/svelte/x.js",
    "/login",
    "/gradio_api/info",
    "/gradio_api/upload",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/heartbeat/abc",
    "/gradio_api/file=/tmp/a/b.jpg",
    "/gradio_api/call/look",
    "/gradio_api/call/look/abc",
    "/gradio_api/run/predict",
    "/gradio_api/stream/abc",
    "/gradio_api/stream/abc/close",
    "/gradio_api/startup-events",
]
SHUT = [
    "/gradio_api/deep_link",
    "/gradio_api/process_recording",
    "/gradio_api/vibe-edit",
    "/gradio_api/undo-vibe-edit",
    "/monitoring",
    "/monitoring/summary",
    "/gradio_api/run-history/records",
    "/gradio_api/runs",
    "/gradio_api/run/look",
    "/gradio_api/api/look",
    "/gradio_api/component_server",
    "/gradio_api/proxy=http://example.com",
    "/gradio_api/dev/reload",
    "/docs",
    "/nothing",
    "/gradio_api/custom_component/a/b/c/d",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/../deep_link",
    "//gradio_api/deep_link",
    "/pwa_icon",
]


@pytest.mark.parametrize("path", OPEN)
def test_what_the_page_needs_comes_through(path):
    assert asked(path) == 200


@pytest.mark.parametrize("path", SHUT)
def test_what_it_does_not_need_is_not_found(path):
    assert asked(path) == 404


def test_the_start_of_the_server_comes_through():
    assert asked("", kind="lifespan") == 200


@pytest.mark.parametrize("length", [str(LARGEST + 1).encode(), b"9" * 40, b"-1", b"a lot"])
def test_what_says_that_it_is_too_large_is_not_read(length):
    assert asked("/gradio_api/upload", length) == 413


def test_what_is_just_not_too_large_comes_through():
    assert asked("/gradio_api/upload", str(LARGEST).encode(), [bytes(LARGEST)]) == 200


def test_what_does_not_say_so_is_read_no_further_than_it_may():
    with pytest.raises(HTTPException) as said:
        asked("/gradio_api/upload", None, [bytes(LARGEST), b"1", b"never read"])
    assert said.value.status_code == 413


OWN = ("localhost", "127.0.0.1", "::1")
HOSTS = {
    b"localhost": 200, b"localhost:7860": 200, b"LOCALHOST:1": 200, b"127.0.0.1:7860": 200, b"[::1]:7860": 200, b"[::1]": 200,
    b"evil.example": 400, b"evil.example:7860": 400, b"localhost.evil.example": 400, b"127.0.0.1.evil.example:7860": 400,
    b"": 400, None: 400,
}  # fmt: skip


@pytest.mark.parametrize(("host", "status"), HOSTS.items(), ids=map(str, HOSTS))
def test_a_page_for_this_machine_answers_to_its_own_names_only(host, status):
    assert asked("/config", host=host, names=OWN) == status
    assert asked("/config", host=host) == 200  # one that others may see answers to any
