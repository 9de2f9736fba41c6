"""The released models: what is trained, from which recipe, and how good it has to be."""

import re
from collections.abc import Mapping
from pathlib import Path

from fer import checkpoint as checkpoints
from fer import released, run_files
from fer.card import Card
from fer.config import RunConfig
from fer.data import Corpus
from fer.data.labels import relabel
from fer.ensembles import assemble
from fer.errors import ConfigError
from fer.files import make_folder, write_whole
from fer.floors import FLOORS
from fer.release import lacks, release
from fer.training.run import Continuation, train
from fer.training.series import Watched
from fer.training.store import check_finished, has_state
from fer.types import Progress

#: What is trained from the recipes of these names and released, in this order: students after their teachers.
ZOO = (
    *(
        "baseline",
        "custom_cnn",
        "net",
        "fast_cnn",
        "custom_cnn-distilled",
        "net-distilled",
        "fast_cnn-robust",
        "mobilenet_v3_small-distilled",
        "mobilenet_v3_small",
        "senet",
        "net-long",
        "efficientnet_b0",
        "resnet18",
        "vgg16",
    ),
    *("vgg8", "ensemble", "resnet18-distilled", "fast_cnn-ferplus", "resnet18-ferplus", "fast_cnn-four", "resnet18-four"),
)
#: Releases that are put together from others rather than trained, with their members. Different families, most of them never
#: taught: students of one another answer alike.
ENSEMBLES: Mapping[str, tuple[str, ...]] = {
    "ensemble": ("resnet18", "vgg8", "vgg16", "senet", "efficientnet_b0", "net-distilled"),
}

# each part of it where the command has it
_ELSEWHERE = "release it by another name (fer zoo add), or into another folder (fer zoo train --out)"


def train_release(name: str, config: RunConfig, corpus: Corpus, runs: Path, watched: Watched, target: Path) -> Path:
    """Train into ``runs/name`` for a release in ``target``; a finished run is kept, a stopped one goes on. Gives its best.pth.

    Raises:
        ConfigError: the folder holds a run of other settings or other data, or the release could not be stored.
        FerError: as :func:`fer.training.run.train`.
    """
    folder = runs / name
    if (folder / run_files.METRICS).exists():
        check_finished(folder, config, corpus)
    else:
        judged = relabel(corpus, config)[0].for_training()[1]
        _check_rival(target / f"{name}.pth", config.model, config.classes, judged.fingerprint)
        going_on = Continuation(resume=has_state(folder))
        with watched(config, corpus, folder) as watch:
            train(config, corpus, folder, watch, continuation=going_on)
    return folder / run_files.BEST


def put_together(name: str, corpus: Corpus, runs: Path, target: Path, progress: Progress | None = None) -> Path:
    """Put one of :data:`ENSEMBLES` together into ``runs/name``, its shares fitted on the validation split. Gives its best.pth.

    Members are what is released in ``target``, or else in checkpoints/.

    Raises:
        ConfigError: a member is released in neither place, or another architecture's release has the ensemble's place.
        FerError: as :func:`fer.ensembles.assemble`.
    """
    places = {member: (target / f"{member}.pth", released.RELEASED / f"{member}.pth") for member in ENSEMBLES[name]}
    found = {member: next((path for path in paths if path.exists()), None) for member, paths in places.items()}
    if absent := [member for member, path in found.items() if path is None]:
        raise ConfigError(
            f"{name} is made of {', '.join(found)}; not released: {', '.join(absent)}; "
            f"train them first: fer zoo train {' '.join(absent)}"
        )
    judged = assemble([checkpoints.load(path) for path in found.values() if path], corpus, "fit", progress)
    made = judged.checkpoint
    _check_rival(target / f"{name}.pth", "ensemble", made.card.classes, made.card.judged_faces)
    folder = runs / name
    make_folder(folder)
    checkpoints.save(folder / run_files.BEST, made.model.state_dict(), made.card)
    return folder / run_files.BEST


def check_name(name: str, checkpoint: Path) -> None:
    """Say that a checkpoint cannot be released under a name, as far as can be known before it is measured.

    Raises:
        ConfigError: no name of a file, or that of an export, of another architecture's release or of one that was measured
            on other faces.
        CheckpointError: the checkpoint cannot be read.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"{name!r} is no name for a release; use letters, digits, dots, - and _")
    new = _card(checkpoint)
    _check_rival(released.RELEASED / f"{name}.pth", new.architecture, new.classes, new.judged_faces)


def _check_rival(path: Path, architecture: str, classes: tuple[str, ...], judged_faces: str) -> None:
    """ConfigError where what lies at a release's place cannot be set beside a model of these classes and validation faces."""
    if not path.exists():
        if (export := path.with_suffix(".onnx")).exists():
            raise ConfigError(f"{path.stem} is the exported model {export}, which a checkpoint would hide; {_ELSEWHERE}")
        return
    old = _card(path)
    if old.architecture != architecture:
        raise ConfigError(f"{path.stem} is a released {old.architecture}, this a {architecture}; {_ELSEWHERE}")
    if not judged_faces or (old.classes, old.judged_faces) != (classes, judged_faces):
        raise ConfigError(
            f"{path} was measured on other data (faces, labels or classes), so that neither is known to be better; {_ELSEWHERE}"
        )


def _card(path: Path) -> Card:
    return checkpoints.read_card(checkpoints.read(path), path)


def release_best(name: str, best: Path, corpus: Corpus, target: Path, progress: Progress | None = None) -> tuple[Card, bool]:
    """Store a run's best checkpoint with card and history, unless what is there answers better; its card, and whether stored.

    "Better" is validation accuracy without test-time augmentation, on the same faces.

    Raises:
        ConfigError: what is there was measured on other faces, labels or classes, or is another architecture.
        FerError: as :func:`fer.release.release`.
    """
    path, new = target / f"{name}.pth", _card(best)
    _check_rival(path, new.architecture, new.classes, new.judged_faces)
    candidate = path.with_name(f".{name}.new.pth")
    try:
        card = release(checkpoints.load(best), corpus, candidate, progress)
        if path.exists() and _card(path).validation_accuracy >= card.validation_accuracy:
            return card, False
        # the weights last: until they are there, the same command stores all three again
        history = best.with_name("history.csv")
        if history.exists():
            write_whole(path.with_suffix(".csv"), history.read_bytes())
        else:
            path.with_suffix(".csv").unlink(missing_ok=True)
        candidate.with_suffix(".json").replace(path.with_suffix(".json"))
        candidate.replace(path)
        return card, True
    finally:
        candidate.unlink(missing_ok=True)
        candidate.with_suffix(".json").unlink(missing_ok=True)


def verdict(name: str, card: Card) -> str:
    """What a release lacks of its floor, in words, or that it reaches it or has none."""
    if name not in FLOORS:
        return "no floor is set"
    return "; ".join(lacks(FLOORS[name], card)) or "reaches its floor"
