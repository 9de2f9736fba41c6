"""A run on disk: one folder that holds everything from the configuration to the best checkpoint."""

import datetime as dt
import itertools
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric import Fabric
from torch.utils.tensorboard import SummaryWriter

from fer import checkpoint as checkpoints
from fer.checkpoint import Card
from fer.config import RunConfig, with_values
from fer.data import Corpus, FaceSet
from fer.emotions import EMOTIONS
from fer.environment import device_name, versions
from fer.errors import ConfigError
from fer.evaluation import evaluate_checkpoint
from fer.files import make_folder, write_whole
from fer.metrics import evaluate_table
from fer.training.fit import Hooks, OnStep, Trainer, fit, make_trainer
from fer.training.history import Epoch, History
from fer.training.plan import Plan, make_model, make_plan
from fer.types import PredictionTable, Progress


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: where it lies, its record, its validation table and its card."""

    folder: Path
    history: History
    table: PredictionTable
    card: Card


@dataclass(frozen=True)
class Watch:
    """What a caller shows: steps, epochs with whether they are the best so far, the last evaluation, and that all is ready."""

    on_step: OnStep
    on_epoch: Callable[[Epoch, bool], None]
    on_evaluate: Progress
    on_start: Callable[[], None] = lambda: None


def train(config: RunConfig, corpus: Corpus, folder: Path, watch: Watch, *, resume: bool = False) -> Run:
    """Train, keep the best epoch of the validation split, evaluate it, write everything to ``folder``.

    The folder is made only when data, architecture and weights are known to be good.
    It then holds config.yaml, history.csv, last.pth, best.pth, metrics.json, validation.npz and TensorBoard events.

    Raises:
        FerError: the data set, configuration or weights do not allow the run, or the folder cannot be written.
    """
    train_faces, validation = corpus.for_training()
    plan = make_plan(config, train_faces)
    for name in ("lightning.fabric", "lightning.pytorch"):  # both announce the number format on stderr
        logging.getLogger(name).setLevel(logging.WARNING)
    fabric = Fabric(accelerator="auto", devices=1, precision=plan.fabric_precision)  # type: ignore[arg-type]
    trainer = make_trainer(fabric, make_model(plan, resumed=resume), config)
    card = _card(plan, corpus, train_faces, validation)
    if resume:
        _restore(trainer, folder, card)
    _prepare(folder, config)
    watch.on_start()
    started = time.perf_counter() - trainer.history.seconds
    with SummaryWriter(str(folder)) as board:

        def on_epoch(trainer: Trainer) -> None:
            last = trainer.history.epochs[-1]
            is_best = trainer.history.best is last
            _save_epoch(folder, trainer, replace(card, best_epoch=last.epoch), is_best)
            for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"):
                board.add_scalar(name.replace("_", "/"), getattr(last, name), last.epoch)
            watch.on_epoch(last, is_best)

        device = fabric.device
        history = fit(fabric, trainer, plan, train_faces.to(device), validation.to(device), Hooks(watch.on_step, on_epoch))
    minutes = (time.perf_counter() - started) / 60
    return _finish(folder, history, train_faces, validation, minutes, watch.on_evaluate)


def new_folder(root: Path, config: RunConfig) -> Path:
    """``root/<time>-<model>-<mode>``, not yet made; numbered where a run started in the same second."""
    name = f"{dt.datetime.now():%Y%m%d-%H%M%S}-{config.model}-{config.mode}"
    free = (root / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in free if not folder.exists())


def read_config(folder: Path) -> RunConfig:
    """The configuration of an earlier run; ConfigError where the folder is none."""
    try:
        values = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        return with_values(RunConfig(), values, str(folder / "config.yaml"))
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigError(f"{folder} is no run folder that can be resumed: {error}") from error


def _prepare(folder: Path, config: RunConfig) -> None:
    make_folder(folder)
    write_whole(folder / "config.yaml", yaml.safe_dump(config.to_dict(), sort_keys=False).encode())


def _restore(trainer: Trainer, folder: Path, card: Card) -> None:
    path = folder / "last.pth"
    content = checkpoints.read(path)
    if "training" not in content:
        raise ConfigError(f"{path} holds no training state; start a new run")
    if checkpoints.read_card(content, path).data.get("fingerprint") != card.data["fingerprint"]:
        raise ConfigError(f"{path} was trained on other data; name the same data set with --data, or start a new run")
    trainer.restore(content["training"], content["state_dict"])


def _save_epoch(folder: Path, trainer: Trainer, card: Card, is_best: bool) -> None:
    last = trainer.history.epochs[-1]
    card = replace(card, validation_accuracy=last.validation_accuracy, train_accuracy=last.train_accuracy)
    state = trainer.average.model.state_dict()
    if is_best:  # first, so that a run killed in between repeats the epoch instead of losing its best
        checkpoints.save(folder / "best.pth", state, card)
    checkpoints.save(folder / "last.pth", state, card, training=trainer.state())
    trainer.history.save(folder / "history.csv")


def _card(plan: Plan, corpus: Corpus, train_faces: FaceSet, validation: FaceSet) -> Card:
    splits = {s.split: {"n": len(s), "fingerprint": s.fingerprint} for s in (train_faces, validation)}
    return Card(
        architecture=plan.config.model,
        variant=plan.variant,
        classes=EMOTIONS,
        preprocess=plan.preprocess,
        config=plan.config.to_dict(),
        seed=plan.config.seed,
        class_weights=plan.class_weights,
        data={"origin": corpus.origin.name, "fingerprint": corpus.fingerprint, "splits": splits},
        versions=versions(),
        hardware={"device": device_name(), "precision": plan.fabric_precision},
    )


def _finish(
    folder: Path, history: History, train_faces: FaceSet, validation: FaceSet, minutes: float, progress: Progress
) -> Run:
    """Evaluate the best epoch on both splits and complete its card."""
    best = checkpoints.load(folder / "best.pth")
    table = evaluate_checkpoint(best, validation, progress)
    metrics = evaluate_table(table)
    train_accuracy = evaluate_table(evaluate_checkpoint(best, train_faces, progress))["accuracy"]
    card = replace(
        best.card,
        train_accuracy=train_accuracy,
        validation_accuracy=metrics["accuracy"],
        metrics={"validation": metrics},
        hardware={**best.card.hardware, "minutes": round(minutes, 1)},
    )
    card = checkpoints.save(folder / "best.pth", best.model.state_dict(), card)
    table.save(folder / "validation.npz")
    write_whole(folder / "metrics.json", _json(metrics))
    return Run(folder, history, table, card)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
