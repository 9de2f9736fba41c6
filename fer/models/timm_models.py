"""``timm:NAME``: any image model of the timm library, if it is installed."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from fer.emotions import suggestion
from fer.errors import UnknownNameError, WeightsError
from fer.models.blocks import tokens_to_map
from fer.models.entry import MODELS, Build, ModelEntry, Variant
from fer.models.map_layer import map_layer
from fer.types import Preprocess

PREFIX = "timm:"


@cache
def find(name: str) -> ModelEntry:
    """The entry for ``timm:NAME``, its input and layers read off a network without memory.

    Raises:
        UnknownNameError: timm is not installed, or has no such model.
    """
    timm, short = _timm(), name.removeprefix(PREFIX)
    if not timm.is_model(short):
        raise UnknownNameError(
            f"timm {timm.__version__} has no model {short!r}{suggestion(short, timm.list_models())}; see timm.list_models()"
        )
    with torch.device("meta"):
        net = timm.create_model(short, in_chans=3)
    wanted, heads = net.pretrained_cfg, _heads(net.pretrained_cfg["classifier"], name)
    size, fixed = int(wanted["input_size"][-1]), bool(wanted.get("fixed_input_size"))
    layer = map_layer(net.eval(), size)
    form = partial(Variant, cam_layers=(layer,), head=heads[0], more_heads=heads[1:], fixed_size=fixed, reshape=tokens_to_map)
    try:
        grey = Preprocess(size=size)
        colour = Preprocess(size, 3, tuple(wanted["mean"]), tuple(wanted["std"]))
    except ValueError as error:
        raise UnknownNameError(f"{name} is not made for faces: {error}; choose another") from error
    return ModelEntry(
        name,
        summary=f"{short} of timm {timm.__version__}",
        reference="Wightman 2019, PyTorch Image Models",
        variants={
            "small": form(_builder(short, 1), grey),
            "imagenet": form(_builder(short, 3), colour, weights=partial(_pretrained, short)),
        },
    )


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise UnknownNameError("timm:NAME needs the timm library; pip install 'ferscope[timm]'") from error
    return timm


def _heads(names: str | tuple[str, ...] | None, model: str) -> tuple[str, ...]:
    """The classifiers that timm names: several where one learnt from a teacher, or one a scale."""
    if not names:
        raise UnknownNameError(f"{model} has no layer that gives classes; choose another")
    return (names,) if isinstance(names, str) else tuple(names)


def _builder(short: str, channels: int) -> Build:
    def build(classes: int, dropout: float) -> nn.Module:
        net: nn.Module = _timm().create_model(short, in_chans=channels, num_classes=classes, drop_rate=dropout)
        return net

    return build


def _pretrained(short: str) -> Mapping[str, torch.Tensor]:
    try:
        state: Mapping[str, torch.Tensor] = _timm().create_model(short, pretrained=True).state_dict()
    # the hub's client has its own errors for every way to have no network; all derive from these two
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"cannot fetch the weights of timm's {short} ({reason}); pass --init FILE, or use --mode scratch"
        ) from error
    return state


MODELS.add_family(PREFIX, find)
