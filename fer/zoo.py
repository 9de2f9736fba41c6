"""The released models: what is trained, from which recipe, and how good it has to be."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from fer import checkpoint as checkpoints
from fer import released, run_files
from fer.card import Card
from fer.config import RunConfig
from fer.data import Corpus
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.floors import FLOORS
from fer.latency import measure
from fer.metrics import wilson_interval
from fer.portable import Portable
from fer.predict import Model, open_model
from fer.release import lacks, release
from fer.released import RELEASED
from fer.training.run import Continuation, train
from fer.training.series import Watched
from fer.training.store import check_finished, has_state
from fer.types import Progress

#: What is trained from the recipes of these names and released, in this order: students after their teachers.
ZOO = (
    *(
        "baseline",
        "custom_cnn",
        "fast_cnn",
        "mobilenet_v3_small",
        "senet",
        "net",
        "net-long",
        "efficientnet_b0",
        "resnet18",
        "vgg16",
    ),
    *("vgg8", "resnet18-distilled", "resnet18-ferplus", "fast_cnn-four", "resnet18-four"),
)


#: The nearest peer that can be installed, a mini-Xception in int8; measured elsewhere, on another machine.
PEER = {"name": "mini-Xception, int8 (peer)", "accuracy": 0.6525, "milliseconds": 0.43, "published": True}


def points() -> list[dict[str, Any]]:
    """Accuracy, size and speed of every released checkpoint of all classes, timed here; :data:`PEER` comes last."""
    rows: list[dict[str, Any]] = []
    for name in [*released.released_names(), *released.exported_names()]:
        loaded = open_model(name, threads=torch.get_num_threads())
        if loaded.card.classes != EMOTIONS:
            continue  # fewer classes are told apart more easily: another measure
        figures, latency = _figures(loaded), measure(loaded)
        rows.append(
            {
                "name": name,
                "default": name == released.default_name(),
                **figures,
                "milliseconds": latency.batched,
                "milliseconds_single": latency.single,
                "megabytes": released.find(name).stat().st_size / 1e6,
            }
        )
    return [*rows, PEER]


def _figures(model: Model) -> dict[str, Any]:
    """Validation accuracy with its interval: from the card, or of an exported model from its proof."""
    measured = model.card.metrics["validation"]
    if not isinstance(model, Portable):
        return {"accuracy": measured["accuracy"], "ci95": measured["ci95"]}
    accuracy = model.seal.proof["accuracy"][1]
    return {"accuracy": accuracy, "ci95": wilson_interval(round(accuracy * measured["n"]), measured["n"])}


def train_release(name: str, config: RunConfig, corpus: Corpus, runs: Path, watched: Watched) -> Path:
    """Train into ``runs/name``; a finished run is kept, a stopped one goes on. Its best.pth is returned.

    Raises:
        ConfigError: the folder holds a run of other settings or other data.
        FerError: as :func:`fer.training.run.train`.
    """
    folder = runs / name
    if (folder / run_files.METRICS).exists():
        check_finished(folder, config, corpus)
    else:
        going_on = Continuation(resume=has_state(folder))
        with watched(config, corpus, folder) as watch:
            train(config, corpus, folder, watch, continuation=going_on)
    return folder / run_files.BEST


def check_name(name: str, checkpoint: Path) -> None:
    """Say that a checkpoint cannot be released under a name.

    Raises:
        ConfigError: no name of a file, or that of another architecture's release.
        CheckpointError: the checkpoint cannot be read.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"{name!r} is no name for a release; use letters, digits, dots, - and _")
    new = checkpoints.read_card(checkpoints.read(checkpoint), checkpoint)
    path = released.RELEASED / f"{name}.pth"
    if path.exists() and (old := checkpoints.read_card(checkpoints.read(path), path)).architecture != new.architecture:
        raise ConfigError(f"{name} is a released {old.architecture}, {checkpoint} a {new.architecture}; give it another name")


def release_best(
    name: str, best: Path, corpus: Corpus, target: Path = RELEASED, progress: Progress | None = None
) -> tuple[Card, bool]:
    """Store a run's best checkpoint with card and history, unless what is there answers better; its card, and whether stored.

    "Better" is validation accuracy without test-time augmentation, on the same faces.
    """
    path = target / f"{name}.pth"
    candidate = path.with_name(f".{name}.new.pth")
    try:
        card = release(checkpoints.load(best), corpus, candidate, progress)
        if path.exists() and _accuracy(path, card) >= card.validation_accuracy:
            return card, False
        candidate.replace(path)
        candidate.with_suffix(".json").replace(path.with_suffix(".json"))
        history = best.with_name("history.csv")
        path.with_suffix(".csv").unlink(missing_ok=True)
        if history.exists():
            shutil.copyfile(history, path.with_suffix(".csv"))
        return card, True
    finally:
        candidate.unlink(missing_ok=True)
        candidate.with_suffix(".json").unlink(missing_ok=True)


def _accuracy(path: Path, rival: Card) -> float:
    """Validation accuracy of a released file; −∞ where it was measured on other faces."""
    card = checkpoints.read_card(checkpoints.read(path), path)
    same = card.classes == rival.classes and card.data["splits"]["validation"] == rival.data["splits"]["validation"]
    return card.validation_accuracy if same else -math.inf


def verdict(name: str, card: Card) -> str:
    """What a release lacks of its floor, in words, or that it reaches it or has none."""
    if name not in FLOORS:
        return "no floor is set"
    return "; ".join(lacks(FLOORS[name], card)) or "reaches its floor"
