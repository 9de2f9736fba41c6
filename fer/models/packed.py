"""A network made ready to answer on a CPU: batch norms folded into convolutions whose weights are laid out only once.

Before every convolution oneDNN brings the weights to its own layout; for one face that takes longer than the convolution
itself. Weights that do not change can be brought there once, which is what torch's compiler does, too.
"""

import copy
from collections.abc import Collection
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import nn

from fer.models.folding import fused_weights, with_convolutions

#: Largest difference of logits, in parts of the largest logit, that rounding explains.
TOLERANCE = 1e-4

_OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")


class PackedConvolution(nn.Module):
    """A convolution with fixed weights, and the batch norm behind it if there is one: (N, D, h, w) → (N, E, h', w').

    Where a gradient must flow back through it, it is a plain convolution. Its weights have none.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> None:
        super().__init__()
        weight, bias = fused_weights(conv, norm)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
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
    twin, expected = with_convolutions(twin, example, keep, _pack)
    changed = any(isinstance(module, PackedConvolution) for module in twin.modules())
    return twin if changed and _agree(expected, twin(example)) else model


def _has_operators() -> bool:
    """True where torch has oneDNN and those two of its operators that its compiler emits."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def _pack(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> PackedConvolution | None:
    return PackedConvolution(conv, norm) if _packable(conv) else None


def _packable(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and conv.weight.dtype == torch.float32


def _agree(expected: torch.Tensor, found: torch.Tensor) -> bool:
    return bool((expected - found).abs().max() <= TOLERANCE * max(1.0, float(expected.abs().max())))
