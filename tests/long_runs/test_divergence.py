"""Values that are not finite are never kept: a run goes back and slows down, three times at most."""

import dataclasses
import math
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.data import Corpus
from fer.errors import InterruptedRunError, TrainingError
from fer.training import store
from fer.training.run import Watch, train
from fer.training.trainer import Trainer
from tests.long_runs.runs import Killed, config_of, differences, go_on, kept

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
