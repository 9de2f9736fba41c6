"""Why a model decides: one :func:`explain` over all methods, every result a :class:`~fer.types.Heatmap`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

# importing these enters their methods in the registry, the default first
from analysis.explain import head  # noqa: F401

# isort: split
from analysis.explain import ablation, attribution, cams, rollout  # noqa: F401
from analysis.explain.heatmaps import HeatmapTable
from analysis.explain.members import maps_of_members, members_without
from analysis.explain.method import METHODS, Layers, Maps, Method, resized, untouched
from analysis.left_out import LEFT_OUT
from analysis.perturbation import GREY
from analysis.question import DEFAULT_METHOD, OWN_PREDICTION, Question
from fer.aim import Aim, Name, make_aim
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import face_batch, model_input
from fer.errors import ConfigError, DataError
from fer.evaluation import make_table
from fer.models.ensemble import Ensemble
from fer.types import FACE_SIZE, Face, Heatmap, IntArray, PredictionTable, Progress

__all__ = ["DEFAULT_METHOD", "METHODS", "OWN_PREDICTION", "HeatmapTable", "Maps", "Question", "check", "explain", "explain_set"]

#: Faces explained together; maps of 64 faces of 224 pixels fit in a few hundred megabytes.
BATCH = 64


def explain(
    checkpoint: Checkpoint,
    faces: Sequence[Face] | torch.Tensor,
    target: Name = None,
    method: str = DEFAULT_METHOD,
    *,
    against: Name = None,
    layers: Sequence[str] = (),
) -> tuple[Heatmap, ...]:
    """Where the network looks when it scores a class, one map a face.

    Args:
        checkpoint: the model and its card.
        faces: faces, or uint8 (N, 1, 48, 48) as in a :class:`~fer.data.FaceSet`.
        target: the class to explain, or one for every face, or ``top1``, ``top2``, ``top3``; None for each face's prediction.
        method: name in :data:`METHODS`.
        against: class(es) that the target is set against: "why fear and not surprise"; None for the target alone.
        layers: dotted names of the modules to read the maps from; those that the architecture declares where empty.

    Returns:
        Heatmaps at the size of the network's input. The model is left as it was, also after an error.

    Raises:
        UnknownNameError: no such class or method.
        ConfigError: the network has no such layer, the method does not fit the network, or a class is set against itself.

    >>> from fer.checkpoint import load
    >>> from fer.predict import Predictor
    >>> from fer.samples import sample_path
    >>> predictor = Predictor()
    >>> heatmap, = explain(predictor.model, predictor.faces(sample_path()))
    >>> heatmap.target, heatmap.values.shape
    ('happy', (48, 48))
    """
    images = faces if isinstance(faces, torch.Tensor) else face_batch(faces) if faces else torch.empty(0)
    check(checkpoint, Question(target, method, against, tuple(layers)))
    aim = make_aim(checkpoint.card.classes, len(images), target, against)
    found: list[Heatmap] = []
    for start in range(0, len(images), BATCH):
        here = aim.part(start, start + BATCH)
        maps = _maps(checkpoint, images[start : start + BATCH], here, method, layers)
        said = maps.logits.cpu().numpy()
        here.refuse_itself(said, checkpoint.card.classes)
        names, others = (_names(checkpoint, index) for index in (here.classes(said), here.contrasts(said)))
        parts = zip(maps.values.cpu().numpy(), maps.peaks.tolist(), names, others, strict=True)
        found += [Heatmap(values, peak, name, method, other) for values, peak, name, other in parts]
    return tuple(found)


def explain_set(
    checkpoint: Checkpoint, faces: FaceSet, question: Question = OWN_PREDICTION, progress: Progress | None = None
) -> tuple[PredictionTable, HeatmapTable]:
    """Predictions and heatmaps of a whole split from one pass, in bounded memory; see :func:`explain`.

    Faces of classes that the checkpoint does not know are left out, and those whose answer makes target and contrast one
    class: how many, the table's source says. Maps are brought to the size of the faces, 48×48.

    Raises:
        DataError: no face is left.
    """
    faces = faces.only(checkpoint.card.classes)
    check(checkpoint, question)
    aim = make_aim(checkpoint.card.classes, len(faces), question.target, question.against)
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    asked: list[IntArray] = []
    for start in range(0, len(faces), BATCH):
        here = aim.part(start, start + BATCH)
        maps = _maps(checkpoint, faces.images[start : start + BATCH], here, question.method, question.layers)
        values = resized(maps.values, faces.images.shape[-1]).half()
        parts.append((maps.logits.float() / checkpoint.card.temperature, values, maps.peaks))
        said = maps.logits.cpu().numpy()
        asked.append(np.stack([here.classes(said), here.contrasts(said)]))
        if progress:
            progress(min(start + BATCH, len(faces)), len(faces))
    logits, values, peaks = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    targets, against = np.concatenate(asked, axis=1)
    kept = targets != against
    if not kept.any():
        raise DataError(f"every face is answered {question.against}, which cannot be set against itself; name another class")
    faces = faces if kept.all() else faces.select(torch.from_numpy(kept))
    table = make_table(checkpoint, faces, logits[torch.from_numpy(kept)])
    if not kept.all():
        table = replace(table, source={**table.source, LEFT_OUT: str((~kept).sum())})
    about = (table.classes, question.method, table.names)
    maps_of = (values.numpy()[kept], peaks.numpy()[kept], targets[kept])
    return table, HeatmapTable(*maps_of, *about, against[kept], tuple(question.layers))


def check(checkpoint: Checkpoint, question: Question) -> None:
    """Say what is unknown or impossible in a question before anything is done for it; the errors of :func:`explain`."""
    method = METHODS[question.method]
    if not method.fits(checkpoint.model):
        raise ConfigError(
            f"{question.method} follows attention of the kind torch.nn.MultiheadAttention, and {_lacking(checkpoint, method)} "
            "none (timm's transformers have one of their own); use it with vit, or choose another method"
        )
    if question.layers and method.reads != "layers":
        raise ConfigError(f"{question.method} reads no single layer; leave --layer out, or choose another --method")
    if question.against is not None and not method.follows_target:
        raise ConfigError(
            f"{question.method} gives every class the same map, so none can be set against another; choose another --method"
        )
    named = [choice for choice in (question.target, question.against) if choice is not None and not isinstance(choice, str)]
    make_aim(checkpoint.card.classes, len(named[0]) if named else 1, question.target, question.against)
    _check_places(checkpoint, question.layers)


def _lacking(checkpoint: Checkpoint, method: Method) -> str:
    """Who has not what a method reads, as the beginning of a sentence that ends in ``none``."""
    if not isinstance(checkpoint.model, Ensemble):
        return "this network has"
    names = members_without(method, checkpoint.model, checkpoint.card)
    return f"of the members of this ensemble {', '.join(names)} {'has' if len(names) == 1 else 'have'}"


def _names(checkpoint: Checkpoint, places: IntArray) -> list[str]:
    """Names of classes, empty for -1."""
    return [checkpoint.card.classes[place] if place >= 0 else "" for place in places]


def _maps(checkpoint: Checkpoint, images: torch.Tensor, aim: Aim, method: str, layers: Sequence[str]) -> Maps:
    # the faster form answers the same only at the layers that the architecture declares
    model = checkpoint.model if layers else checkpoint.runner
    inputs = model_input(images.to(checkpoint.device), checkpoint.card.preprocess)
    with untouched(model):
        if isinstance(model, Ensemble) and not layers and METHODS[method].reads != "pixels":
            return maps_of_members(METHODS[method], model, checkpoint.card, inputs, aim)
        own = checkpoint.card.preprocess
        grey = tuple((GREY - mean) / std for mean, std in zip(own.mean, own.std, strict=True))
        return METHODS[method].run(model, inputs, replace(_layers(checkpoint, model, layers), grey=grey), aim)


def _layers(checkpoint: Checkpoint, model: nn.Module, names: Sequence[str]) -> Layers:
    try:
        return Layers.of(model, checkpoint.card.spec, names)
    except AttributeError as error:
        raise ConfigError(
            f"{checkpoint.name} has no layer {', '.join(names)}: {error}; --layer each takes what there is"
        ) from error


@torch.no_grad()
def _check_places(checkpoint: Checkpoint, names: Sequence[str]) -> None:
    """ConfigError where a module that is named for its maps does not exist, or answers without height and width."""
    read, found = _layers(checkpoint, checkpoint.model, names), dict.fromkeys(names, False)
    if not names:
        return

    def look(name: str, output: torch.Tensor) -> None:
        try:
            places = read.reshape(output) if read.reshape else output
            # all inputs are square: what is not has its channels last
            found[name] = places.ndim == 4 and places.shape[-1] == places.shape[-2] > 1
        except (AttributeError, IndexError, RuntimeError, TypeError):  # whatever a reshape made for other layers meets
            found[name] = False

    face = torch.zeros(1, 1, FACE_SIZE, FACE_SIZE, dtype=torch.uint8, device=checkpoint.device)
    with untouched(checkpoint.model):
        for name, module in zip(read.names, read.modules, strict=True):
            module.register_forward_hook(lambda _m, _i, output, name=name: look(name, output))
        checkpoint.model(model_input(face, checkpoint.card.preprocess))
    flat = [name for name, good in found.items() if not good]
    if flat:
        raise ConfigError(
            f"what {', '.join(flat)} answers has no height and width, so there is no map; --layer each takes layers that have"
        )
