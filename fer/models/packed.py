"""A network made ready to answer on a CPU: batch norms folded into convolutions whose weights are laid out only once.

Before every convolution oneDNN brings the weights to its own layout; for one face that takes longer than the convolution
itself. Weights that do not change can be brought there once, which is what torch's compiler does, too.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

#: Largest difference of logits, in parts of the largest logit, that rounding explains.
TOLERANCE = 1e-4

_OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")


class PackedConvolution(nn.Module):
    """A convolution with fixed weights, and the batch norm behind it if there is one: (N, D, h, w) → (N, E, h', w').

    Where a gradient must flow back through it, it is a plain convolution. Its weights have none.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> None:
        super().__init__()
        weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
        if norm is not None:
            weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, *_statistics(norm), norm.eps, norm.weight, norm.bias)
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.padding = cast(tuple[int, ...], conv.padding)
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        layout = list(self.padding), list(self.stride), list(self.dilation), self.groups
        self.packed: torch.Tensor = torch.ops.mkldnn._reorder_convolution_weight(self.weight.detach(), *layout, [])

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.packed)] = self.packed  # it never changes, and torch cannot copy what oneDNN has laid out
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The convolution of float32 inputs; other formats take the plain way, too."""
        if (torch.is_grad_enabled() and inputs.requires_grad) or inputs.dtype != torch.float32:
            return F.conv2d(inputs, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        shape = self.padding, self.stride, self.dilation, self.groups
        answer: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(inputs, self.packed, self.bias, *shape, "none", [], "")
        return answer


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
def packed(model: nn.Module, example: torch.Tensor, keep: Collection[str] = ()) -> nn.Module:
    """A copy that answers the same in less time, sharing what did not change; the model itself where none can be made.

    Args:
        model: in evaluation mode; its weights must not change while the copy is used.
        example: an input that the model takes, by which the copy is checked.
        keep: names of modules whose outputs must stay what they are.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()).eval()
    >>> face = torch.rand(1, 1, 48, 48)
    >>> bool(torch.allclose(packed(net, face)(face), net(face), atol=1e-6))
    True
    """
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.device.type != "cpu" for tensor in tensors) or not _has_operators():
        return model
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()
    expected, order = _watched(twin, example)
    changes = _changes(twin, order, set(keep))
    for name, module in changes.items():
        parent, _, child = name.rpartition(".")
        setattr(twin.get_submodule(parent), child, module)
    if not changes or not _agree(expected, twin(example)):
        return model
    return twin


def _has_operators() -> bool:
    """True where torch has oneDNN and those two of its operators that its compiler emits."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def _statistics(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    return cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)


def _watched(model: nn.Module, example: torch.Tensor) -> tuple[torch.Tensor, _Order]:
    order = _Order()
    handles = [module.register_forward_hook(order.note) for module in model.modules()]
    try:
        return model(example), order
    finally:
        for handle in handles:
            handle.remove()


def _changes(model: nn.Module, order: _Order, keep: set[str]) -> dict[str, nn.Module]:
    """What takes the place of which module, by dotted name."""
    names = {module: name for name, module in model.named_modules()}
    changes: dict[str, nn.Module] = {}
    for conv, name in names.items():
        if not isinstance(conv, nn.Conv2d) or not _packable(conv):
            continue
        norm = order.norms.get(conv) if name not in keep else None
        changes[name] = PackedConvolution(conv, norm)
        if norm is not None:
            changes[names[norm]] = nn.Identity()
    return changes


def _packable(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and conv.weight.dtype == torch.float32


def _agree(expected: torch.Tensor, found: torch.Tensor) -> bool:
    return bool((expected - found).abs().max() <= TOLERANCE * max(1.0, float(expected.abs().max())))
