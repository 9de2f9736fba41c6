"""Visitors' files: deleted again and again, whatever visitors do meanwhile, and however the page ends."""

import os
import signal
import stat
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from apps import uploads
from apps.uploads import VARIABLE, keep_clean, own_folder, sweep
from fer.errors import OutputError
from fer.samples import sample_path
from tests.apps.conftest import running
from tests.apps.test_probes import upload
from tests.conftest import ROOT


class Changing(set):
    """A set of files that changes while it is gone through, the first time."""

    rounds = 0

    def __iter__(self):
        self.rounds += 1
        if self.rounds == 1:
            raise RuntimeError("Set changed size during iteration")
        return super().__iter__()


def wait(ready, seconds=10.0):
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        time.sleep(0.02)
    return ready()


def test_a_set_that_changes_does_not_end_the_cleaning(tmp_path):
    old = tmp_path / "old.jpg"
    old.touch()
    files = Changing([str(old)])
    page = SimpleNamespace(blocks={}, temp_file_sets=[files])
    ended = keep_clean(page, every=0.02, age=0)
    try:
        assert wait(lambda: not old.exists())
        assert files.rounds >= 2
        young = tmp_path / "young.jpg"
        young.touch()
        files.add(str(young))
        assert wait(lambda: not young.exists())
    finally:
        ended.set()


def test_young_files_and_those_of_the_page_stay(tmp_path):
    young, own = tmp_path / "young.jpg", tmp_path / "own.jpg"
    young.touch()
    own.touch()
    page = SimpleNamespace(blocks={1: SimpleNamespace(keep_in_cache={str(own)})}, temp_file_sets=[{str(young)}, {str(own)}])
    ended = keep_clean(page, every=0.02, age=3600)
    time.sleep(0.2)
    ended.set()
    assert young.exists() and own.exists()


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
