"""What a configuration means for a data set: the network, its input, its weights, what is frozen."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import nn

from fer.config import Augmentation, RunConfig
from fer.data import FaceSet
from fer.data.sampling import class_weights
from fer.errors import ConfigError
from fer.models import MODELS, Member, Variant
from fer.models.weights import read_state, start_from
from fer.training.formats import Format, fastest_format
from fer.training.freezing import free_stages, freeze
from fer.training.start import Start, read_start, starting_file
from fer.types import Preprocess
from fer.words import counted, shortened


@dataclass(frozen=True, eq=False)
class Plan:
    """A resolved run: configuration, form of the architecture, input, loss weights, what it starts from."""

    config: RunConfig
    variant: str
    preprocess: Preprocess
    class_weights: tuple[float, ...]
    members: tuple[Member, ...] = ()
    start: Start = dataclasses.field(default_factory=Start)

    @property
    def spec(self) -> Variant:
        """The registered form of the architecture."""
        return MODELS[self.config.model].form(self.variant, self.members)

    def format_on(self, device: str) -> Format:
        """Number format and memory layout on ``cpu`` or ``cuda``."""
        return fastest_format(self.config.model, self.config.precision, device)

    def input_at(self, epoch: int) -> Preprocess:
        """The network's input in an epoch (from 1): smaller while progressive resizing lasts."""
        if epoch > self.config.small_epochs:
            return self.preprocess
        return dataclasses.replace(self.preprocess, size=self.config.small_size)

    def augmentation_at(self, epoch: int) -> Augmentation:
        """The strengths in an epoch (from 1): the last ones may go without mixing."""
        config = self.config
        mixed = math.floor(round(config.epochs * (1 - config.augmentation.unmixed), 9))
        return config.augmentation if epoch <= mixed else config.augmentation.without_mixing

    def freeze(self, model: nn.Module, by_stage: list[list[str]], epoch: int) -> None:
        """Let the parts learn that the mode lets learn in an epoch (from 1)."""
        free = {"feature-extract": 1, "gradual": free_stages(epoch, self.config.unfreeze_every)}
        freeze(model, by_stage, min(len(by_stage), free.get(self.config.mode, len(by_stage))))


def frozen_note(config: RunConfig, stages: int) -> str:
    """What to tell the user of stages that mode gradual never frees in so few epochs; "" where there are none.

    >>> frozen_note(RunConfig(mode="gradual", epochs=10), 6)
    '1 of 6 stages stays frozen, since 10 epochs free 5; --unfreeze-every 1 (--set unfreeze_every=1) frees all'
    """
    frozen = stages - free_stages(config.epochs, config.unfreeze_every)
    if config.mode != "gradual" or frozen <= 0:
        return ""
    every = (config.epochs - 1) // (stages - 1)
    enough = 1 + (stages - 1) * config.unfreeze_every
    cure = f"--unfreeze-every {every} (--set unfreeze_every={every}) frees all" if every else f"all need --epochs {enough}"
    stay = "stays" if frozen == 1 else "stay"
    few = f"{counted(config.epochs, 'epoch')} {'frees' if config.epochs == 1 else 'free'}"
    return f"{frozen} of {stages} stages {stay} frozen, since {few} {stages - frozen}; {cure}"


def make_plan(config: RunConfig, train: FaceSet, start: Start | None = None) -> Plan:
    """Resolve a configuration against the registry and the training faces; ``start`` is read where it is not given.

    Raises:
        UnknownNameError: no such architecture.
        ConfigError: the architecture does not allow the mode or the input size, or the faces not the batch size.
        DataError: a class has no face.
        WeightsError: the starting weights cannot be read.
    """
    entry, start = MODELS[config.model], start or read_start(config)
    own = entry.variant_for(config.mode, bool(config.init))  # says, too, what the mode does not allow
    variant = start.variant or own
    members = start.members if entry.compose else ()
    spec = entry.form(variant, members)
    size = config.input_size or spec.preprocess.size
    if spec.fixed_size and (size != spec.preprocess.size or config.small_epochs):
        raise ConfigError(
            f"{config.model} takes {spec.preprocess.size}-pixel faces only; leave input_size and small_epochs at 0"
        )
    weights = class_weights(config.loss, train.counts)
    refuse_batch(config, len(train), "training faces")
    try:
        preprocess = dataclasses.replace(spec.preprocess, size=size)
    except ValueError as error:
        raise ConfigError(f"{error}; change --set input_size") from error
    return Plan(config, variant, preprocess, weights, members, start)


def refuse_batch(config: RunConfig, count: int, what: str) -> None:
    """ConfigError where a batch is larger than the set, of ``count`` of ``what``."""
    if config.batch_size > count:
        raise ConfigError(
            f"batch_size={config.batch_size} is more than the {count:,} {what}; use --set batch_size={count} or less"
        )


def make_model(plan: Plan, *, resumed: bool = False) -> nn.Module:
    """The network with its starting weights.

    A resumed run brings its own weights, so that nothing is fetched for it.

    Raises:
        ConfigError: the network cannot take faces of the configured sizes.
        WeightsError: pretrained weights are out of reach or do not fit.
    """
    config, spec = plan.config, plan.spec
    _try_sizes(plan)
    torch.manual_seed(config.seed)
    model = spec.build(len(config.classes), config.dropout)
    if not resumed:
        _start(model, plan)
    return model


def _try_sizes(plan: Plan) -> None:
    """Have a network without memory take faces of every size that the run uses and it was not designed for."""
    config, spec = plan.config, plan.spec
    sizes = {plan.preprocess.size, config.small_size if config.small_epochs else plan.preprocess.size}
    for size in sorted(sizes - {spec.preprocess.size}):
        try:
            with torch.device("meta"), torch.no_grad():
                spec.build(len(config.classes), config.dropout)(torch.empty(2, spec.preprocess.channels, size, size))
        except (RuntimeError, ValueError, AssertionError) as error:
            key = "input_size" if size == plan.preprocess.size else "small_size"
            raise ConfigError(
                f"{config.model} cannot take faces of {size} pixels ({shortened(str(error), 120)}); raise --set {key}"
            ) from error


def _start(model: nn.Module, plan: Plan) -> None:
    config, spec = plan.config, plan.spec
    if config.init:
        same = plan.start.classes in (None, config.classes)
        start_from(model, read_state(starting_file(config.init)), spec.heads, config.init, same_classes=same)
    elif config.mode != "scratch" and spec.weights:
        start_from(model, spec.weights(), spec.heads, f"ImageNet weights of {config.model}", same_classes=False)
