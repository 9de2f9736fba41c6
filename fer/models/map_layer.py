"""Which layer of a network that nobody here has described gives a map of places."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fer.errors import UnknownNameError
from fer.models.blocks import tokens_to_map

#: A map with fewer places on a side is useless as a heatmap.
SMALLEST_MAP = 5

#: Tokens in front of a grid: one or two for the classes, up to eight registers.
_MOST_IN_FRONT = 10


def map_layer(net: nn.Module, size: int) -> str:
    """Dotted name of the deepest layer whose output is a square map of the input, as numbers or as a row of tokens.

    What arises in an attention is none: its sides are tokens, heads and features. Of tokens, those that enter the last
    attention are taken, since in many networks only the class token counts after it.

    Args:
        net: in evaluation mode and on ``meta``, since only shapes are looked at.
        size: side of its input, which has three channels.

    Raises:
        UnknownNameError: no layer has a map of 5×5 or more.
    """
    blocks = getattr(net, "blocks", None)
    if isinstance(blocks, nn.Sequential) and hasattr(blocks[-1], "norm1") and hasattr(net, "patch_embed"):
        return f"blocks.{len(blocks) - 1}.norm1"
    trace = _traced(net, size)
    maps = {_side(shape) for _, shape in trace.outputs if _is_square(shape)}
    sides = {side for whole in maps or _parts(size) for side in _halvings(whole)}
    lengths = {shape[1] for _, shape in trace.outputs if _is_grid(shape, sides)}
    found = [
        (place, name, len(shape) == 3)
        for place, (name, shape) in enumerate(trace.outputs)
        if _is_grid(shape, sides) or (_is_square(shape) and _side(shape) <= size and not _near(_side(shape), lengths))
    ]
    if not found:
        raise UnknownNameError(f"no layer of this timm model has a map of {SMALLEST_MAP}×{SMALLEST_MAP}; choose another")
    *_, (_, deepest, is_grid) = found
    entering = [name for place, name, _ in found if place < trace.before_attention]
    return entering[-1] if is_grid and entering else deepest


@dataclass
class _Trace:
    """Output shapes in the order of the data, none from within an attention; how many came before the last attention."""

    outputs: list[tuple[str, torch.Size]] = field(default_factory=list)
    before_attention: int = 0
    depth: int = 0

    def note(self, name: str, output: Any) -> None:
        """Keep what a layer gives."""
        if isinstance(output, torch.Tensor) and not self.depth:
            self.outputs.append((name, output.shape))

    def enter(self) -> None:
        """An attention begins."""
        self.before_attention, self.depth = len(self.outputs), self.depth + 1

    def leave(self) -> None:
        """It ends."""
        self.depth -= 1


def _traced(net: nn.Module, size: int) -> _Trace:
    trace, handles = _Trace(), []
    for name, module in net.named_modules():
        if name and _is_attention(name, module):
            handles.append(module.register_forward_pre_hook(lambda *_: trace.enter()))
            handles.append(module.register_forward_hook(lambda *_: trace.leave()))
        elif name:
            handles.append(module.register_forward_hook(lambda *told, name=name: trace.note(name, told[-1])))
    try:
        with torch.no_grad():
            net(torch.empty(1, 3, size, size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return trace


def _is_attention(name: str, module: nn.Module) -> bool:
    names = f"{name.rpartition('.')[2]} {type(module).__name__}".lower()
    return "attn" in names or "attention" in names


def _side(shape: torch.Size) -> int:
    return tokens_to_map(torch.empty(shape, device="meta")).shape[-1]


def _is_square(shape: torch.Size) -> bool:
    if len(shape) != 4 or shape[0] != 1:
        return False
    height, width = tokens_to_map(torch.empty(shape, device="meta")).shape[-2:]
    return height == width >= SMALLEST_MAP


def _is_grid(shape: torch.Size, sides: set[int]) -> bool:
    """Whether it is a row of tokens (1, P + s·s, D), few of them in front of the places of a map."""
    if len(shape) != 3 or shape[0] != 1:
        return False
    side = math.isqrt(shape[1])
    return side in sides and shape[1] - side * side <= _MOST_IN_FRONT


def _near(side: int, lengths: set[int]) -> bool:
    """Whether a map is a table of tokens by tokens, the class token counted or not."""
    return any(abs(side - length) <= 1 for length in lengths)


def _parts(size: int) -> set[int]:
    """How many patches there may be in a row."""
    return {side for side in range(SMALLEST_MAP, size) if size % side == 0}


def _halvings(side: int) -> Iterator[int]:
    """Sides of the maps that halving makes of one."""
    while side >= SMALLEST_MAP:
        yield side
        side = math.ceil(side / 2)
