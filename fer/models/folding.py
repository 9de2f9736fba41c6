"""Batch norms taken into the convolutions before them, which changes no answer and saves a pass over the maps."""

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

#: What takes the place of a convolution and of the batch norm behind it (None where there is none); None to leave both.
Make = Callable[[nn.Conv2d, nn.BatchNorm2d | None], nn.Module | None]


@dataclass
class _Order:
    """Which batch norm is given exactly what a convolution answers."""

    answers: dict[int, tuple[nn.Conv2d, torch.Tensor]] = field(default_factory=dict)
    norms: dict[nn.Conv2d, nn.BatchNorm2d] = field(default_factory=dict)

    def note(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], answer: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            self.answers[id(answer)] = module, answer
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats and id(inputs[0]) in self.answers:
            self.norms[self.answers[id(inputs[0])][0]] = module


@torch.no_grad()
def folded(model: nn.Module, example: torch.Tensor, keep: Collection[str] = ()) -> nn.Module:
    """A copy whose convolutions do the work of the batch norms behind them.

    Args:
        model: in evaluation mode.
        example: an input that the model takes.
        keep: names of modules whose outputs must stay what they are.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> folded(net, torch.rand(1, 1, 8, 8))[1]
    Identity()
    """
    return with_convolutions(
        copy.deepcopy(model), example, keep, lambda conv, norm: None if norm is None else fuse_conv_bn_eval(conv, norm)
    )[0]


def with_convolutions(
    model: nn.Module, example: torch.Tensor, keep: Collection[str], make: Make
) -> tuple[nn.Module, torch.Tensor]:
    """Have ``make`` replace the convolutions of a network in place; the network, and what it answered before."""
    answer, order = _watched(model.eval(), example)
    names = {module: name for name, module in model.named_modules()}
    changes: dict[str, nn.Module] = {}
    for conv, name in names.items():
        norm = order.norms.get(conv) if isinstance(conv, nn.Conv2d) and name not in keep else None
        replacement = make(conv, norm) if isinstance(conv, nn.Conv2d) else None
        if replacement is not None:
            changes[name] = replacement
            if norm is not None:
                changes[names[norm]] = nn.Identity()
    for name, module in changes.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module)
    return model, answer


def fused_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a convolution that does a batch norm's work, too."""
    if norm is None:
        return conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
    statistics = cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics, norm.eps, norm.weight, norm.bias)
    return weight.detach(), bias.detach()


def _watched(model: nn.Module, example: torch.Tensor) -> tuple[torch.Tensor, _Order]:
    order = _Order()
    handles = [module.register_forward_hook(order.note) for module in model.modules()]
    try:
        return model(example), order
    finally:
        for handle in handles:
            handle.remove()
