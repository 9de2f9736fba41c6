"""Which part of a network learns when: stages from the input to the head, freed from the head backwards."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain

from torch import nn

#: A deep trunk is gathered into at most this many stages.
MOST_TRUNK_STAGES = 5


def stages(model: nn.Module, *head_names: str) -> list[list[str]]:
    """Parameter names by stage, from the input to the heads, which are a stage of their own.

    Works on any network whose modules are registered in the order of the data: large containers are opened,
    norms stay with the layer before them, and neighbours are gathered evenly.

    >>> stages(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "1")
    [['0.weight', '0.bias'], ['1.weight', '1.bias']]
    """
    names = [name for name, _ in model.named_parameters()]
    heads = [name for name in names if _belongs(name, head_names)]
    units = _with_their_norms(model, list(_units(model, "", head_names)))
    size = math.ceil(len(units) / MOST_TRUNK_STAGES)
    groups = [list(chain(*units[start : start + size])) for start in range(0, len(units), size)]
    trunk = [[name for name in names if name not in heads and _belongs(name, group)] for group in groups]
    placed = {name for stage in trunk for name in stage} | set(heads)
    # parameters of no module, such as a class token, are near the input
    loose = [name for name in names if name not in placed]
    return [loose + trunk[0], *trunk[1:], heads]


def _belongs(parameter: str, units: Sequence[str]) -> bool:
    return any(parameter.startswith(f"{unit}.") for unit in units)


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _layers(module: nn.Module) -> int:
    return sum(p.ndim > 1 for p in module.parameters())


def _units(module: nn.Module, prefix: str, heads: Sequence[str]) -> Iterator[str]:
    """Names of the modules that are not worth opening further, outside the heads."""
    whole, layers = _size(module), _layers(module)
    for child_name, child in module.named_children():
        name = f"{prefix}{child_name}"
        share = _size(child) / whole if whole else 0
        if name in heads or share == 0:
            continue
        sequence = isinstance(child, nn.Sequential | nn.ModuleList)
        # dense layers outweigh the convolutions before them, which are most of the layers all the same
        large = share > 0.25 or _layers(child) > layers / 2
        # a residual block is never the larger half of its net, a container of blocks is
        open_it = any(head.startswith(f"{name}.") for head in heads) or share > 0.5 or (sequence and large)
        if open_it and any(True for _ in child.children()):
            yield from _units(child, f"{name}.", heads)
        else:
            yield name


def _with_their_norms(model: nn.Module, names: list[str]) -> list[list[str]]:
    """Units of one layer each; a module of vectors alone (a norm) joins the layer before it."""
    units: list[list[str]] = []
    for name in names:
        only_vectors = all(p.ndim <= 1 for p in model.get_submodule(name).parameters())
        if units and only_vectors:
            units[-1].append(name)
        else:
            units.append([name])
    return units


def free_stages(epoch: int, every: int) -> int:
    """How many stages learn in an epoch (from 1) of gradual unfreezing: the head at first, one more every so often.

    >>> [free_stages(epoch, 2) for epoch in (1, 2, 3, 5)]
    [1, 1, 2, 3]
    """
    return 1 + (epoch - 1) // every


def freeze(model: nn.Module, by_stage: list[list[str]], free: int) -> None:
    """Let only the last ``free`` stages learn."""
    learning = {name for stage in by_stage[-free:] for name in stage}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)


def keep_frozen_norms(model: nn.Module) -> None:
    """Batch norms that are frozen keep their statistics, too; one without weights of its own follows the layer before it."""
    learns = True
    for module in model.modules():
        if own := list(module.parameters(recurse=False)):
            learns = any(p.requires_grad for p in own)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not learns:
            module.eval()
