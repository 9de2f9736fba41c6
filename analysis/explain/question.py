"""What is asked of every face: which class, by which method, against which other class, at which layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from analysis.explain.method import untouched
from fer.checkpoint import Checkpoint
from fer.emotions import canonical
from fer.models.ensemble import Ensemble
from fer.types import Preprocess

#: The method used where none is named.
DEFAULT_METHOD = "gradcam"

#: A class for all faces, one for each of them, or None for each face's prediction.
Name = str | Sequence[str] | None

#: Targets that are no class: the most probable class of each face, the second, the third.
RANKS = {"top1": 0, "top2": 1, "top3": 2}

#: Blocks of equal map size that stand for a network's depth.
_DEPTHS = 4


@dataclass(frozen=True)
class Question:
    """One question to a network; the fields are those of :func:`analysis.explain.explain`."""

    target: Name = None
    method: str = DEFAULT_METHOD
    against: Name = None
    layers: tuple[str, ...] = ()


#: Why each face's prediction, by the default method.
OWN_PREDICTION = Question()


def questions(
    checkpoint: Checkpoint, methods: Sequence[str], target: str | None, against: str | None, layers: Sequence[str]
) -> tuple[Question, ...]:
    """All combinations: ``target`` may be ``all`` for every class but the contrast, a layer ``each`` for one of every depth."""
    # a class is not set against itself
    other = None if against is None or against in RANKS else canonical(against)
    targets: Sequence[str | None] = [n for n in checkpoint.card.classes if n != other] if target == "all" else [target]
    places = [name for layer in layers for name in (stages(checkpoint) if layer == "each" else (layer,))]
    asked = [Question(one, method, against) for method in methods for one in targets]
    return tuple(replace(q, layers=(place,)) for q in asked for place in places) if places else tuple(asked)


def stages(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Modules from early to late whose maps show what a network sees at every depth: the last one of each map size.

    Where all maps have one size, as in a transformer, some of its blocks at even distances; of an ensemble, those of its
    members, one member after the other.

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
    every = max(1, len(blocks) // _DEPTHS)
    return tuple(blocks[every - 1 :: every])


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
