"""What the registry keeps of an architecture, and the decorator that enters one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn
from torchvision.models import WeightsEnum

from fer.errors import ConfigError
from fer.registry import Registry
from fer.types import Preprocess


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
        cam_layer: dotted name of the module whose output a class activation map is read from.
        head: dotted name of the classifier; everything else is the trunk that feature extraction freezes.
        fixed_size: True where the network takes no other input size.
        weights: pretrained weights for the trunk, or None.
    """

    build: Build
    preprocess: Preprocess
    cam_layer: str
    head: str
    fixed_size: bool = False
    weights: Callable[[], WeightsEnum] | None = None


@dataclass(frozen=True)
class ModelEntry:
    """An architecture: its forms by name (``small`` from scratch, ``imagenet`` for pretrained weights)."""

    name: str
    summary: str
    reference: str
    variants: Mapping[str, Variant] = field(default_factory=dict)

    def variant_for(self, mode: str, has_init: bool = False) -> str:
        """Name of the form that a training mode uses.

        Raises:
            ConfigError: the mode needs pretrained weights and there are none for this architecture.
        """
        if mode == "scratch":
            return "small"
        if "imagenet" in self.variants:
            return "imagenet"
        if has_init:
            return "small"
        raise ConfigError(
            f"{self.name} has no ImageNet weights for --mode {mode}; use --mode scratch, or --init FILE with weights of yours"
        )


#: Every architecture that ``fer train`` knows.
MODELS: Registry[ModelEntry] = Registry("architecture")


def register_model(name: str, *, summary: str, reference: str, small: Variant, imagenet: Variant | None = None) -> ModelEntry:
    """Enter an architecture; ValueError where the name is taken."""
    variants = {"small": small} | ({"imagenet": imagenet} if imagenet else {})
    entry = ModelEntry(name, summary, reference, variants)
    MODELS.add(name, entry)
    return entry
