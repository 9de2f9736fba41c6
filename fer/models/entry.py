"""What the registry keeps of an architecture, and the decorator that enters one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from fer.config import MODES
from fer.errors import ConfigError, UnknownNameError
from fer.registry import Registry
from fer.types import Preprocess

#: Input of every network whose ImageNet weights come from torchvision.
IMAGENET = Preprocess(size=224, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

#: Description of an ensemble's member as its card keeps it.
Member = Mapping[str, Any]


class Build(Protocol):
    """Makes a freshly initialised network that maps (N, C, S, S) to logits (N, classes)."""

    def __call__(self, classes: int, dropout: float) -> nn.Module:
        """Return the network; ``dropout`` is the probability before its last layer."""
        ...


@dataclass(frozen=True)
class Variant:
    """One form of an architecture.

    Attributes:
        build: makes the network.
        preprocess: the input it was designed for.
        cam_layers: dotted names of the modules whose outputs a class activation map is read from, mostly one;
            the maps of several are averaged.
        head: dotted name of the classifier; everything but the heads is the trunk that feature extraction freezes.
        more_heads: dotted names of further classifiers whose logits are mixed with those of the first.
        fixed_size: True where the network takes no other input size.
        weights: fetches pretrained weights for the trunk; None where there are none.
        reshape: brings the CAM layer's output to (N, D, h, w); None where it has that form already.
    """

    build: Build
    preprocess: Preprocess
    cam_layers: tuple[str, ...]
    head: str
    fixed_size: bool = False
    weights: Callable[[], Mapping[str, torch.Tensor]] | None = None
    reshape: Callable[[torch.Tensor], torch.Tensor] | None = None
    more_heads: tuple[str, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        """Dotted names of all classifiers."""
        return (self.head, *self.more_heads)


#: What consists of other networks has no head of its own to begin with.
COMPOSED_MODES = ("scratch", "finetune")


@dataclass(frozen=True)
class ModelEntry:
    """An architecture: its forms by name (``small`` from scratch, ``imagenet`` for pretrained weights).

    ``compose`` makes the form that consists of given members, for architectures that are made of others.
    """

    name: str
    summary: str
    reference: str
    variants: Mapping[str, Variant] = field(default_factory=dict)
    compose: Callable[[Sequence[Member]], Variant] | None = None

    def form(self, variant: str, members: Sequence[Member] = ()) -> Variant:
        """The form of this name, or the one made of ``members``; KeyError where there is none."""
        return self.compose(members) if self.compose and members else self.variants[variant]

    def modes(self, variant: str) -> tuple[str, ...]:
        """The training modes of a form; of ``small`` all but scratch start from weights of one's own (``--init``)."""
        if self.compose:
            return COMPOSED_MODES
        return MODES if variant == "small" else tuple(mode for mode in MODES if mode != "scratch")

    def variant_for(self, mode: str, has_init: bool = False) -> str:
        """Name of the form that a training mode uses.

        Raises:
            ConfigError: the mode needs pretrained weights and there are none for this architecture, or takes none.
        """
        if mode == "scratch" and has_init:
            raise ConfigError("mode scratch starts from random weights, not from those of --init; use --mode finetune with it")
        if self.compose and mode not in COMPOSED_MODES:
            raise ConfigError(f"{self.name} has a head in every member, --mode {mode} knows one; use scratch or finetune")
        if mode == "scratch" or (self.compose and has_init):
            return "small"
        if "imagenet" in self.variants:
            return "imagenet"
        if has_init:
            return "small"
        raise ConfigError(
            f"{self.name} has no ImageNet weights for --mode {mode}; use --mode scratch, or --init FILE with weights of yours"
        )


class Architectures(Registry[ModelEntry]):
    """The registered architectures, and whole families of names that another library knows (``timm:NAME``)."""

    def __init__(self) -> None:
        super().__init__("architecture")
        self._families: dict[str, Callable[[str], ModelEntry]] = {}

    def add_family(self, prefix: str, find: Callable[[str], ModelEntry]) -> None:
        """Have ``find`` answer for every name that starts with ``prefix``."""
        self._families[prefix] = find

    def __getitem__(self, name: str) -> ModelEntry:
        family = next((find for prefix, find in self._families.items() if name.startswith(prefix)), None)
        if family:
            return family(name)
        try:
            return super().__getitem__(name)
        except UnknownNameError as error:
            raise UnknownNameError(", ".join([str(error), *(f"{prefix}NAME" for prefix in self._families)])) from None


#: Every architecture that ``fer train`` knows.
MODELS = Architectures()


def register_model(name: str, *, summary: str, reference: str, small: Variant, imagenet: Variant | None = None) -> ModelEntry:
    """Enter an architecture; ValueError where the name is taken."""
    variants = {"small": small} | ({"imagenet": imagenet} if imagenet else {})
    entry = ModelEntry(name, summary, reference, variants)
    MODELS.add(name, entry)
    return entry
