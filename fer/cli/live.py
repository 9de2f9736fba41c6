"""What a person sees while a run goes on: a live table in a terminal, one line an epoch anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fer.cli import console
from fer.words import counted

if TYPE_CHECKING:
    from rich.table import Table

    from fer.config import RunConfig
    from fer.data import Corpus
    from fer.training.fit import Job
    from fer.training.history import Epoch
    from fer.training.plan import Plan
    from fer.training.run import Picture, Watch
    from fer.training.trainer import Trainer

#: The table is drawn anew so often at most; the sums are fetched from the device for that.
_SECONDS = 0.5
_ROWS = 12


@contextmanager
def watched(config: RunConfig, corpus: Corpus, folder: Path) -> Iterator[Watch]:
    """A watch that shows a run; silent in all but the first of several processes."""
    from fer.training.run import Watch

    if not console.is_first_process():
        yield Watch()
    elif console.messages().is_terminal:
        from rich.live import Live

        with Live(console=console.messages(), auto_refresh=False, transient=True) as live:
            yield _watch(config, folder, _Screen(config, live.update))
    else:
        yield _watch(config, folder, None)


def _watch(config: RunConfig, folder: Path, screen: _Screen | None) -> Watch:
    from fer.training.run import Watch

    def on_start(job: Job) -> None:
        faces = f"{len(job.train):,} train and {len(job.validation):,} validation faces"
        _say(f"{config.model} ({config.mode}, {counted(config.epochs, 'epoch')}) on {faces}; results go to {folder}")
        if screen:
            screen.plan = job.plan

    def on_epoch(epoch: Epoch, is_best: bool) -> None:
        _say(line(epoch, config.epochs, is_best))

    watch = Watch(on_start=on_start, on_epoch=on_epoch, on_note=_say, on_picture=_pictures())
    from dataclasses import replace

    if not screen:
        return replace(watch, on_ask=_said_once(config))
    return replace(
        watch, on_step=screen.on_step, on_ask=screen.on_ask, on_evaluate=screen.on_evaluate, on_trainer=screen.on_trainer
    )


def _say(text: str) -> None:
    """One line; a terminal that was closed shows none, and the run has yet to save its state."""
    with suppress(OSError):
        console.say(text)


def _said_once(config: RunConfig) -> Callable[[int, int], None]:
    """One line when teachers begin to answer: minutes may pass before the first epoch."""
    is_first = iter((True,))

    def on_ask(done: int, total: int) -> None:
        if next(is_first, False):
            _say(f"{_asking(config)}, {total:,} answers; they are kept for later runs")

    return on_ask


def _asking(config: RunConfig) -> str:
    return f"asking the teachers {', '.join(config.distillation.teachers)}"


def line(epoch: Epoch, epochs: int, is_best: bool) -> str:
    """An epoch in one line."""
    return (
        f"epoch {epoch.epoch:3}/{epochs}  loss {epoch.train_loss:.4f}  train {console.percent(epoch.train_accuracy)}  "
        f"validation {console.percent(epoch.validation_accuracy)}  macro F1 {epoch.validation_macro_f1:.3f}  "
        f"lr {epoch.lr:.2g}  {epoch.faces_per_second:,.0f} faces/s  {epoch.seconds:.0f} s{'  best' if is_best else ''}"
    )


def _pictures() -> Picture:
    from fer.training.run import nothing

    try:
        from analysis.board import draw
    except ImportError:  # a training machine without the drawing libraries
        return nothing
    return draw


class _Screen:
    """The live table: the last epochs, and the present one as it goes."""

    def __init__(self, config: RunConfig, update: Callable[..., None]) -> None:
        self.config, self.update = config, update
        self.plan: Plan | None = None
        self.trainer: Trainer | None = None
        self.drawn = 0.0

    def show(self, what: Table | str) -> None:
        """Draw anew; a terminal that was closed shows nothing."""
        with suppress(OSError):
            self.update(what, refresh=True)

    def on_trainer(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def on_ask(self, done: int, total: int) -> None:
        self.show(f"{_asking(self.config)} {done:,}/{total:,}")

    def on_evaluate(self, done: int, total: int) -> None:
        self.show(f"evaluating the best epoch {done:,}/{total:,}")

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        if time.monotonic() - self.drawn < _SECONDS or self.trainer is None or self.plan is None:
            return
        self.drawn = time.monotonic()
        self.show(table(self.trainer, self.plan, step, steps))


def table(trainer: Trainer, plan: Plan, step: int, steps: int) -> Table:
    """The last finished epochs and the present one, with the time that is left."""
    columns = ("epoch", "loss", "train", "validation", "macro F1", "precision", "recall", "lr", "faces/s", "time")
    result = console.make_table(*columns)
    for epoch in trainer.history.epochs[-_ROWS:]:
        result.add_row(
            str(epoch.epoch),
            f"{epoch.train_loss:.4f}",
            *(console.percent(value) for value in (epoch.train_accuracy, epoch.validation_accuracy)),
            *(f"{v:.3f}" for v in (epoch.validation_macro_f1, epoch.validation_precision, epoch.validation_recall)),
            f"{epoch.lr:.2g}",
            f"{epoch.faces_per_second:,.0f}",
            f"{epoch.seconds:.0f} s",
        )
    present, seconds = trainer.tally, max(trainer.seconds, 1e-9)
    result.add_row(
        f"{trainer.epoch}/{plan.config.epochs}",
        f"{present.mean_loss:.4f}",
        console.percent(present.scores.accuracy),
        f"step {step}/{steps}",
        *[""] * 3,
        f"{trainer.optimizer.param_groups[-1]['lr']:.2g}",
        f"{present.count / seconds:,.0f}",
        f"{time_left(trainer, plan, step / steps)} left",
    )
    return result


def time_left(trainer: Trainer, plan: Plan, share: float) -> str:
    """What is left of a run as h:mm:ss or m:ss, a ``share`` (0..1) of the present epoch done.

    From the time spent; an epoch of small faces counts by their pixels, to which its time is nearly proportional.
    """
    work = [(plan.input_at(epoch).size / plan.preprocess.size) ** 2 for epoch in range(1, plan.config.epochs + 1)]
    finished = len(trainer.history)
    done = sum(work[:finished]) + share * work[finished]
    spent = trainer.history.seconds + trainer.seconds
    minutes, rest = divmod(int(spent / done * (sum(work) - done)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
