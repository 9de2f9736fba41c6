"""``timm:NAME``: any image model of the timm library, if it is installed."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from fer.emotions import suggestion
from fer.errors import UnknownNameError, WeightsError
from fer.models.blocks import tokens_to_map
from fer.models.entry import MODELS, Build, ModelEntry, Variant
from fer.types import Preprocess

PREFIX = "timm:"

#: A map with fewer places on a side is useless as a heatmap.
_SMALLEST_MAP = 5


@cache
def find(name: str) -> ModelEntry:
    """The entry for ``timm:NAME``, its input and layers read off a network without memory.

    Raises:
        UnknownNameError: timm is not installed, or has no such model.
    """
    timm, short = _timm(), name.removeprefix(PREFIX)
    if not timm.is_model(short):
        raise UnknownNameError(f"timm {timm.__version__} has no model {short!r}{suggestion(short, timm.list_models())}")
    with torch.device("meta"):
        net = timm.create_model(short, in_chans=3)
    wanted, head = net.pretrained_cfg, _first(net.pretrained_cfg["classifier"])
    size, fixed = int(wanted["input_size"][-1]), bool(wanted.get("fixed_input_size"))
    layer = _map_layer(net.eval(), size)
    form = partial(Variant, cam_layers=(layer,), head=head, fixed_size=fixed, reshape=tokens_to_map)
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


def _first(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else names[0]


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


def _map_layer(net: nn.Module, size: int) -> str:
    """Name of the deepest layer that still has a map to read: a transformer's last first norm, else the last large map."""
    blocks = getattr(net, "blocks", None)
    if isinstance(blocks, nn.Sequential) and hasattr(blocks[-1], "norm1") and hasattr(net, "patch_embed"):
        return f"blocks.{len(blocks) - 1}.norm1"
    shapes: dict[str, torch.Size] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 4:
                shapes[name] = tokens_to_map(output).shape

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in net.named_modules() if name]
    with torch.no_grad():
        net(torch.empty(1, 3, size, size, device="meta"))
    for handle in handles:
        handle.remove()
    large = [name for name, shape in shapes.items() if min(shape[-2:]) >= _SMALLEST_MAP]
    if not large:
        raise UnknownNameError(f"no layer of this timm model has a map of {_SMALLEST_MAP}×{_SMALLEST_MAP}; choose another")
    return large[-1]


MODELS.add_family(PREFIX, find)
