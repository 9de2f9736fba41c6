"""What a configuration means for a data set: the network, its input, its weights, what is frozen."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.sampling import balanced_class_weights
from fer.emotions import EMOTIONS
from fer.environment import bf16_pays
from fer.errors import ConfigError
from fer.models import MODELS, Variant
from fer.models.weights import read_state, start_from
from fer.types import Preprocess


@dataclass(frozen=True, eq=False)
class Plan:
    """A resolved run: configuration, form of the architecture, input, loss weights, number format."""

    config: RunConfig
    variant: str
    preprocess: Preprocess
    class_weights: tuple[float, ...]

    @property
    def spec(self) -> Variant:
        """The registered form of the architecture."""
        return MODELS[self.config.model].variants[self.variant]

    @property
    def fabric_precision(self) -> str:
        """Fabric's name of the number format; ``auto`` is bfloat16 where the hardware multiplies it natively."""
        half = self.config.precision == "bf16" or (self.config.precision == "auto" and bf16_pays())
        return "bf16-mixed" if half else "32-true"

    def input_at(self, epoch: int) -> Preprocess:
        """The network's input in an epoch (from 1): smaller while progressive resizing lasts."""
        if epoch > self.config.small_epochs:
            return self.preprocess
        return dataclasses.replace(self.preprocess, size=self.config.small_size)


def make_plan(config: RunConfig, train: FaceSet) -> Plan:
    """Resolve a configuration against the registry and the training faces.

    Raises:
        UnknownNameError: no such architecture.
        ConfigError: the architecture does not allow the mode or the input size.
    """
    entry = MODELS[config.model]
    variant = entry.variant_for(config.mode, bool(config.init))
    spec = entry.variants[variant]
    size = config.input_size or spec.preprocess.size
    if spec.fixed_size and (size != spec.preprocess.size or config.small_epochs):
        raise ConfigError(
            f"{config.model} takes {spec.preprocess.size}-pixel faces only; leave input_size and small_epochs at 0"
        )
    weights = (1.0,) * len(EMOTIONS)
    if config.class_weights == "balanced":
        weights = tuple(round(w, 6) for w in balanced_class_weights(list(train.counts.values())).tolist())
    return Plan(config, variant, dataclasses.replace(spec.preprocess, size=size), weights)


def make_model(plan: Plan, *, resumed: bool = False) -> nn.Module:
    """The network with its starting weights, its trunk frozen where the mode says so.

    A resumed run brings its own weights, so that nothing is fetched for it.

    Raises:
        WeightsError: pretrained weights are out of reach or do not fit.
    """
    config, spec = plan.config, plan.spec
    torch.manual_seed(config.seed)
    model = spec.build(len(EMOTIONS), config.dropout)
    if not resumed:
        _start(model, plan)
    if config.mode == "feature-extract":
        model.requires_grad_(False).get_submodule(spec.head).requires_grad_(True)
    return model


def _start(model: nn.Module, plan: Plan) -> None:
    config, spec = plan.config, plan.spec
    if config.init:
        start_from(model, read_state(Path(config.init)), spec.head, config.init)
    elif config.mode != "scratch" and spec.weights:
        start_from(model, spec.weights(), spec.head, f"ImageNet weights of {config.model}")
