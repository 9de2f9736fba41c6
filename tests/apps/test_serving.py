"""Starting the page: wrong options, the shared link and who may see it."""

import asyncio
import contextlib
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar

import gradio
import numpy as np
import pytest

from apps.gradio_app import main
from apps.serving import is_seen
from fer.checkpoint import load as load_checkpoint
from fer.data import load
from fer.evaluation import evaluate_checkpoint
from tests.apps.started import free_port, wait
from tests.conftest import ROOT

LINK = "https://0123456789abcdef.gradio.live"


def status(url: str | urllib.request.Request, opener: urllib.request.OpenerDirector | None = None) -> int:
    """HTTP status of a page."""
    try:
        with (opener or urllib.request.build_opener()).open(url, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def logged_in(url: str, user: str, password: str) -> urllib.request.OpenerDirector:
    """A visitor who has typed user and password."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    form = urllib.parse.urlencode({"username": user, "password": password}).encode()
    status_of_login = opener.open(f"{url}login", form, timeout=20)
    status_of_login.close()
    return opener


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@dataclass
class Served:
    """What a start left behind: exit code, output, links asked for, and what a visitor saw meanwhile."""

    code: int = -1
    out: str = ""
    err: str = ""
    tunnels: list[str] = field(default_factory=list)
    seen: object = None
    demo: gradio.Blocks | None = None

    @property
    def lines(self) -> list[str]:
        return self.out.strip().splitlines()


@pytest.fixture(autouse=True)
def _event_loops(monkeypatch) -> Iterator[None]:
    """Closes the event loops that Gradio makes for its locks and forgets."""
    loops, new_loop = [], asyncio.new_event_loop

    def remembered():
        loops.append(new_loop())
        return loops[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", remembered)
    yield
    asyncio.set_event_loop(None)
    for loop in loops:
        loop.close()


@pytest.fixture(autouse=True)
def _handlers_of_others(monkeypatch) -> None:
    """Uvicorn closes all log handlers of its process, and absl's (TensorBoard brings it) would close pytest's own stderr."""
    monkeypatch.setattr(logging, "_handlerList", [])


@pytest.fixture
def serve(monkeypatch, capsys, checkpoint_file, tmp_path) -> Callable[..., Served]:
    """Starts the page in this process, lets a visitor look at its address, then stops it as Ctrl-C does."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))

    def start(*options: str, link: str | Exception = LINK, visit: Callable[[str], object] = lambda url: None) -> Served:
        served = Served()

        def tunnel(local_host, local_port, **_):
            served.tunnels.append(f"{local_host}:{local_port}")
            if isinstance(link, Exception):
                raise link
            return link

        def block(demo):
            served.demo = demo
            try:
                served.seen = visit(demo.local_url)
            finally:
                demo.close(verbose=False)
            raise KeyboardInterrupt

        monkeypatch.setattr(gradio.networking, "setup_tunnel", tunnel)
        monkeypatch.setattr(gradio.Blocks, "block_thread", block)
        capsys.readouterr()
        port = [] if "--port" in options else ["--port", str(free_port())]
        served.code = main(["--checkpoint", str(checkpoint_file), *port, *options])
        served.out, served.err = capsys.readouterr()
        return served

    return start


def config_status(url: str) -> int:
    return status(f"{url}config")


NO_NETWORK = RuntimeError("Could not get share link from Gradio API Server.")


def test_a_shared_link_is_guarded_by_a_user_and_password_printed_once(serve):
    served = serve(visit=config_status)
    assert served.code == 0 and len(served.tunnels) == 1
    assert f"share link: {LINK}" in served.lines
    (user, password), *others = re.findall(r"user (\S+), password (\S+)", served.out + served.err)
    assert user and len(password) >= 12 and others == []
    assert (served.out + served.err).count(password) == 1
    assert served.seen == 401


def test_every_start_makes_another_password(serve):
    passwords = {re.search(r"password (\S+)", serve().out).group(1) for _ in range(2)}
    assert len(passwords) == 2


def test_user_and_password_open_a_guarded_page_and_wrong_ones_do_not(serve):
    def visit(url):
        with pytest.raises(urllib.error.HTTPError) as refused:
            logged_in(url, "ada", "wrong")
        refused.value.close()
        return refused.value.code, status(f"{url}config", logged_in(url, "ada", "love:lace"))

    served = serve("--auth", "ada:love:lace", visit=visit)  # a password may hold a colon
    assert served.seen == (400, 200)
    assert "love:lace" not in served.out + served.err  # who chose it knows it


def test_a_public_link_is_open_to_all(serve):
    served = serve("--public", visit=config_status)
    assert f"share link: {LINK}" in served.lines and "password" not in served.out
    assert served.seen == 200


def test_without_a_link_the_page_goes_on_here_alone_and_without_a_password(serve):
    served = serve(link=NO_NETWORK, visit=config_status)
    assert served.code == 0
    assert served.seen == 200
    said, address = served.lines
    assert "no share link" in said and "this machine only" in said
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/", address)
    assert "password" not in served.out and served.err == ""


@pytest.mark.parametrize("link", [OSError("no route"), ValueError("Could not create share URL."), TimeoutError()])
def test_whatever_keeps_a_link_from_being_made_the_page_goes_on(serve, link):
    served = serve(link=link, visit=config_status)
    assert (served.code, served.seen, len(served.lines)) == (0, 200, 2)


def test_a_password_of_ones_own_guards_the_page_without_a_link_too(serve):
    assert serve("--auth", "ada:lovelace", link=NO_NETWORK, visit=config_status).seen == 401
    assert serve("--auth", "ada:lovelace", "--no-share", visit=config_status).seen == 401


def test_the_limits_are_those_that_are_promised(serve):
    """docs/page.md, Limits."""
    served = serve("--no-share", visit=lambda _: [one.name for one in threading.enumerate()])
    demo = served.demo
    assert demo._queue.max_size == 32 and demo.max_file_size == 5 * 1024**2
    asking = {one.concurrency_id for one in demo.fns.values() if one.concurrency_limit == 2 and one.queue}
    limits = {one.api_name: (one.concurrency_limit, one.time_limit) for one in demo.fns.values()}
    assert limits["_see"] == (2, 120)
    assert {limits[name][0] for name in ("look", "compare", "_look", "_compare")} == {2} and "asking" in asking
    assert not demo.analytics_enabled and not demo.enable_monitoring
    assert "cleaning" in served.seen  # while it runs, and no longer
    assert wait(lambda: "cleaning" not in [one.name for one in threading.enumerate()])


def test_no_link_is_asked_for_where_none_is_wanted(serve):
    served = serve("--no-share", visit=config_status)
    assert served.tunnels == [] and served.seen == 200
    assert len(served.lines) == 1 and served.lines[0].startswith("open http://127.0.0.1:")


def test_a_page_that_the_network_sees_is_guarded_unless_told_otherwise(serve):
    guarded = serve("--no-share", "--host", "0.0.0.0", visit=config_status)
    assert guarded.seen == 401 and re.search(r"user guest, password \S{12}", guarded.out)
    assert serve("--no-share", "--host", "0.0.0.0", "--public", visit=config_status).seen == 200
    assert "can be reached from the network" in serve("--host", "0.0.0.0", link=NO_NETWORK).out


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_addresses_of_the_sixth_version_are_served_too(serve, host):
    served = serve("--no-share", "--host", host, visit=config_status)
    assert (served.code, served.seen) == (0, 200)
    assert len(served.lines) == 1 and re.fullmatch(r"open http://\[::1\]:\d+/", served.lines[0])  # nobody else can reach it


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_a_port_that_another_listens_on_by_the_sixth_version_counts_as_taken(serve):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        served = serve("--no-share", "--host", "::1", "--port", str(port), visit=config_status)
    assert f"port {port} is taken" in served.err and served.seen == 200


SEEN = {"127.0.0.1": False, "127.8.8.8": False, "::1": False, "[::1]": False, "localhost": False,
        "0.0.0.0": True, "::": True, "192.0.2.1": True, "no such host": True}  # fmt: skip


@pytest.mark.parametrize(("host", "seen"), SEEN.items(), ids=SEEN.keys())
def test_what_the_network_sees_is_told_from_what_this_machine_sees(host, seen):
    assert is_seen(host) is seen


@pytest.mark.parametrize(
    ("options", "seen"), [((), 400), (("--public",), 200), (("--auth", "a:b"), 401), (("--public", "--host", "0.0.0.0"), 200)]
)
def test_a_foreign_name_is_answered_where_a_password_or_a_wish_allows_it(serve, options, seen):
    def visit(url):
        request = urllib.request.Request(f"{url.replace('localhost', '127.0.0.1')}config", headers={"Host": "evil.example"})
        return status(request), status(f"{url}config")

    foreign, own = serve("--no-share", *options, visit=visit).seen
    assert foreign == seen and own == (401 if seen == 401 else 200)


def test_data_that_are_not_there_are_refused_in_one_line(capsys, checkpoint_file):
    code, message = refusal(capsys, "--no-share", "--checkpoint", str(checkpoint_file), "--data", "nowhere.zip")
    assert code == 2 and "no data at nowhere.zip" in message
    assert len(message.splitlines()) == 1


def test_a_page_that_explores_results_gets_no_public_link(serve, tmp_path):
    served = serve("--explore", str(tmp_path), visit=config_status)
    assert served.code == 0 and served.tunnels == [] and served.seen == 200
    assert served.err.splitlines() == ["no share link is made: the page shows the faces of --explore"]
    assert serve("--explore", str(tmp_path), "--no-share").err == ""


def test_folders_to_explore_that_are_not_there_are_refused_in_one_line(capsys, checkpoint_file, tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "rnus", tmp_path / "file"):
        code, message = refusal(
            capsys, "--no-share", "--checkpoint", str(checkpoint_file), "--explore", str(tmp_path), str(place)
        )
        assert code == 2 and message.startswith("fer: ") and f"{place}: no such folder" in message
        assert len(message.splitlines()) == 1


def test_a_folder_to_explore_that_cannot_be_read_is_refused_in_one_line(capsys, checkpoint_file, tmp_path, monkeypatch):
    monkeypatch.setattr("apps.explore.os.access", lambda path, mode: path != tmp_path)
    code, message = refusal(capsys, "--no-share", "--checkpoint", str(checkpoint_file), "--explore", str(tmp_path))
    assert code == 2 and f"{tmp_path}: cannot be read" in message
    assert len(message.splitlines()) == 1


def test_a_page_listens_on_this_machine_alone_unless_told_otherwise(serve):
    served = serve()
    assert served.tunnels[0].startswith("127.0.0.1:")


def test_the_page_sends_nothing_about_its_use_anywhere(serve):
    def visit(url):
        with urllib.request.urlopen(f"{url}config", timeout=20) as response:
            return json.load(response)

    assert serve("--no-share", visit=visit).seen["analytics_enabled"] is False


# what cannot be started is said in one line


def refusal(capsys, *options: str) -> tuple[int, str]:
    capsys.readouterr()
    try:
        code = main(list(options))
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err.strip()


@pytest.mark.parametrize("credentials", ["ada", "ada:", ":lovelace", ":", ""])
def test_malformed_credentials_are_refused_in_one_line(capsys, credentials):
    code, message = refusal(capsys, "--auth", credentials)
    assert code == 2
    assert "USER:PASSWORD" in message
    assert len(message.splitlines()) == 1


def test_auth_and_public_exclude_each_other_in_one_line(capsys):
    code, message = refusal(capsys, "--auth", "ada:lovelace", "--public")
    assert code == 2 and "--public" in message
    assert len(message.splitlines()) == 1


def test_an_unknown_checkpoint_is_refused_in_one_line(capsys):
    code, message = refusal(capsys, "--no-share", "--checkpoint", "nowhere.pth")
    assert code == 2 and "nowhere.pth" in message
    assert len(message.splitlines()) == 1


def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(capsys, tmp_path):
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>", encoding="utf-8")
    code, message = refusal(capsys, "--no-share", "--checkpoint", str(tmp_path / "page.pth"))
    assert code == 2 and "page.pth" in message and "web page" in message
    assert len(message.splitlines()) == 1


def test_a_port_in_use_gives_the_next_free_one_and_says_so(serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        served = serve("--no-share", "--port", str(port), visit=config_status)
    (line,) = served.err.splitlines()
    found = re.fullmatch(rf"port {port} is taken; the next free one is (\d+)", line)
    assert port < int(found.group(1)) < port + 100
    assert served.lines == [f"open http://127.0.0.1:{found.group(1)}/"]
    assert (served.code, served.seen) == (0, 200)


def test_a_range_without_a_free_port_is_refused_in_one_line(capsys, checkpoint_file, monkeypatch):
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: (_ for _ in ()).throw(OSError(98, "in use")))
    code, message = refusal(capsys, "--no-share", "--checkpoint", str(checkpoint_file), "--port", "65530")
    assert (code, message) == (2, "fer: no free port from 65530 on; give another by --port")


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_an_address_of_another_machine_is_refused_in_one_line(capsys, checkpoint_file, host):
    code, message = refusal(capsys, "--no-share", "--checkpoint", str(checkpoint_file), "--host", host)
    assert code == 2 and f"cannot listen on {host}" in message and "--host" in message
    assert len(message.splitlines()) == 1


BAD_NUMBERS = {
    "port 0": ("--port", "0"),
    "port too high": ("--port", "65536"),
    "port in words": ("--port", "http"),
    "limit below none": ("--limit", "-1"),
    "limit in words": ("--limit", "few"),
}


@pytest.mark.parametrize("words", BAD_NUMBERS.values(), ids=BAD_NUMBERS.keys())
def test_numbers_that_are_none_are_refused_in_one_line(capsys, words):
    code, message = refusal(capsys, *words)
    assert code == 2 and words[0] in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("named", [True, False])
def test_faces_of_explored_runs_are_those_of_the_data_that_is_named(named, fake_folder, checkpoint_file, tmp_path, monkeypatch):
    faces = load(fake_folder).split("validation")
    run, shelves = tmp_path / "runs" / "one", []
    run.mkdir(parents=True)
    evaluate_checkpoint(load_checkpoint(checkpoint_file), faces).save(run / "validation.npz")
    (run / "metrics.json").write_text("{}")

    def built(_checkpoint, shelf):
        shelves.append(shelf)
        raise KeyboardInterrupt

    monkeypatch.setattr("apps.gradio_app.build_demo", built)
    monkeypatch.chdir(tmp_path)  # where no data set lies
    options = ["--explore", str(run.parent), *(["--data", str(fake_folder)] if named else [])]
    assert main(["--no-share", *options]) == 0
    ((name,), found) = shelves[0].names(), shelves[0].open("runs/one")
    assert name == "runs/one"
    if named:
        np.testing.assert_array_equal(found.images, faces.images.numpy()[:, 0])
    else:
        assert found.images is None and "name the data set" in found.note


def test_without_its_packages_it_says_in_one_line_how_to_get_them():
    command = [sys.executable, "-S", str(ROOT / "apps" / "gradio_app.py")]  # -S: no installed packages
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gradio_app.py: gradio is not installed here; activate .venv, or pip install .\n"
