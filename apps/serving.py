"""How the page is served: its port, its guarded link, its limits, its end."""

import argparse
import contextlib
import errno
import io
import ipaddress
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import gradio as gr
from starlette.middleware import Middleware

from apps.gate import Gate
from apps.limits import Budget, RateLimit
from apps.style import CSS, WORDS, theme
from fer.errors import ServingError

#: Larger uploads are refused.
MAX_FILE_SIZE = "5mb"
#: Where free ports are looked for first.
FIRST_PORT = 7860
# What this machine calls itself.
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")
# Visitors whose last answer is remembered, to be drawn; Gradio's own limit of 10,000 is gigabytes of pictures.
_VISITORS = 64
# Visitors whose answers may lie unread; the longest are forgotten first.
_UNREAD = 128
# Questions that wait, and that are answered at once.
_WAITING, _AT_ONCE = 32, 2


def serve(demo: gr.Blocks, options: argparse.Namespace) -> None:
    """Launch, with a guarded link where one is wanted and can be made, else locally; guarded, too, where others see it.

    A page that shows the faces of finished results gets no link.

    Raises:
        ServingError: the wanted port and those after it are taken.
    """
    port = free_port(options.host, options.port)
    if port != options.port:
        print(f"port {options.port} is taken; the next free one is {port}", file=sys.stderr, flush=True)
    options = argparse.Namespace(**{**vars(options), "port": port, "seen": is_seen(options.host)})
    if options.share and options.explore:  # those faces are a data set's, which may not be published
        print("no share link is made: the page shows the faces of --explore", file=sys.stderr, flush=True)
    elif options.share:
        auth = None if options.public else _credentials(options.auth)
        if _launch(demo, options, share=True, auth=auth):
            print(f"share link: {demo.share_url}", flush=True)
            if auth and not options.auth:
                print(f"user {auth[0]}, password {auth[1]}", flush=True)
            return
        demo.close(verbose=False)
        where = "can be reached from the network" if options.seen else "runs on this machine only"
        print(f"no share link could be made (no network?): the demo {where}", flush=True)
    auth = None if options.public or not (options.auth or options.seen) else _credentials(options.auth)
    _launch(demo, options, share=False, auth=auth)
    print(f"open {demo.local_url}", flush=True)
    if auth and not options.auth:
        print(f"user {auth[0]}, password {auth[1]}", flush=True)


def _launch(demo: gr.Blocks, options: argparse.Namespace, *, share: bool, auth: tuple[str, str] | None) -> bool:
    """True where the wanted link was made."""
    with contextlib.redirect_stdout(io.StringIO()):  # Gradio's paragraphs; ours are one line each
        demo.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE).launch(
            share=share, auth=auth, server_name=_in_address(options.host), server_port=options.port,
            inbrowser=options.browser and _has_screen(),
            prevent_thread_lock=True, quiet=True, max_file_size=MAX_FILE_SIZE, footer_links=["api"],
            app_kwargs={"middleware": _limits(options, guarded=share or auth is not None)}, state_session_capacity=_VISITORS,
            strict_cors=True, enable_monitoring=False, run_history=False, ssr_mode=False,
            theme=theme(), css_paths=CSS, js=WORDS,
        )  # fmt: skip
    # answers that nobody fetches
    demo._queue.pending_messages_per_session.max_size = _UNREAD
    return not share or demo.share_url is not None


def _in_address(host: str) -> str:
    """A host as it stands in the address of a page: one of the sixth version in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _limits(options: argparse.Namespace, *, guarded: bool) -> list[Middleware]:
    local = not (guarded or options.public or options.seen)
    gate = Middleware(Gate, names=(*_OWN_NAMES, options.host.strip("[]")) if local else ())
    return [gate, Middleware(RateLimit, budget=Budget(options.limit))] if options.limit else [gate]


def free_port(host: str, first: int) -> int:
    """The first port from ``first`` on that nobody listens on, of a hundred.

    Raises:
        ServingError: there is none, or no such host.
    """
    for port in range(first, min(first + 100, 65_536)):
        if _is_free(host, port) and _is_free("127.0.0.1", port):  # where Gradio looks itself
            return port
    raise ServingError(f"no free port from {first} on; give another by --port")


def _is_free(host: str, port: int) -> bool:
    try:
        for family, address in _addresses(host, port):
            with socket.socket(family) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                probe.bind(address)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise ServingError(f"cannot listen on {host}: {error}; give an address of this machine by --host") from error
        return False
    return True


def is_seen(host: str) -> bool:
    """Whether a page that listens there can be reached from other machines."""
    try:
        return not all(ipaddress.ip_address(address[0]).is_loopback for _, address in _addresses(host, 0))
    except (OSError, ValueError):
        return True


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """All that a host's name stands for, of both versions of the protocol."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _has_screen() -> bool:
    """Without one, a text browser would take over the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _credentials(given: str | None) -> tuple[str, str]:
    user, _, password = (given or f"guest:{secrets.token_urlsafe(9)}").partition(":")
    return user, password


@contextlib.contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """SIGTERM ends the page as Ctrl-C does, so that nothing is left behind."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
