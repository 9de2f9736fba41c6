"""Old files are deleted again and again, whatever visitors do meanwhile."""

import time
from types import SimpleNamespace

from apps import cleaning
from apps.cleaning import keep_clean


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
    assert cleaning.EVERY + cleaning.AGE <= 60
