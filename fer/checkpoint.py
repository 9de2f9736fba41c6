"""Checkpoints: weights and their card in one file, loaded without executing anything from it.

The card says what the weights are and how good they were measured to be; the hash of the weights stands
in it, so that a damaged file is refused. Tensors may be stored in half precision; they are loaded as float32.
"""

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer.card import SCHEMA, Card
from fer.data.preprocess import standardise
from fer.environment import best_device
from fer.errors import CheckpointError, UnknownNameError
from fer.files import write_whole
from fer.models.packed import packed
from fer.models.tensorfile import UnreadableTensorsError, is_state, read_tensors
from fer.models.weights import State, state_sha256
from fer.portable import is_portable
from fer.released import find
from fer.run_files import network_name
from fer.types import FACE_SIZE

_FORMAT = "fer checkpoint"
#: What values of the wrong kind on a card end in; infinity is no size.
_MALFORMED = (KeyError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: the network in evaluation mode, float32, on a device, with its card and name."""

    model: nn.Module
    card: Card
    name: str

    @property
    def device(self) -> torch.device:
        """Where the weights are, and faces have to be."""
        return next(self.model.parameters()).device

    @cached_property
    def runner(self) -> nn.Module:
        """What answers and explains: the network, made faster for a CPU once; its weights must not change from then on."""
        preprocess = self.card.preprocess
        example = standardise(torch.full((1, 1, FACE_SIZE, FACE_SIZE), 0.5), preprocess)
        return packed(self.model, example, self.card.spec.cam_layers)


def build(card: Card) -> nn.Module:
    """The network a card describes, freshly initialised."""
    return card.spec.build(len(card.classes), float(card.config.get("dropout", 0.0)))


def save(
    path: Path, state: State, card: Card, *, half: Collection[str] = (), training: Mapping[str, Any] | None = None
) -> Card:
    """Write weights and card to one file, completely or not at all.

    Args:
        path: target, replaced if it exists.
        state: tensors by name.
        card: its hash is filled in here.
        half: names of floating tensors to store in float16; ``state`` for all.
        training: optimizer state and the like, needed only to resume.

    Returns:
        The card as written.

    Raises:
        OutputError: the folder is missing, full or not writable.
    """
    stored = {name: _stored(tensor, name in half) for name, tensor in state.items()}
    card = replace(card, weights_sha256=network_sha256(stored, card))
    content = {"format": _FORMAT, "schema": card.schema, "card": card.to_json(), "state_dict": stored}
    if training is not None:
        content["training"] = dict(training)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())
    return card


def network_sha256(state: State, card: Card) -> str:
    """Fingerprint of what makes a network's answers: its weights, and of an ensemble the shares and inputs of its members."""
    weights = state_sha256(state)
    if not card.members:
        return weights
    described = [[member.get(key) for key in ("weight", "temperature", "preprocess")] for member in card.members]
    return hashlib.sha256(json.dumps([weights, described], sort_keys=True).encode()).hexdigest()


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not half or not tensor.is_floating_point():
        return tensor
    small = tensor.half()
    return small if bool(torch.isfinite(small).all()) else tensor  # beyond 65,504 it would be no number


def rounded(state: State, half: Collection[str]) -> dict[str, torch.Tensor]:
    """Tensors as :func:`load` gives them back after :func:`save` with the same ``half``."""
    return {name: _stored(tensor, name in half).to(tensor.dtype) for name, tensor in state.items()}


def load(name: str | Path | None = None, device: torch.device | str | None = None) -> Checkpoint:
    """Load a file, or a released checkpoint by its name; None means the shipped default, and the best device there is.

    Raises:
        CheckpointError: not there, no checkpoint, damaged, newer, or of an unknown architecture.
    """
    path = checkpoint_file(name)
    content = read(path)
    card = read_card(content, path)
    state = content["state_dict"]
    if network_sha256(state, card) != card.weights_sha256:
        raise CheckpointError(f"{path}: the weights do not match the sha256 in their card; copy or download the file again")
    try:
        model = build(card)
    except (UnknownNameError, KeyError) as error:
        text = error.args[0] if isinstance(error, UnknownNameError) else f"no form {error} of {card.architecture}"
        raise CheckpointError(f"{path}: {text}; upgrade ferscope or choose another checkpoint") from error
    except _MALFORMED as error:
        raise _damaged_card(path, error) from error
    try:
        model.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: the weights do not fit {card.architecture}; the file was made by other code, train or download it again"
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
        raise CheckpointError(f"{path}: some weights are not finite; train it again with a lower lr")
    return Checkpoint(model.eval().to(device or best_device()), card, network_name(path))


def checkpoint_file(name: str | Path | None) -> Path:
    """Path of a checkpoint named by file or by release name; CheckpointError where there is none, or an exported model."""
    path = find(name)
    if is_portable(path):
        raise CheckpointError(f"{path}: an exported model; this needs the checkpoint it was made from, a .pth")
    return path


def read(path: Path) -> dict[str, Any]:
    """Content of a checkpoint file, tensors and plain values only.

    Raises:
        CheckpointError: not there, no checkpoint of this program, damaged, or of a newer schema.
    """
    try:
        content = read_tensors(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnreadableTensorsError as error:
        raise CheckpointError(f"{path}: {error}; give a checkpoint written by fer train") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: holds tensors but no card; use it with fer train NAME --mode finetune --init {path}")
    if not isinstance(content.get("schema"), int) or content["schema"] > SCHEMA:
        raise CheckpointError(
            f"{path}: written by a newer version (schema {content.get('schema')}, {SCHEMA} is read here); upgrade ferscope"
        )
    if not is_state(content.get("state_dict")):
        raise CheckpointError(f"{path}: holds no weights; train or download it again")
    return content


def read_card(content: Mapping[str, Any], path: Path) -> Card:
    """The card inside a file's content; CheckpointError where it is malformed."""
    try:
        return Card.from_json(content["card"])
    except _MALFORMED as error:
        raise _damaged_card(path, error) from error


def _damaged_card(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: its card is damaged ({error}); train or download it again")
