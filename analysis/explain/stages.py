"""Layers that stand for a network's depth."""

import torch
from torch import nn

from analysis.explain.method import untouched
from fer.checkpoint import Checkpoint
from fer.models.ensemble import Ensemble
from fer.types import Preprocess

#: Blocks of equal map size that stand for a network's depth.
_DEPTHS = 4


def stages(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Modules from early to late whose maps show what a network sees at every depth: the last one of each map size.

    Where all maps have one size, as in a transformer, some of its blocks at even distances, the last one left out; of an
    ensemble, those of its members, one member after the other.

    >>> from fer.checkpoint import load
    >>> stages(load("custom_cnn"))
    ('block1', 'block2', 'block3')
    """
    model, card = checkpoint.model, checkpoint.card
    if not isinstance(model, Ensemble):
        return _stages(model, card.preprocess)
    members = enumerate(zip(model.members, model.inputs, strict=True))
    return tuple(f"members.{i}.{name}" for i, (member, own) in members for name in _stages(member, own))


def _stages(model: nn.Module, preprocess: Preprocess) -> tuple[str, ...]:
    outputs = _map_sizes(model, torch.zeros(1, preprocess.channels, preprocess.size, preprocess.size))
    last = {size: name for name, size in outputs.items()}
    if len(last) > 1:
        return tuple(last.values())
    longest = max(
        (m for m in model.named_modules() if isinstance(m[1], nn.Sequential | nn.ModuleList)), key=lambda m: len(m[1])
    )
    blocks = [f"{longest[0]}.{name}" for name, _ in longest[1].named_children()]
    if len(blocks) == 1:
        return tuple(blocks)
    # behind the last block a transformer reads its class token alone, so that no place has a gradient there
    count = min(_DEPTHS, len(blocks) - 1)
    every = (len(blocks) - 1) // count
    return tuple(reversed(blocks[-2::-every][:count]))


def _map_sizes(model: nn.Module, inputs: torch.Tensor) -> dict[str, int]:
    """Side of the maps that each module gives, in the order in which they are done.

    Left out are 1×1 maps, maps whose channels stand last (inside ConvNeXt's blocks), and modules used twice.
    """
    found: list[tuple[str, int]] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[-1] == output.shape[-2] > 1:
            found.append((name, output.shape[-1]))

    with untouched(model), torch.no_grad():
        for name, module in model.named_modules():
            if name:
                module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
        model(inputs.to(next(model.parameters()).device))
    names = [name for name, _ in found]
    return {name: size for name, size in found if names.count(name) == 1}
