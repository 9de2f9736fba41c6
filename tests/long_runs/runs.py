"""One small run, and how it is stopped, continued and compared to the bit."""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import Corpus
from fer.errors import InterruptedRunError
from fer.overrides import with_values
from fer.training import store
from fer.training.run import Continuation, Run, Watch, train

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
