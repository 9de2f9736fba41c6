"""The run that the tests here stop and damage."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fer.data import Corpus, load
from fer.training import run, store
from fer.training.run import Watch, train
from tests.long_runs.runs import config_of, kept, stop_at


@pytest.fixture(scope="session")
def corpus(fake_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load(fake_zip)


@pytest.fixture(scope="package")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run; the tests only read it."""
    return train(config_of(), corpus, tmp_path_factory.mktemp("whole") / "run", Watch()).folder


@pytest.fixture(scope="package")
def expected(whole: Path) -> dict[str, Any]:
    """What the undisturbed run has left."""
    return kept(whole)


@pytest.fixture(scope="package")
def _stopped(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stop_at(config_of(), corpus, tmp_path_factory.mktemp("stopped") / "run", (3, 2))


@pytest.fixture(scope="package", autouse=True)
def _every_epoch_is_saved() -> Iterator[None]:
    """However slow the disk is: where saving takes long, not every epoch is saved, which has tests of its own.

    For these tests alone, and for the runs above, which therefore live no longer.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "QUICK_SAVE", float("inf"))
        yield


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Saving takes so long, in relation to an epoch, that no epoch's end is reason enough; the saves are counted."""
    monkeypatch.setattr(run, "QUICK_SAVE", -1.0)
    monkeypatch.setattr(run, "MOST_SAVING", 1e9)
    saved = []
    save_last = store.save_last

    def counted(*arguments: Any) -> None:
        saved.append(1)
        save_last(*arguments)

    monkeypatch.setattr(store, "save_last", counted)
    return saved


@pytest.fixture(autouse=True)
def _signals_fail_the_test_alone() -> Iterator[None]:
    """A signal that a run leaves to the system fails the test instead of ending all of them."""

    def fail(number: int, _: object) -> None:
        raise ChildProcessError(f"{signal.Signals(number).name} was not taken")

    before = {number: signal.signal(number, fail) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def stopped(_stopped: Path, tmp_path: Path) -> Path:
    """The same run, stopped after step 2 of epoch 3; each test has its own copy."""
    return Path(shutil.copytree(_stopped, tmp_path / "stopped"))
