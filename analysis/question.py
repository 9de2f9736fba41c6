"""What is asked of every face: which class, by which method, against which other class, at which layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fer.aim import RANKS, Name
from fer.emotions import canonical
from fer.errors import ConfigError
from fer.portable import Portable
from fer.types import Face, Heatmap

if TYPE_CHECKING:  # it finds faces, too, and asks for OpenCV, which a machine that trains may not have
    from fer.predict import Model

#: The method used where none is named; the only one that an exported model knows.
DEFAULT_METHOD = "gradcam"


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
    model: Model, methods: Sequence[str], target: str | None, against: str | None, layers: Sequence[str]
) -> tuple[Question, ...]:
    """All combinations: ``target`` may be ``all`` for every class but the contrast, a layer ``each`` for one of every depth."""
    # a class is not set against itself
    other = None if against is None or against in RANKS else canonical(against)
    targets: Sequence[str | None] = [n for n in model.card.classes if n != other] if target == "all" else [target]
    places = dict.fromkeys(name for layer in layers for name in (_every_depth(model) if layer == "each" else (layer,)))
    asked = [Question(one, method, against) for method in dict.fromkeys(methods) for one in targets]
    return tuple(replace(q, layers=(place,)) for q in asked for place in places) if places else tuple(asked)


def ask(model: Model, faces: Sequence[Face], question: Question) -> tuple[Heatmap, ...]:
    """One map a face, whatever runs the model; an exported one needs no torch.

    Raises:
        ConfigError: the question does not fit the model.
        UnknownNameError: no such class or method.
    """
    if isinstance(model, Portable):
        if question.method != DEFAULT_METHOD or question.layers:
            raise ConfigError(
                f"{model.name} is exported and knows {DEFAULT_METHOD} only, at its last layer; its .pth knows the others"
            )
        return model.explain(faces, question.target, question.against)
    from analysis.explain import explain

    return explain(model, faces, question.target, question.method, against=question.against, layers=question.layers)


def _every_depth(model: Model) -> tuple[str, ...]:
    if isinstance(model, Portable):
        return ("each",)  # refused when it is asked
    from analysis.explain.stages import stages

    return stages(model)
