"""The files of a run: written whole, checked when read, the previous state kept beside the last one."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
import yaml

from fer import checkpoint as checkpoints
from fer.card import Card
from fer.config import RunConfig
from fer.data import Corpus
from fer.data.labels import relabel
from fer.errors import CheckpointError, ConfigError, OutputError
from fer.files import make_folder, move_whole, sweep, write_whole
from fer.models.tensorfile import UnreadableTensorsError, read_tensors
from fer.models.weights import State
from fer.overrides import with_values
from fer.run_files import BEST, CONFIG, CONFUSION_PICTURE, CURVES_PICTURE, LAST, METRICS, PREVIOUS, TABLE
from fer.training.trainer import Trainer
from fer.words import shortened

_WAITING, _DAMAGED = f".{LAST}.new", "damaged.pth"
_WRITTEN = (
    *(LAST, _WAITING, BEST, CONFIG, METRICS, "history.csv", TABLE, "validation.json"),
    *(CURVES_PICTURE, CONFUSION_PICTURE),
)


def prepare(folder: Path, config: RunConfig) -> None:
    """Make the folder, remove what an earlier stop left half-written, write the configuration."""
    make_folder(folder)
    for name in _WRITTEN:
        sweep(folder, name)
    write_whole(folder / CONFIG, yaml.safe_dump(config.to_dict(), sort_keys=False).encode())


def read_config(folder: Path) -> RunConfig:
    """The configuration of an earlier run.

    Raises:
        ConfigError: the folder is none of a run, or the run is finished.
    """
    config = _config(folder)
    if (folder / METRICS).exists():
        raise ConfigError(f"the run in {folder} is finished; repeat it with fer train --config {folder / CONFIG}")
    return config


def _config(folder: Path) -> RunConfig:
    try:
        values = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        return with_values(RunConfig(), values, str(folder / CONFIG))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(_why_no_run(folder)) from error
    except OSError as error:
        raise ConfigError(f"{folder / CONFIG} cannot be read ({error.strerror}); name the folder of a run") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{folder / CONFIG} is no YAML file; name the folder of a run") from error
    except (ValueError, yaml.YAMLError, AttributeError, TypeError, RecursionError) as error:
        raise ConfigError(f"{folder} is no run folder that can be resumed: {shortened(str(error), 160)}") from error


def _why_no_run(folder: Path) -> str:
    """What is wrong with a folder that has no configuration, and what to name instead."""
    if runs := [path.parent for path in folder.glob(f"*/{CONFIG}")]:
        unfinished = [run for run in runs if not (run / METRICS).exists()]
        newest = max(unfinished or runs, key=lambda run: (run / CONFIG).stat().st_mtime)
        return f"{folder} holds runs; name one of them, the newest {'unfinished ' * bool(unfinished)}is {newest}"
    if (folder.parent / CONFIG).exists():
        return f"{folder} is a part of a run; name its folder, {folder.parent}"
    what = f"has no {CONFIG}" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
    return f"{folder} {what}; name the folder of a run, as fer train printed it"


def check_finished(folder: Path, config: RunConfig, corpus: Corpus) -> None:
    """Say that a finished run is not the one that is asked for.

    Raises:
        ConfigError: it had other settings, or other faces or labels.
        CheckpointError: its best checkpoint is missing or damaged.
    """
    if _config(folder) != config:
        raise ConfigError(f"the finished run in {folder} had other settings; move it away, or name another folder")
    if read_best(folder).data.get("fingerprint") != relabel(corpus, config)[0].fingerprint:
        raise ConfigError(f"{folder} was trained on other data; name the same data set with --data, or another folder")


def save_last(folder: Path, trainer: Trainer, state: dict[str, Any], card: Card) -> None:
    """Keep the whole state; the state before it stays as ``previous.pth``."""
    last, waiting = folder / LAST, folder / _WAITING
    checkpoints.save(waiting, trainer.average.model.state_dict(), card, training=packed(state))
    # between these two renames a crash leaves only the previous state, from which the run also continues
    if last.exists():
        move_whole(last, folder / PREVIOUS)
    move_whole(waiting, last)
    trainer.history.save(folder / "history.csv")


def has_state(folder: Path) -> bool:
    """Whether a folder holds a state that a run can go on from, or what is left of one."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def newest_state(folder: Path) -> Path:
    """The file of the last state, or of the one before it where a kill has left that alone."""
    return folder / LAST if (folder / LAST).exists() else folder / PREVIOUS


def read_best(folder: Path) -> Card:
    """The card of the best epoch so far.

    Raises:
        CheckpointError: missing or damaged, so that the run could not be finished.
    """
    try:
        return _whole(folder / BEST)[1]
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; without it the run's best epoch is lost: put it back, or put a copy of {LAST} in its place "
            "to go on with that as the best"
        ) from error


def set_aside(folder: Path) -> None:
    """Take a damaged last state out of the way, so that it never takes the place of the good one before it."""
    try:
        if (folder / LAST).exists():
            (folder / LAST).replace(folder / _DAMAGED)
    except OSError as error:
        raise OutputError(f"cannot rename {folder / LAST}: {error.strerror}; choose a writable folder") from error


def save_best(folder: Path, card: Card, state: State) -> None:
    """Keep an averaged network as the best so far."""
    checkpoints.save(folder / BEST, state, card)


def read_last(folder: Path) -> tuple[Card, dict[str, Any], State, str]:
    """Card, state, averaged weights, and what to tell the user of a damaged file ("" if nothing).

    Raises:
        CheckpointError: neither the last state nor the one before it can be read.
    """
    try:
        return *_read(folder / LAST), ""
    except CheckpointError as damage:
        if not (folder / PREVIOUS).exists():
            raise
        note = f"{damage}; going on from the state before it, {folder / PREVIOUS}"
        return *_read(folder / PREVIOUS), note


def _read(path: Path) -> tuple[Card, dict[str, Any], State]:
    content, card = _whole(path)
    return card, unpacked(content.get("training"), path), content["state_dict"]


def _whole(path: Path) -> tuple[dict[str, Any], Card]:
    """What a checkpoint holds and its card; CheckpointError where its weights are damaged."""
    content = checkpoints.read(path)
    card = checkpoints.read_card(content, path)
    if checkpoints.network_sha256(content["state_dict"], card) != card.weights_sha256:
        raise CheckpointError(f"{path}: the weights do not match their sha256")
    return content, card


def packed(state: dict[str, Any]) -> dict[str, Any]:
    """A state as bytes with their sha256, since the archive's own checksums are not looked at."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": torch.frombuffer(bytearray(data), dtype=torch.uint8)}


def unpacked(content: Any, path: Path) -> dict[str, Any]:
    """Inverse of :func:`packed`; CheckpointError, which names ``path``, where it is damaged or none."""
    if not isinstance(content, dict) or not isinstance(content.get("bytes"), torch.Tensor):
        raise CheckpointError(f"{path}: holds no training state; start a new run")
    data = content["bytes"].numpy().tobytes()
    if hashlib.sha256(data).hexdigest() != content.get("sha256"):
        raise CheckpointError(f"{path}: the training state does not match its sha256")
    try:
        state: dict[str, Any] = read_tensors(data)
    except UnreadableTensorsError as error:
        raise CheckpointError(f"{path}: {error}; start a new run") from error
    return state


def read_json(path: Path) -> Any:
    """What :func:`write_json` wrote; ConfigError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it, and its run goes on") from error


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, completely or not at all."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())
