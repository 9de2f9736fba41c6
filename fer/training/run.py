"""A run on disk: one folder that holds everything from the configuration to the best checkpoint."""

import datetime as dt
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.utils.tensorboard import SummaryWriter

from fer import checkpoint as checkpoints
from fer import run_files
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.config import RunConfig
from fer.data import Corpus, FaceSet
from fer.data.clean import read_index
from fer.data.labels import relabel
from fer.errors import CheckpointError, ConfigError, InterruptedRunError
from fer.evaluation import predict_logits
from fer.files import expanded
from fer.metrics import evaluate_table
from fer.overrides import with_values
from fer.training import store
from fer.training.board import open_board
from fer.training.ending import best_ending
from fer.training.fabric import Fabric
from fer.training.fit import Hooks, Job, OnStep, StopTraining, agreed, fit, summed
from fer.training.hardware import Hardware, check_shares, make_fabric
from fer.training.history import Epoch, History
from fer.training.interrupt import stop_requests
from fer.training.memory import memory_advice
from fer.training.objective import make_objective
from fer.training.plan import frozen_note, make_model, make_plan
from fer.training.run_card import check_lessons, make_card
from fer.training.start import resumed_start
from fer.training.tally import DivergedError
from fer.training.teachers import other_labels_note
from fer.training.trainer import Trainer, make_trainer
from fer.types import PredictionTable, Progress
from fer.words import command, shortened

#: A run that diverges is rolled back and its learning rate halved so often, then it stops.
MOST_ROLLBACKS = 3

#: Seconds of saving a state that are never too many.
QUICK_SAVE = 0.05
#: A state that takes longer is saved after so many times its own seconds only, so that a fast GPU does not wait for the disk.
MOST_SAVING = 10

_CURVES = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_macro_f1",
    "validation_precision",
    "validation_recall",
    "lr",
    "faces_per_second",
)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: where it lies, its record, its validation table and its card."""

    folder: Path
    history: History
    table: PredictionTable
    card: Card


#: Draws into TensorBoard after an epoch: board, the averaged network so far, validation faces, the trainer with its figures.
Picture = Callable[[SummaryWriter, Checkpoint, FaceSet, Trainer], None]


def nothing(*_: Any) -> None:
    """What a watch does where it is not asked for more."""


@dataclass(frozen=True)
class Watch:
    """What a caller shows: steps, epochs with whether they are the best so far, the last evaluation, notes in words.

    ``on_ask`` tells of teachers that are asked beforehand; ``on_start`` comes when all is known to be good, with the faces and
    the plan; ``on_trainer`` hands over the moving parts for a live view.
    """

    on_step: OnStep = nothing
    on_epoch: Callable[[Epoch, bool], None] = nothing
    on_ask: Progress = nothing
    on_evaluate: Progress = nothing
    on_start: Callable[[Job], None] = nothing
    on_note: Callable[[str], None] = nothing
    on_trainer: Callable[[Trainer], None] = nothing
    on_picture: Picture = field(default=nothing)


@dataclass(frozen=True)
class Continuation:
    """Whether a run goes on where it stood, and whether on other data than before."""

    resume: bool = False
    changed_data: bool = False


def train(
    config: RunConfig,
    corpus: Corpus,
    folder: Path,
    watch: Watch,
    *,
    hardware: Hardware | None = None,
    continuation: Continuation | None = None,
) -> Run:
    """Train, keep the best epoch of the validation split, evaluate it, write everything to ``folder``.

    In the end :func:`~fer.training.ending.best_ending` may prefer the last epoch.
    The folder is made only when data, architecture and weights are known to be good.
    It then holds config.yaml, history.csv, last.pth, previous.pth, best.pth, metrics.json, validation.npz,
    TensorBoard events.

    Raises:
        FerError: the data set, configuration or weights do not allow the run, or the folder cannot be written.
        InterruptedRunError: Ctrl-C, SIGTERM or the end of the terminal came; the state is saved.
    """
    continuation = continuation or Continuation()
    corpus, labels_note = relabel(corpus, config)
    if labels_note and not continuation.resume:
        watch.on_note(labels_note)
    if corpus.clean_note and not continuation.resume:
        watch.on_note(corpus.clean_note)
    train_faces, validation = corpus.for_training()
    hardware = hardware or Hardware()
    check_shares(hardware, config, len(validation))
    kept = resumed_start(store.read_last(folder)[0], config) if continuation.resume else None
    plan = make_plan(config, train_faces, kept)
    with memory_advice(config, sizes=not plan.spec.fixed_size, resumed=continuation.resume):
        fabric = make_fabric(hardware, plan)
        on_device = train_faces.to(fabric.device)
        objective = make_objective(plan, fabric, on_device, watch.on_ask)
        job = Job(fabric, plan, objective, on_device, validation.to(fabric.device))
        trainer = make_trainer(fabric, make_model(plan, resumed=continuation.resume), plan)
        card = make_card(job, corpus, train_faces, validation, labels_note)
        folder = fabric.broadcast(folder)
        keeper = _Keeper(folder, job, trainer, card, watch, resume_command(folder, corpus, hardware))
        if continuation.resume:
            keeper.restore(continuation.changed_data)
        else:
            for note in (frozen_note(config, len(trainer.by_stage)), other_labels_note(objective.teachers, config.labels)):
                if note:
                    watch.on_note(note)
        watch.on_trainer(trainer)
        with stop_requests() as stop:  # before, there is nothing to save, and whoever stops the program need not wait
            keeper.run(stop)
            return keeper.finish(train_faces, validation, stop)


def new_folder(root: Path, config: RunConfig) -> Path:
    """``root/<time>-<model>-<mode>``, not yet made; numbered where a run started in the same second."""
    name = f"{dt.datetime.now():%Y%m%d-%H%M%S}-{config.model.replace(':', '-').replace('/', '-')}-{config.mode}"
    free = (root / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in free if not folder.exists())


@dataclass(eq=False)
class _Keeper:
    """Moves a trainer to its end and keeps every state of it on disk; only the first of several processes writes."""

    folder: Path
    job: Job
    trainer: Trainer
    card: Card
    watch: Watch
    command: str
    best: tuple[Card, dict[str, torch.Tensor]] | None = None  # not yet on disk
    behind: Card | None = None  # of the last finished epoch, where that is not yet on disk
    saved: float = 0.0
    save_seconds: float = 0.0

    def restore(self, changed_data: bool) -> None:
        """Take over the last good state of the folder."""
        card, state, average, note = store.read_last(self.folder)
        if with_values(RunConfig(), card.config, str(self.folder)) != self.job.plan.config:
            raise ConfigError(
                f"{self.folder / run_files.LAST} is of a run with other settings than these; give a run its own files, "
                "or start a new one"
            )
        is_changed = card.data.get("fingerprint") != self.card.data["fingerprint"]
        if is_changed and not changed_data:
            raise ConfigError(
                f"{self.folder} was trained on other data; name the same data set with --data, start a new run, "
                "or go on with fer train --resume and --changed-data"
            )
        check_lessons(card, self.card, self.folder)
        self._take(state, dict(average))
        if is_changed:
            self._forget_best()
        elif len(self.trainer.history) > self.trainer.history.since:
            store.read_best(self.folder)
        if note:
            self.watch.on_note(note)
            if self.job.fabric.is_global_zero:
                store.set_aside(self.folder)

    def _forget_best(self) -> None:
        """Have the best epoch chosen among those to come: figures of earlier ones are of other faces, as their card is."""
        history, epochs = self.trainer.history, self.job.plan.config.epochs
        if len(history) >= epochs:
            raise ConfigError(
                f"{self.folder} has no epoch left of {epochs} that could be judged on the changed data; finish it on the data "
                "that it began with, or start a new run"
            )
        history.since = len(history)
        self.trainer.plateau.forget()
        if len(history):
            self.watch.on_note(f"the data have changed; the best epoch is one after epoch {len(history)}")

    def _take(self, state: dict[str, Any], average: dict[str, torch.Tensor]) -> None:
        try:
            self.trainer.restore(state, average)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = shortened(str(error), 300)
            raise CheckpointError(
                f"{self.folder / run_files.LAST}: its state does not fit this run ({reason}); start a new one"
            ) from error
        if self.job.fabric.global_rank:  # the first process holds the sums of all
            self.trainer.tally.loss.zero_()
            self.trainer.tally.confusion.zero_()

    def run(self, stop: Callable[[], int]) -> None:
        """Train to the end, rolling back where it diverges."""
        if self.job.fabric.is_global_zero:
            store.prepare(self.folder, self.job.plan.config)
            self.trainer.history.save(self.folder / "history.csv")  # a kill may have come between it and the last state
        self.watch.on_start(self.job)
        while True:
            try:
                if self.trainer.epoch == 1 and self.trainer.step == 0:
                    self._save()
                with self._board() as board:
                    hooks = Hooks(self.watch.on_step, partial(self._keep_epoch, board=board), stop)
                    fit(self.job, self.trainer, hooks)
                if self.behind:
                    self._save()
                return
            except StopTraining as request:
                self._leave(request.signal)
            except DivergedError as error:
                self._roll_back(error)

    def _leave(self, number: int) -> NoReturn:
        trainer = self.trainer
        place = f"step {trainer.step} of epoch {trainer.epoch}" if trainer.step else f"epoch {len(trainer.history)}"
        if trainer.step or self.behind:
            self._save()
        raise InterruptedRunError(
            f"{signal.Signals(number).name}: saved after {place}; continue with: {self.command}", 128 + number
        )

    def _roll_back(self, error: DivergedError) -> None:
        factor = self.trainer.rate_factor / 2
        if factor < 0.5**MOST_ROLLBACKS:
            raise DivergedError(
                f"{error}, again after {MOST_ROLLBACKS} halvings of the learning rate; lower lr or the class weights"
            ) from error
        self.best = self.behind = None
        self.restore(changed_data=True)
        self.trainer.rate_factor = factor
        self._save()  # so that a run killed from now on does not meet the same end again
        self.watch.on_note(f"{error}; back to the last good state with {factor:g} times the learning rate")

    def _save(self) -> None:
        started = time.perf_counter()
        state = self.trainer.state(summed(self.job.fabric, self.trainer.tally))
        if self.job.fabric.is_global_zero:
            if self.best:  # first, so that a run killed in between repeats the epoch instead of losing its best
                store.save_best(self.folder, *self.best)
            store.save_last(self.folder, self.trainer, state, self.behind or self.card)
        self.best = self.behind = None
        self.job.fabric.barrier()
        self.saved, self.save_seconds = time.perf_counter(), time.perf_counter() - started

    def _is_due(self) -> bool:
        """True in all processes where saving takes a small part of the time since it was done last."""
        quick = self.save_seconds < QUICK_SAVE
        due = quick or time.perf_counter() - self.saved > MOST_SAVING * self.save_seconds
        return bool(agreed(self.job.fabric, int(due)))

    def _keep_epoch(self, trainer: Trainer, board: SummaryWriter | None) -> None:
        last = trainer.history.epochs[-1]
        is_best = trainer.history.best is last
        card = replace(
            self.card,
            best_epoch=last.epoch,
            validation_accuracy=last.validation_accuracy,
            train_accuracy=last.train_accuracy,
        )
        if is_best:
            state = trainer.average.model.state_dict()
            self.best = (card, {name: value.clone() for name, value in state.items()})
        self.behind = card
        if self._is_due():
            self._save()
        if board:
            for name in _CURVES:
                board.add_scalar(name.replace("_", "/", 1), getattr(last, name), last.epoch)
            shown = Checkpoint(trainer.average.model, card, "so far")
            self.watch.on_picture(board, shown, self.job.validation, trainer)
        self.watch.on_epoch(last, is_best)

    @contextmanager
    def _board(self) -> Iterator[SummaryWriter | None]:
        if not self.job.fabric.is_global_zero:
            yield None
            return
        with open_board(self.folder, len(self.trainer.history) + 1) as board:
            yield board

    def finish(self, train_faces: FaceSet, validation: FaceSet, stop: Callable[[], int]) -> Run:
        """Choose the weights to keep, evaluate them on both splits and complete their card."""

        def progress(done: int, total: int) -> None:
            self.watch.on_evaluate(done, total)
            if stop():  # all is saved, only this evaluation is left
                self._leave(stop())

        self.job.fabric.barrier()
        device, history, faces = self.job.fabric.device, self.trainer.history, (train_faces, validation)
        best = last = checkpoints.load(self.folder / run_files.BEST, device)
        if best.card.best_epoch != len(history):  # a state is several times as large as its weights: read only where asked for
            last = checkpoints.load(store.newest_state(self.folder), device)
        best, table = best_ending(best, last, faces, history.monitor, progress, self.job.fabric.autocast())
        metrics = evaluate_table(table)
        minutes = round(history.seconds / 60, 1)
        card = replace(
            best.card,
            data={**best.card.data, **({"changed_after_epoch": history.since} if history.since else {})},
            train_accuracy=_accuracy(best, train_faces, self.job.fabric, progress),
            validation_accuracy=metrics["accuracy"],
            metrics={"validation": metrics} | self._clean(table),
            hardware={**best.card.hardware, "minutes": minutes},
        )
        if self.job.fabric.is_global_zero:
            card = checkpoints.save(self.folder / run_files.BEST, best.model.state_dict(), card)
            # judged before they had this name, and with settled norms before they had this hash
            kept = {"checkpoint": run_files.network_name(self.folder / run_files.BEST), "weights_sha256": card.weights_sha256}
            table = replace(table, source={**table.source, **kept})
            table.save(self.folder / run_files.TABLE)
            store.write_json(self.folder / run_files.METRICS, metrics)
        self.job.fabric.barrier()
        return Run(self.folder, self.trainer.history, table, card)

    def _clean(self, table: PredictionTable) -> dict[str, Any]:
        """Beside the figures of the whole validation split those of the faces that a clean index leaves in."""
        if not self.job.plan.config.clean:
            return {}
        index = read_index(expanded(self.job.plan.config.clean))
        return {"validation/clean": evaluate_table(table.rows(index.kept(table.split, table.names)))}


def resume_command(folder: Path, corpus: Corpus, hardware: Hardware, *options: str) -> str:
    """What continues the run in a folder, or with more options the series."""
    words = ["fer", "train", "--resume", str(folder), *options, "--data", str(corpus.origin)]
    for option, value in (("accelerator", hardware.accelerator), ("devices", hardware.devices), ("num-nodes", hardware.nodes)):
        if value not in ("auto", 1):
            words += [f"--{option}", str(value)]
    return command(words)


def _accuracy(checkpoint: Checkpoint, faces: FaceSet, fabric: Fabric, progress: Progress) -> float:
    """Share of right answers in the run's own number format: a figure beside the others, for which float32 is too slow."""
    logits = predict_logits(
        checkpoint.model, faces.images, checkpoint.card.preprocess, autocast=fabric.autocast(), progress=progress
    )
    return float((logits.argmax(1).cpu() == faces.labels.cpu()).double().mean())
