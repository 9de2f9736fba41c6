"""Visitors' files: deleted again and again, whatever visitors do meanwhile, and however the page ends."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from apps import uploads
from apps.uploads import VARIABLE, delete_old, forget, forget_unread, keep_clean, own_folder, sweep
from fer.errors import OutputError
from fer.samples import sample_path
from tests.apps.program import upload
from tests.apps.started import running, wait
from tests.conftest import ROOT


def names_in(folder):
    """Of all files and folders; unlike rglob, not upset by what goes meanwhile."""
    return {name for _, folders, files in os.walk(folder) for name in (*folders, *files)}


class Page(SimpleNamespace):
    """What cleaning knows of Gradio's page."""

    def __init__(self, kept=(), sessions=()):
        holder = SimpleNamespace(session_data={}, time_last_used={}, lock=threading.Lock())
        for name, closed, seconds in sessions:
            holder.session_data[name] = SimpleNamespace(is_closed=closed)
            holder.time_last_used[name] = datetime.now() - timedelta(seconds=seconds)
        queue = SimpleNamespace(pending_messages_per_session={}, pending_event_ids_session={}, event_ids_to_events={})
        super().__init__(_queue=queue, blocks={1: SimpleNamespace(keep_in_cache=set(kept))}, state_holder=holder)


def test_old_files_and_their_folders_go_round_by_round_and_the_pages_own_stay(tmp_path):
    own = tmp_path / "example" / "own.jpg"
    for name in ("a/old.jpg", "b/c/old.jpg", "half-sent", "example/own.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ended = keep_clean(Page([str(own)]), tmp_path, every=0.02, age=0)
    try:
        assert wait(lambda: names_in(tmp_path) == {"example", "own.jpg"})
        (tmp_path / "later.jpg").touch()
        assert wait(lambda: not (tmp_path / "later.jpg").exists())
        assert own.exists()
    finally:
        ended.set()


def test_a_folder_goes_with_the_last_file_in_it(tmp_path):
    (tmp_path / "hash").mkdir()
    (tmp_path / "hash" / "face.jpg").touch()
    time.sleep(0.3)
    delete_old(tmp_path, 0.2)
    assert list(tmp_path.iterdir()) == []


def test_young_files_stay(tmp_path):
    (tmp_path / "young.jpg").touch()
    delete_old(tmp_path, 3600)
    assert (tmp_path / "young.jpg").exists()


def test_what_a_link_points_to_is_left_alone(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "link").symlink_to(tmp_path / "outside")
    delete_old(tmp_path / "own", 0)
    assert (tmp_path / "outside" / "file").exists() and not (tmp_path / "own" / "link").is_symlink()


def test_visitors_are_forgotten_soon_after_they_go_or_when_they_ask_nothing(tmp_path):
    page = Page(sessions=[("gone", True, 61), ("just gone", True, 30), ("reading", False, 61), ("asleep", False, 601)])
    forget(page, 60, 600)
    assert set(page.state_holder.session_data) == set(page.state_holder.time_last_used) == {"just gone", "reading"}


def test_answers_that_nobody_fetches_go_a_round_after_their_visitor():
    page = Page(sessions=[("reading", False, 1)])
    page._queue.pending_messages_per_session |= {"reading": "a", "gone": "b", "just asked": "c"}
    page._queue.pending_event_ids_session |= {"reading": set(), "gone": {"1"}, "just asked": {"2"}, "fetched": set()}
    page._queue.event_ids_to_events["2"] = "in the queue"
    first = forget_unread(page, frozenset())
    assert first == {"gone", "fetched"}
    assert set(page._queue.pending_messages_per_session) == {"reading", "gone", "just asked"}
    assert forget_unread(page, first) == {"gone", "fetched"}
    assert set(page._queue.pending_messages_per_session) == {"reading", "just asked"}
    assert set(page._queue.pending_event_ids_session) == {"reading", "just asked"}
    assert forget_unread(page, first) == frozenset()


def test_files_are_gone_within_a_minute():
    assert uploads.EVERY + uploads.AGE <= 60


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_a_folder_is_its_processes_own_and_is_gone_afterwards(base):
    with own_folder() as folder:
        assert folder.parent == base
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert os.environ[VARIABLE] == str(folder)
        (folder / "face.jpg").touch()
    assert os.environ[VARIABLE] == str(base)
    assert list(base.iterdir()) == []


def test_two_pages_leave_each_others_files_alone(base):
    with own_folder() as first:
        os.environ[VARIABLE] = str(base)
        with own_folder() as second:
            (first / "a.jpg").touch()
            sweep(base)
            assert (first / "a.jpg").exists() and second.is_dir() and first != second


def test_a_page_that_is_just_starting_is_left_alone(base, monkeypatch):
    """Another one sweeps between any two of its steps."""
    make = Path.mkdir

    def watched(self, *args, **kwargs):
        sweep(base)
        make(self, *args, **kwargs)
        sweep(base)

    monkeypatch.setattr(Path, "mkdir", watched)
    with own_folder() as folder:
        sweep(base)
        assert folder.is_dir()


def test_a_lock_that_is_swept_away_before_it_is_held_is_made_anew(base, monkeypatch):
    make, made = tempfile.mkstemp, []

    def swept_once(*args, **kwargs):
        made.append(make(*args, **kwargs))
        if len(made) == 1:
            sweep(base)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkstemp", swept_once)
    with own_folder() as folder:
        assert len(made) == 2 and not Path(made[0][1]).exists()
        sweep(base)
        assert folder.is_dir()
    assert list(base.iterdir()) == []


def test_other_folders_are_left_alone(base):
    (base / "fer-notes").mkdir()
    (base / "gradio").mkdir()
    with own_folder():
        pass
    assert {path.name for path in base.iterdir()} == {"fer-notes", "gradio"}


HOLDS = """
import sys, time
from apps.uploads import own_folder
with own_folder() as folder:
    (folder / "face.jpg").write_bytes(b"a visitor's")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_deleted_at_the_next_start(base):
    process = subprocess.Popen([sys.executable, "-c", HOLDS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process:
        folder = base / process.stdout.readline().strip()
        sweep(base)
        assert (folder / "face.jpg").exists()  # it lives
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "face.jpg").exists()
        with own_folder() as own:
            assert not folder.exists() and own.is_dir()
    assert list(base.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_expected_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(OutputError, match="no folder for uploads can be made"), own_folder():
        pass


def files_of(base):
    return [path for path in base.glob("fer-page-*/**/*") if path.is_file() and path.name == "visitor.jpg"]


@pytest.mark.browser  # the page is started as for the browser's tests
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_page_leaves_nothing_behind_however_it_ends(tmp_path, end):
    with running(tmp_path) as (url, program):
        assert isinstance(upload(url, sample_path().read_bytes(), "visitor.jpg"), str)
        assert len(files_of(tmp_path)) == 1
        program.send_signal(end)
        program.wait(30)
        if end == signal.SIGKILL:  # it cannot clean up: the next one does
            assert len(files_of(tmp_path)) == 1
            with running(tmp_path) as (_, other):
                assert files_of(tmp_path) == []
                assert other.poll() is None
    assert list(tmp_path.glob("fer-page-*")) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # Gradio makes an empty folder of its own
