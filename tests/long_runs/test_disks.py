"""Disks that are full or cannot be written: a message, and nothing lost."""

import dataclasses
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fer.errors import ConfigError, OutputError
from fer.training import store
from fer.training.run import Watch, train
from tests.long_runs.runs import config_of, contents, differences, go_on, kept, one_line

# disks that are full or cannot be written


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond 100 bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only_disk(folder: Path) -> Iterator[None]:
    """Nothing in the folder can be made, renamed or removed; root may do so everywhere, so it steps back."""
    mode, is_root = folder.stat().st_mode, os.geteuid() == 0
    folder.chmod(0o555)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("kind", ["full", "read-only"])
@pytest.mark.parametrize("moment", ["epoch", "stop"])
def test_a_disk_that_takes_no_more_ends_the_run_with_a_message(expected, corpus, open_folder, kind, moment):
    folder = open_folder / "run"
    hindrance = full_disk() if kind == "full" else None
    before: dict[str, bytes] = {}

    def hinder() -> None:
        nonlocal hindrance
        before.update({name: data for name, data in contents(folder).items() if "tfevents" not in name})
        hindrance = hindrance or read_only_disk(folder)
        hindrance.__enter__()

    def on_epoch(epoch: Any, _: bool) -> None:
        if moment == "epoch" and epoch.epoch == 2:
            hinder()

    def on_step(epoch: int, step: int, _: int) -> None:
        if moment == "stop" and (epoch, step) == (3, 2):
            hinder()
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        with pytest.raises(OutputError, match="cannot write") as caught:
            train(config_of(), corpus, folder, Watch(on_step, on_epoch))
    finally:
        hindrance.__exit__(None, None, None)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert {name: data for name, data in contents(folder).items() if "tfevents" not in name} == before
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_where_saving_is_rare_the_curves_meet_it_first(corpus, open_folder, slow_disk, kind, capfd):
    folder = open_folder / "run"
    hindrance = full_disk() if kind == "full" else read_only_disk(folder)

    def on_epoch(epoch: Any, _: bool) -> None:
        if epoch.epoch == 2:
            hindrance.__enter__()

    try:
        with pytest.raises(OutputError, match="cannot write") as caught:
            train(config_of(), corpus, folder, Watch(on_epoch=on_epoch))
    finally:
        hindrance.__exit__(None, None, None)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert len(slow_disk) <= 2  # at the start, and perhaps the attempt at the end


@pytest.mark.parametrize("leftover", ["", ".last.pth.stale"])
def test_a_read_only_run_is_not_resumed(corpus, stopped, open_folder, leftover):
    folder = Path(shutil.copytree(stopped, open_folder / "run"))
    if leftover:
        (folder / leftover).write_bytes(b"half")
    before = contents(folder)
    with read_only_disk(folder), pytest.raises(OutputError, match="cannot"):
        go_on(folder, corpus)
    assert contents(folder) == before


def test_a_run_that_cannot_make_its_folder_says_so(fer, fake_zip, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    settings = ("--set", "batch_size=9", "--set", "precision=fp32")
    one_line(fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path / "file", *settings), tmp_path / "file")


def test_a_file_is_synced_before_its_name_appears(stopped, tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(
        Path, "replace", lambda path, target: (events.append(f"rename {target.name}"), replace(path, target))[1]
    )
    store.write_json(tmp_path / "metrics.json", {})
    assert events == ["sync", "rename metrics.json", "sync"]


def test_other_data_are_refused_before_anything_is_trained(corpus, stopped, tmp_path):
    other = dataclasses.replace(corpus, splits={**corpus.splits, "validation": corpus.split("train")})
    with pytest.raises(ConfigError, match="--changed-data"):
        go_on(stopped, other, Watch(on_step=lambda *_: pytest.fail("a step was made")))
