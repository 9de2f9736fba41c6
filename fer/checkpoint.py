"""Checkpoints: weights and their card in one file, loaded without executing anything from it.

The card says what the weights are and how good they were measured to be; the hash of the weights stands
in it, so that a damaged file is refused. Tensors may be stored in half precision; they are loaded as float32.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from fer.data.faceset import FACE_SIZE
from fer.data.preprocess import standardise
from fer.emotions import EMOTIONS
from fer.environment import best_device
from fer.errors import CheckpointError, UnknownNameError
from fer.files import write_whole
from fer.models import MODELS, Variant
from fer.models.packed import packed
from fer.models.tensorfile import UnreadableTensorsError, is_state, read_tensors
from fer.models.weights import State, state_sha256
from fer.types import Preprocess

#: Raised by one whenever older programs could misread a new checkpoint.
SCHEMA = 1
_FORMAT = "fer checkpoint"

#: Checkpoints shipped with the program.
RELEASED = Path(__file__).resolve().parent.parent / "checkpoints"
_DEFAULT_FILE = RELEASED / "DEFAULT"


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself.

    Attributes:
        architecture: name in :data:`fer.models.MODELS`.
        variant: form of the architecture, ``small`` or ``imagenet``.
        classes: class names in the order of the logits.
        preprocess: how a face becomes the input.
        config: the resolved run configuration.
        seed: of initialisation, order and augmentation.
        class_weights: weight of every class in the loss.
        best_epoch: the epoch (from 1) whose weights these are, chosen on the validation split.
        train_accuracy: 0..1, without augmentation.
        validation_accuracy: 0..1.
        metrics: split → all figures with n and 95 % interval.
        data: origin, fingerprint, and per split count and fingerprint.
        versions: of Python and the packages that matter.
        hardware: device and minutes of the training.
        members: for an ensemble, its networks: architecture, variant, preprocess, weight, and what they were measured at.
        temperature: logits are divided by it wherever the checkpoint answers; fitted on a part of the validation split.
        biases: what calibration has added to the last layer's bias of each class; empty where nothing.
        weights_sha256: over the stored tensors.
        schema: version of this layout.
    """

    architecture: str
    variant: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    class_weights: tuple[float, ...] = ()
    best_epoch: int = 0
    train_accuracy: float = 0.0
    validation_accuracy: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[Mapping[str, Any], ...] = ()
    temperature: float = 1.0
    biases: tuple[float, ...] = ()
    weights_sha256: str = ""
    schema: int = SCHEMA

    @property
    def spec(self) -> Variant:
        """The registered form of the architecture; UnknownNameError where this program has none."""
        return MODELS[self.architecture].form(self.variant, self.members)

    def to_json(self) -> str:
        """Readable JSON, one key a line."""
        data = {f.name: getattr(self, f.name) for f in fields(self)} | {"preprocess": self.preprocess.to_dict()}
        return json.dumps(data, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`; ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise TypeError("a card is a JSON object")
        known = {f.name for f in fields(cls)}
        card = cls(**{key: value for key, value in data.items() if key in known})
        card = replace(
            card,
            preprocess=Preprocess.from_dict(data["preprocess"]),
            classes=tuple(card.classes),
            class_weights=tuple(card.class_weights),
            members=tuple(card.members),
            biases=tuple(card.biases),
        )
        card.validate()
        return card

    def validate(self) -> None:
        """ValueError or TypeError where a value is of the wrong kind or impossible."""
        texts = (self.architecture, self.variant, self.weights_sha256)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.config, Mapping):
            raise TypeError("architecture, variant and weights_sha256 are texts, config is a mapping")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes) or not set(self.classes) <= set(EMOTIONS):
            raise ValueError(f"classes {list(self.classes)}, different ones of {', '.join(EMOTIONS)} are read here")
        if not all(isinstance(member, Mapping) for member in self.members):
            raise TypeError("members are mappings")
        dropout = self.config.get("dropout", 0.0)
        if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout {dropout!r} is no number in 0..1")
        if not isinstance(self.temperature, int | float) or not 0.01 <= self.temperature <= 100:
            raise ValueError(f"temperature {self.temperature!r} is no number in 0.01..100")
        if len(self.biases) not in (0, len(self.classes)) or not all(isinstance(bias, int | float) for bias in self.biases):
            raise ValueError(f"biases {list(self.biases)!r} are not one number for each of {len(self.classes)} classes")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: the network in evaluation mode, float32, on the best device, with its card and name."""

    model: nn.Module
    card: Card
    name: str

    @cached_property
    def runner(self) -> nn.Module:
        """What answers and explains: the network, made faster for a CPU once; its weights must not change from then on."""
        preprocess = self.card.preprocess
        example = standardise(torch.full((1, 1, FACE_SIZE, FACE_SIZE), 0.5), preprocess)
        return packed(self.model, example, self.card.spec.cam_layers)


def build(card: Card) -> nn.Module:
    """The network a card describes, freshly initialised."""
    return card.spec.build(len(card.classes), float(card.config.get("dropout", 0.0)))


def save(path: Path, state: State, card: Card, *, half: bool = False, training: Mapping[str, Any] | None = None) -> Card:
    """Write weights and card to one file, completely or not at all.

    Args:
        path: target, replaced if it exists.
        state: tensors by name.
        card: its hash is filled in here.
        half: store floating tensors in float16.
        training: optimizer state and the like, needed only to resume.

    Returns:
        The card as written.

    Raises:
        OutputError: the folder is missing, full or not writable.
    """
    stored = {name: _stored(tensor, half) for name, tensor in state.items()}
    card = replace(card, weights_sha256=state_sha256(stored))
    content = {"format": _FORMAT, "schema": card.schema, "card": card.to_json(), "state_dict": stored}
    if training is not None:
        content["training"] = dict(training)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())
    return card


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def load(name: str | Path | None = None) -> Checkpoint:
    """Load a file, or a released checkpoint by its name; None means the shipped default.

    Raises:
        CheckpointError: not there, no checkpoint, damaged, newer, or of an unknown architecture.
    """
    path = find(name)
    content = read(path)
    card = read_card(content, path)
    state = content["state_dict"]
    if state_sha256(state) != card.weights_sha256:
        raise CheckpointError(f"{path}: the weights do not match the sha256 in their card; copy or download the file again")
    try:
        model = build(card)
    except (UnknownNameError, KeyError) as error:
        text = error.args[0] if isinstance(error, UnknownNameError) else f"no form {error} of {card.architecture}"
        raise CheckpointError(f"{path}: {text}; upgrade ferscope or choose another checkpoint") from error
    try:
        model.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: the weights do not fit {card.architecture}; the file was made by other code, train or download it again"
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
        raise CheckpointError(f"{path}: some weights are not finite; train it again with a lower lr")
    return Checkpoint(model.eval().to(best_device()), card, path.stem)


def find(name: str | Path | None) -> Path:
    """Path of a checkpoint named by file or by release name; CheckpointError where there is none."""
    name = default_name() if name is None else str(name)
    if Path(name).is_file():
        return Path(name)
    released = RELEASED / f"{name}.pth"
    if os.sep not in name and released.is_file():
        return released
    known = ", ".join(released_names()) or "none"
    raise CheckpointError(f"no checkpoint {name}: neither a file nor a released name (released: {known})")


def released_names() -> list[str]:
    """Names of the checkpoints shipped with the program, the default first."""
    names = sorted(path.stem for path in RELEASED.glob("*.pth"))
    return sorted(names, key=lambda name: name != default_name())


def default_name() -> str:
    """Name of the checkpoint that is used where none is named."""
    try:
        return _DEFAULT_FILE.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CheckpointError("no default checkpoint is shipped; name one with --checkpoint FILE") from error


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
        raise CheckpointError(f"{path}: holds tensors but no card; use it with fer train --init {path}")
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
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its card is damaged ({error}); train or download it again") from error
