"""The only pass of a model over a data set: faces in, a table out."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.config import RunConfig
from fer.data import Corpus, FaceSet
from fer.data.labels import relabel
from fer.data.preprocess import standardise, to_unit
from fer.errors import DataError
from fer.exact import exact
from fer.files import expanded
from fer.overrides import with_values
from fer.portable import Portable
from fer.types import PredictionTable, Preprocess, Progress
from fer.views import TTA

#: Large enough to be fast, small enough for 224-pixel inputs in a few hundred megabytes.
BATCH = 128


@dataclass(frozen=True)
class Asking:
    """How a network is asked: over which views (a name in :data:`~fer.views.TTA`), and what divides its logits."""

    tta: str = "none"
    temperature: float = 1.0


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    images: torch.Tensor,
    preprocess: Preprocess,
    *,
    asking: Asking = Asking(),
    autocast: AbstractContextManager[object] | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Logits float32 (N, C) of uint8 (N, 1, 48, 48) faces, on the model's device; the modes of its parts are restored.

    Args:
        model: maps ``preprocess``'s input to logits.
        images: on any device.
        preprocess: the model's input.
        asking: with several views, the logarithm of their mean probabilities comes back.
        autocast: number format of the pass; float32 where None.
        progress: told faces done and all.

    Raises:
        UnknownNameError: no such test-time augmentation.
    """
    TTA[asking.tta]  # an unknown name is said before anything is done
    modes, device = [(module, module.training) for module in model.modules()], next(model.parameters()).device
    model.eval()
    parts = []
    try:
        with autocast or exact():
            for start in range(0, len(images), BATCH):
                pixels = to_unit(images[start : start + BATCH].to(device))
                parts.append(_mean_logits(model, pixels, preprocess, asking))
                if progress:
                    progress(min(start + BATCH, len(images)), len(images))
    finally:
        for module, training in modes:
            module.training = training
    return torch.cat(parts)


def _mean_logits(model: nn.Module, pixels: torch.Tensor, preprocess: Preprocess, asking: Asking) -> torch.Tensor:
    answers = [model(standardise(view.of(pixels), preprocess)) for view in TTA[asking.tta]]
    logits: list[torch.Tensor] = [answer.float() / asking.temperature for answer in answers]
    if len(logits) == 1:
        return logits[0]
    return torch.stack([one.log_softmax(1) for one in logits]).logsumexp(0) - math.log(len(logits))


def judge(
    checkpoint: Checkpoint | Portable, images: torch.Tensor, *, tta: str = "none", progress: Progress | None = None
) -> torch.Tensor:
    """Logits float32 (N, C) of a checkpoint or an exported model, divided by the temperature in its card.

    See :func:`predict_logits`.
    """
    if isinstance(checkpoint, Portable):
        return torch.from_numpy(checkpoint.answer(images.cpu().numpy(), tta=tta, progress=progress))
    card = checkpoint.card
    return predict_logits(checkpoint.runner, images, card.preprocess, asking=Asking(tta, card.temperature), progress=progress)


def evaluate_checkpoint(
    checkpoint: Checkpoint | Portable,
    faces: FaceSet,
    progress: Progress | None = None,
    classes: Sequence[str] | None = None,
    *,
    tta: str = "none",
) -> PredictionTable:
    """The table of a loaded checkpoint over a split, with both named in its source.

    Faces of classes that the checkpoint does not know are left out; with ``classes``, only these are faces and answers.

    Raises:
        DataError: a class is unknown to the checkpoint, fewer than two are named, or no face is left.
        UnknownNameError: no such test-time augmentation.
    """
    card = checkpoint.card
    if classes is not None and len(set(classes)) < 2:
        raise DataError(f"classes {', '.join(classes)}: name two or more different ones of {', '.join(card.classes)}")
    unknown = sorted(set(classes or ()) - set(card.classes))
    if unknown:
        raise DataError(f"{checkpoint.name} does not know {', '.join(unknown)}; its classes: {', '.join(card.classes)}")
    faces = faces.only(classes or card.classes)
    table = make_table(checkpoint, faces, judge(checkpoint, faces.images, tta=tta, progress=progress), tta=tta)
    return table.only(classes) if classes else table


def labelled_for(card: Card, corpus: Corpus, **changes: str) -> Corpus:
    """The data set as a checkpoint was trained on it: labels, classes, without what its clean index leaves out of training.

    The files of votes and of the clean index are looked for where they were, then beside the data set. ``changes`` are keys
    of the configuration.

    Raises:
        DataError: the FER+ votes or the clean index are in neither place, or not those of this data set, or a split has none
            of the classes.
    """
    known = {key: card.config[key] for key in ("labels", "votes", "clean") if key in card.config}
    known |= {key: _found(str(known[key]), corpus) for key in ("votes", "clean") if known.get(key)}
    config = with_values(RunConfig(), known | {"classes": list(card.classes)} | changes, "the card")
    return relabel(corpus, config)[0]


def _found(name: str, corpus: Corpus) -> str:
    """A file of the machine that trained: there, or else of the same name beside the data set, if it is there."""
    beside = corpus.origin.parent / Path(name).name
    return str(beside) if not expanded(name).exists() and beside.exists() else name


def validation_faces(card: Card, corpus: Corpus, **changes: str) -> FaceSet:
    """The faces that a checkpoint is judged by, labelled so; a part of the train split where there is no other.

    Raises:
        DataError: as :func:`labelled_for`, or there is neither split.
    """
    if "validation" in corpus.splits:  # an index says nothing of it, and need not be at hand
        changes = {"clean": "", **changes}
    own = labelled_for(card, corpus, **changes)
    return own.split("validation") if "validation" in own.splits else own.for_training()[1]


def _calibration(card: Card) -> dict[str, str]:
    """What a table has to tell, beside the temperature, for its calibration to be judged on faces that it has not seen."""
    held_out = card.metrics.get("validation/held-out", {}).get("log_loss")
    return {
        **({"biases": json.dumps(dict(zip(card.classes, card.biases, strict=True)))} if card.biases else {}),
        **({} if held_out is None else {"held_out_log_loss": repr(held_out)}),
    }


def passes(progress: Progress | None, count: int) -> Iterator[Progress]:
    """For each of so many passes over the same faces a progress that tells of all passes together."""

    def tell(number: int, done: int, total: int) -> None:
        if progress:
            progress(number * total + done, count * total)

    return (partial(tell, number) for number in range(count))


def make_table(
    checkpoint: Checkpoint | Portable, faces: FaceSet, logits: torch.Tensor, *, tta: str = "none"
) -> PredictionTable:
    """The table of what a checkpoint said of faces: logits float (N, C), of classes that it knows."""
    card = checkpoint.card
    source = {
        "checkpoint": checkpoint.name,
        "weights_sha256": card.weights_sha256,
        "data": faces.fingerprint,
        "tta": tta,
        "temperature": repr(card.temperature),
        **_calibration(card),
        **({"format": checkpoint.seal.format} if isinstance(checkpoint, Portable) else {}),
    }
    labels = torch.tensor([card.classes.index(name) for name in faces.classes])[faces.labels.cpu()].numpy()
    return PredictionTable(logits.cpu().numpy(), labels, faces.names, card.classes, faces.split, source)
