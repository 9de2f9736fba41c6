"""Runs that are stopped, damaged, starved of disk or driven apart: they go on at the exact step, or say in a line why not."""

import dataclasses
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import Corpus, load
from fer.errors import CheckpointError, ConfigError, InterruptedRunError, OutputError, TrainingError
from fer.overrides import with_values
from fer.training import store
from fer.training.run import Continuation, Run, Watch, train
from fer.training.trainer import Trainer
from tests import fakes

#: Five steps an epoch on 42 faces; everything random is in it, but for batch norm.
SETTINGS = {
    "model": "baseline", "precision": "fp32", "epochs": 4, "batch_size": 9, "lr": 0.01, "ema": 0.9, "dropout": 0.3,
    "mixup": 0.2, "cutmix": 0.5, "erase": 0.3, "crop": 40, "alternating_flip": True,
}  # fmt: skip
#: The other optimizer and a schedule with a memory, on a net with batch norm and progressive resizing.
OTHERS = {
    "model": "custom_cnn", "input_size": 32, "precision": "fp32", "epochs": 3, "batch_size": 14, "lr": 0.001, "ema": 0.8,
    "optimizer": "adamw", "schedule": "plateau", "schedule.patience": 0, "monitor": "loss", "mixup": 0.2, "unmixed": 0.4,
    "small_epochs": 1, "small_size": 16, "loss": "focal",
}  # fmt: skip
#: What the clock decides.
CLOCK = ("seconds", "faces_per_second", "minutes")


def config_of(**values: object) -> RunConfig:
    return with_values(RunConfig(), {**SETTINGS, **values}, "test")


@pytest.fixture(scope="module")
def corpus(fake_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load(fake_zip)


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run; the tests only read it."""
    return train(config_of(), corpus, tmp_path_factory.mktemp("whole") / "run", Watch()).folder


@pytest.fixture(scope="module")
def expected(whole: Path) -> dict[str, Any]:
    """What the undisturbed run has left."""
    return kept(whole)


@pytest.fixture(scope="module")
def _stopped(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stop_at(config_of(), corpus, tmp_path_factory.mktemp("stopped") / "run", (3, 2))


@pytest.fixture(autouse=True)
def _signals_fail_the_test_alone() -> Iterator[None]:
    """A signal that a run leaves to the system fails the test instead of ending all of them."""

    def fail(number: int, _: object) -> None:
        raise ChildProcessError(f"{signal.Signals(number).name} was not taken")

    before = {number: signal.signal(number, fail) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def stopped(_stopped: Path, tmp_path: Path) -> Path:
    """The same run, stopped after step 2 of epoch 3; each test has its own copy."""
    return Path(shutil.copytree(_stopped, tmp_path / "stopped"))


def stop_at(config: RunConfig, corpus: Corpus, folder: Path, at: tuple[int, int], number: int = signal.SIGTERM) -> Path:
    """Train in a folder until the system asks for an end at (epoch, step); goes on with what already lies there."""
    steps = []

    def on_step(epoch: int, step: int, _: int) -> None:
        steps.append((epoch, step))
        if (epoch, step) == at:
            os.kill(os.getpid(), number)

    with pytest.raises(InterruptedRunError) as caught:
        train(config, corpus, folder, Watch(on_step), continuation=Continuation(resume=folder.exists()))
    assert caught.value.code == 128 + number
    assert f"fer train --resume {folder}" in str(caught.value)
    assert len(steps) - steps.index(at) <= 2  # within a step
    return folder


def go_on(folder: Path, corpus: Corpus, watch: Watch | None = None) -> Run:
    return train(store.read_config(folder), corpus, folder, watch or Watch(), continuation=Continuation(resume=True))


def kept(folder: Path) -> dict[str, Any]:
    """Everything a finished run leaves that the clock does not decide."""
    card, state, average, note = store.read_last(folder)
    best = checkpoints.load(folder / "best.pth")
    rows = [line.split(",") for line in (folder / "history.csv").read_text(encoding="utf-8").splitlines()]
    timed = [rows[0].index(name) for name in CLOCK if name in rows[0]]
    assert note == ""
    return {
        "last": {"card": dataclasses.asdict(card), "state": state, "average": dict(average)},
        "best": {"card": dataclasses.asdict(best.card), "average": best.model.state_dict()},
        "history": [[cell for place, cell in enumerate(row) if place not in timed] for row in rows],
        "metrics": json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
        "config": (folder / "config.yaml").read_text(encoding="utf-8"),
    }


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two nested values are not equal to the bit, other than by the clock."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one if key not in CLOCK for d in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [d for n, pair in enumerate(zip(one, other, strict=True)) for d in differences(*pair, f"{where}/{n}")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
        return [] if same else [where]
    return [] if type(one) is type(other) and one == other else [where]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def one_line(outcome: Any, *words: object) -> None:
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert [word for word in words if str(word) not in outcome.err] == []


def test_the_comparison_sees_a_single_bit(whole, expected, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert differences(expected, kept(copy)) == []
    other = kept(copy)
    moment = other["last"]["state"]["optimizer"]["state"][0]["momentum_buffer"]
    moment.view(-1)[0] = torch.nextafter(moment.view(-1)[0], torch.tensor(math.inf))
    assert differences(expected, other) == ["/last/state/optimizer/state/0/momentum_buffer"]


# stopping and going on


@pytest.mark.parametrize("step", range(1, 6))
@pytest.mark.parametrize("epoch", range(1, 5))
def test_a_run_stopped_at_any_of_twenty_steps_ends_as_the_undisturbed_one(expected, corpus, tmp_path, epoch, step):
    folder = stop_at(config_of(), corpus, tmp_path / "run", (epoch, step), (signal.SIGINT, signal.SIGTERM)[step % 2])
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


def test_a_run_stopped_again_and_again_ends_as_the_undisturbed_one(corpus, tmp_path):
    config = with_values(RunConfig(), OTHERS, "test")
    undisturbed = train(config, corpus, tmp_path / "whole", Watch())
    for at in ((1, 1), (1, 2), (2, 1), (2, 3), (3, 2)):
        stop_at(config, corpus, tmp_path / "stopped", at)
    go_on(tmp_path / "stopped", corpus)
    assert undisturbed.history.epochs[-1].lr < 0.001  # the plateau has been met
    assert differences(kept(undisturbed.folder), kept(tmp_path / "stopped")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_while_the_best_epoch_is_evaluated_is_heard(expected, corpus, tmp_path, number):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRunError, match=f"fer train --resume {folder}") as caught:
        train(config_of(), corpus, folder, Watch(on_evaluate=lambda *_: os.kill(os.getpid(), number)))
    assert caught.value.code == 128 + number
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


def test_a_run_repeated_from_its_configuration_is_equal_to_the_bit(fer, fake_zip, tmp_path):
    settings = [word for key, value in SETTINGS.items() if key != "model" for word in ("--set", f"{key}={value}")]
    first = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *settings, "--epochs", 2)
    assert first.code == 0
    folder = Path(first.out.strip())
    second = fer("train", "--config", folder / "config.yaml", "--data", fake_zip, "--runs", tmp_path / "again")
    assert second.code == 0
    assert differences(kept(folder), kept(Path(second.out.strip()))) == []


# killed while writing


class Killed(BaseException):
    """Ends the program at once, as far as Python allows."""


@contextmanager
def killed_before_rename(number: int) -> Iterator[None]:
    done, replace = [0], Path.replace

    def counted(path: Path, target: Path) -> Path:
        done[0] += 1
        if done[0] == number:
            raise Killed
        return replace(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", counted)
        yield


def test_a_run_killed_before_any_of_its_renames_loses_and_leaves_nothing(corpus, tmp_path):
    config = config_of(epochs=2)
    undisturbed = kept(train(config, corpus, tmp_path / "whole", Watch()).folder)
    for number in range(1, 100):
        folder, announced = tmp_path / str(number), []
        try:
            with killed_before_rename(number):
                train(config, corpus, folder, Watch(on_epoch=lambda epoch, _: announced.append(epoch.epoch)))  # noqa: B023
            break
        except Killed:
            pass
        if announced:
            assert len(store.read_last(folder)[1]["history"]) >= announced[-1], f"rename {number}"
        started = any((folder / name).exists() for name in ("last.pth", "previous.pth"))
        train(config, corpus, folder, Watch(), continuation=Continuation(resume=started))
        assert differences(undisturbed, kept(folder)) == [], f"rename {number}"
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [], f"rename {number}"
        shutil.rmtree(folder)
    assert number > 10  # config, the first state, two epochs, the end


# damaged files


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 20, len(data), len(data) // 10):
        data[place] ^= 0xFF
    path.write_bytes(data)


def flip_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def clear(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [flip, flip_in_the_middle, cut, clear, Path.unlink]


def is_good(path: Path, scratch: Path) -> bool:
    """True where a run could go on from this state alone."""
    scratch.mkdir(exist_ok=True)
    shutil.copy(path, scratch / "last.pth")
    try:
        return store.read_last(scratch)[-1] == ""
    except CheckpointError:
        return False


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_replaced_by_the_one_before_it_with_a_message(expected, corpus, stopped, damage):
    damage(stopped / "last.pth")
    notes = []
    go_on(stopped, corpus, Watch(on_note=notes.append))
    (note,) = notes
    assert f"{stopped / 'last.pth'}" in note and f"{stopped / 'previous.pth'}" in note
    assert differences(expected, kept(stopped)) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_never_takes_the_place_of_the_good_one(corpus, stopped, tmp_path, damage):
    damage(stopped / "last.pth")
    good = []

    def on_epoch(*_: Any) -> None:
        good.append([is_good(stopped / name, tmp_path / "scratch") for name in ("last.pth", "previous.pth")])

    go_on(stopped, corpus, Watch(on_epoch=on_epoch))
    assert good == [[True, True]] * 2


def test_a_run_killed_while_it_replaces_a_damaged_state_is_not_lost(expected, corpus, stopped):
    flip(stopped / "last.pth")
    for number in range(1, 6):
        with pytest.raises(Killed), killed_before_rename(number):
            go_on(stopped, corpus)
    go_on(stopped, corpus)
    assert differences(expected, kept(stopped)) == []


def test_a_single_wrong_bit_anywhere_is_noticed_or_harmless(stopped):
    _, state, average, _ = store.read_last(stopped)
    data, last, choice = (stopped / "last.pth").read_bytes(), stopped / "last.pth", random.Random(0)
    # the start and end hold names and shapes, the rest tensors
    places = [choice.randrange(len(data)) for _ in range(12)] + [choice.randrange(3000) for _ in range(12)]
    places += [len(data) - 1 - choice.randrange(3000) for _ in range(12)]
    for place in places:
        last.write_bytes(data[:place] + bytes([data[place] ^ 1 << choice.randrange(8)]) + data[place + 1 :])
        _, found, weights, note = store.read_last(stopped)
        assert note or differences([state, dict(average)], [found, dict(weights)]) == [], place


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_whose_states_are_both_damaged_is_refused_in_one_line(fer, fake_zip, stopped, damage):
    for name in ("last.pth", "previous.pth"):
        damage(stopped / name)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


# runs that cannot be resumed


def test_a_finished_run_is_not_resumed(fer, fake_zip, whole):
    before = contents(whole)
    one_line(fer("train", "--resume", whole, "--data", fake_zip), whole, "finished", "--config")
    assert contents(whole) == before


@pytest.mark.parametrize(
    "other",
    [
        {"model": "custom_cnn", "input_size": 32},
        {"classes": ("angry", "happy", "sad"), "batch_size": 6},
        {"optimizer": "adamw"},
        {"optimizer": "adamw", "momentum": 0.5, "epochs": 1},
    ],
    ids=["architecture", "classes", "optimizer", "finished"],
)
def test_the_state_of_another_run_is_refused_in_one_line(fer, fake_zip, corpus, stopped, tmp_path, other):
    foreign = tmp_path / "foreign"
    if "epochs" in other:
        train(config_of(**other), corpus, foreign, Watch())
    else:
        stop_at(config_of(**other), corpus, foreign, (1, 2))
    for name in ("last.pth", "previous.pth"):
        shutil.copy(foreign / "last.pth", stopped / name)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


def test_weights_alone_are_no_state(fer, fake_zip, stopped):
    for name in ("last.pth", "previous.pth"):
        shutil.copy(stopped / "best.pth", stopped / name)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), "holds no training state")


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe\x00", b"- 1\n- 2\n", b"epochs: [", b"when: 2026-99-99\n", b"lr: much\n", b"3"]
)
def test_a_run_with_a_damaged_configuration_is_refused_in_one_line(fer, fake_zip, stopped, text):
    (stopped / "config.yaml").write_bytes(text)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


def test_a_place_without_a_run_is_refused_in_one_line(fer, fake_zip, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        one_line(fer("train", "--resume", place, "--data", fake_zip), place)


def test_changed_data_are_refused_unless_told(fer, stopped, tmp_path):
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", data), "--changed-data")
    assert contents(stopped) == before
    outcome = fer("train", "--resume", stopped, "--data", data, "--changed-data")
    assert outcome.code == 0 and outcome.out.strip() == str(stopped)
    card = checkpoints.load(stopped / "best.pth").card
    assert card.data["splits"]["train"]["n"] == 49


# values that are not finite


def unfit(folder: Path) -> list[str]:
    """Files of a run that hold a value that is not finite."""
    states = [folder / name for name in ("last.pth", "previous.pth", "best.pth") if (folder / name).exists()]
    bad = [path.name for path in states if not all(map(is_finite, numbers(checkpoints.read(path))))]
    bad += [path.name for path in states[:1] if not all(map(is_finite, numbers(store.read_last(folder)[1])))]
    texts = [
        (folder / name).read_text(encoding="utf-8") for name in ("history.csv", "metrics.json") if (folder / name).exists()
    ]
    return bad + [
        word for text in texts for word in ("nan", "inf", "NaN", "Infinity") if f",{word}" in text or f": {word}" in text
    ]


def numbers(value: Any) -> Iterator[torch.Tensor | float]:
    if isinstance(value, dict):
        value = [inner for key, inner in value.items() if key != "plateau"]  # its best is infinite before the first epoch
    if isinstance(value, list | tuple):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, torch.Tensor | float):
        yield value


def is_finite(value: torch.Tensor | float) -> bool:
    return bool(torch.as_tensor(value).isfinite().all())


class Disturbed:
    """A run that is harmed after some steps (epoch, step), with its notes, its rates and what was not finite on disk."""

    def __init__(self, folder: Path, harm: Callable[[Trainer], None], at: tuple[int, int] = (0, 0), times: int = 100) -> None:
        self.folder, self.harm, self.at, self.times = folder, harm, at, times
        self.notes: list[str] = []
        self.rates: dict[tuple[int, int], float] = {}
        self.unfit: list[str] = []
        self.written = 0.0
        self.watch = Watch(
            on_step=self.on_step, on_epoch=self.look, on_note=self.on_note, on_trainer=lambda t: setattr(self, "trainer", t)
        )

    def train(self, corpus: Corpus, **values: object) -> Path:
        if self.folder.exists():
            return go_on(self.folder, corpus, self.watch).folder
        return train(config_of(**values), corpus, self.folder, self.watch).folder

    def on_step(self, epoch: int, step: int, _: int) -> None:
        self.look()
        self.rates[epoch, step] = self.trainer.optimizer.param_groups[0]["lr"]
        if (epoch, step) == self.at and self.times:
            self.times -= 1
            self.harm(self.trainer)

    def on_note(self, note: str) -> None:
        self.look()
        self.notes.append(note)

    def look(self, *_: Any) -> None:
        written = (self.folder / "last.pth").stat().st_mtime
        if written != self.written:
            self.unfit.extend(unfit(self.folder))
        self.written = written


def halve(trainer: Trainer) -> None:
    trainer.rate_factor = 0.5


@torch.no_grad()
def poison_weight(trainer: Trainer) -> None:
    trainer.net.get_parameter("hidden.2.weight")[3, 5] = math.nan


@torch.no_grad()
def poison_average(trainer: Trainer) -> None:
    trainer.average.model.get_parameter("conv2.0.weight")[0, 0, 0, 0] = math.inf


@torch.no_grad()
def enlarge_weights(trainer: Trainer) -> None:
    for parameter in trainer.net.parameters():
        parameter.mul_(1e30)


def poison_gradient(trainer: Trainer) -> None:
    weight = trainer.net.get_parameter("conv3.0.bias")

    def harm(gradient: torch.Tensor) -> torch.Tensor:
        handle.remove()
        return gradient * math.nan

    handle = weight.register_hook(harm)


#: What is done after step 3 of epoch 2, and what the message names.
HARMS = [
    (poison_weight, r"(the loss|hidden\.2\.weight) is not finite .*step [34] of epoch 2"),
    (enlarge_weights, "the loss is not finite in step 4 of epoch 2"),
    (poison_gradient, r"the gradient of conv3\.0\.bias is not finite in step 4 of epoch 2"),
    (poison_average, r"conv2\.0\.weight is not finite .*step [345] of epoch 2"),
]


@pytest.fixture(scope="module")
def halved(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """A run that nothing drives apart, its rate halved from epoch 2 on."""
    run = Disturbed(tmp_path_factory.mktemp("halved") / "run", halve, (1, 5), times=1)
    run.train(corpus)
    return run


@pytest.mark.parametrize("harm, words", HARMS)
def test_a_run_that_diverges_once_goes_on_from_its_last_state_with_half_the_rate(corpus, halved, tmp_path, harm, words):
    run = Disturbed(tmp_path / "run", harm, (2, 3), times=1)
    run.train(corpus)
    (note,) = run.notes
    assert re.search(words, note) and "0.5 times" in note
    assert run.unfit == []
    assert run.rates == halved.rates
    assert differences(kept(halved.folder), kept(run.folder)) == []


def test_half_the_rate_is_half_the_rate(corpus, halved, tmp_path):
    plain = Disturbed(tmp_path / "run", halve)
    plain.train(corpus)
    assert halved.rates == {(epoch, step): rate / (1 if epoch == 1 else 2) for (epoch, step), rate in plain.rates.items()}


@pytest.mark.parametrize("harm, words", HARMS)
def test_a_run_that_always_diverges_stops_after_three_halvings_and_names_step_and_tensor(corpus, tmp_path, harm, words):
    run = Disturbed(tmp_path / "run", harm, (2, 3))
    with pytest.raises(TrainingError, match=words) as caught:
        run.train(corpus)
    assert "3 halvings" in str(caught.value)
    assert [re.search(r"with (\S+) times", note)[1] for note in run.notes] == ["0.5", "0.25", "0.125"]
    assert run.unfit == [] and unfit(run.folder) == []
    assert len(store.read_last(run.folder)[1]["history"]) == 1
    go_on(run.folder, corpus)


def test_the_halvings_of_a_stopped_run_are_counted_on(corpus, tmp_path):
    first = Disturbed(tmp_path / "run", poison_weight, (2, 3), times=2)

    def on_step(*step: int) -> None:
        first.on_step(*step)
        if step[:2] == (3, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        train(config_of(), corpus, first.folder, dataclasses.replace(first.watch, on_step=on_step))
    assert len(first.notes) == 2
    then = Disturbed(first.folder, poison_weight, (3, 3))
    with pytest.raises(TrainingError, match="3 halvings"):
        then.train(corpus)
    assert len(then.notes) == 1


def test_a_run_killed_after_it_was_rolled_back_keeps_its_lower_rate(corpus, tmp_path):
    def kill(_: str) -> None:
        raise Killed

    first = Disturbed(tmp_path / "run", poison_weight, (2, 3))
    with pytest.raises(Killed):
        train(config_of(), corpus, first.folder, dataclasses.replace(first.watch, on_note=kill))
    then = Disturbed(first.folder, halve)
    then.train(corpus)
    assert store.read_last(first.folder)[1]["rate_factor"] == 0.5


def test_a_validation_loss_that_is_not_finite_is_never_saved(corpus, tmp_path):
    @torch.no_grad()
    def harm(trainer: Trainer) -> None:
        for parameter in trainer.average.model.parameters():
            parameter.mul_(1e20)

    run = Disturbed(tmp_path / "run", harm, (2, 5), times=1)
    run.train(corpus)
    assert run.unfit == []
    (note,) = run.notes
    assert "validation" in note and "step 5 of epoch 2" in note


def test_no_weight_that_is_not_finite_outlives_its_step(corpus, tmp_path):
    run, seen = Disturbed(tmp_path / "run", halve), []

    def on_step(*step: int) -> None:
        run.on_step(*step)
        states = [run.trainer.net.state_dict(), run.trainer.average.model.state_dict()]
        seen.append(all(map(is_finite, numbers(states))))

    config = config_of(lr=100.0, weight_decay=10.0, warmup=0.0, schedule="constant", grad_clip=0.0)
    with pytest.raises(TrainingError, match=r"step \d of epoch \d.*3 halvings"):
        train(config, corpus, run.folder, dataclasses.replace(run.watch, on_step=on_step))
    assert seen and all(seen) and run.unfit == []


def test_a_run_that_diverges_as_it_is_stopped_still_says_how_to_go_on(corpus, tmp_path):
    def harm(trainer: Trainer) -> None:
        poison_weight(trainer)
        os.kill(os.getpid(), signal.SIGTERM)

    run = Disturbed(tmp_path / "run", harm, (2, 3), times=1)
    with pytest.raises(InterruptedRunError, match=f"fer train --resume {run.folder}") as caught:
        run.train(corpus)
    assert caught.value.code == 143
    assert unfit(run.folder) == []
    go_on(run.folder, corpus)


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
