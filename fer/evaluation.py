"""The only pass of a model over a data set: faces in, a table out."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.types import PredictionTable, Preprocess, Progress

#: Large enough to be fast, small enough for 224-pixel inputs in a few hundred megabytes.
BATCH = 128


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    images: torch.Tensor,
    preprocess: Preprocess,
    *,
    autocast: AbstractContextManager[object] | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Logits float32 (N, C) of uint8 (N, 1, 48, 48) faces, on the model's device; its mode is restored afterwards."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    parts = []
    try:
        with autocast or nullcontext():
            for start in range(0, len(images), BATCH):
                batch = images[start : start + BATCH].to(device)
                parts.append(model(model_input(batch, preprocess)).float())
                if progress:
                    progress(min(start + BATCH, len(images)), len(images))
    finally:
        model.train(was_training)
    return torch.cat(parts)


def predict_table(
    model: nn.Module,
    faces: FaceSet,
    preprocess: Preprocess,
    classes: Sequence[str] = EMOTIONS,
    source: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> PredictionTable:
    """Run a model once over a split in float32; ``classes`` names its logits in their order.

    Faces of classes that the model does not know are left out.

    Raises:
        DataError: no face is left.
    """
    faces = faces.only(classes)
    logits = predict_logits(model, faces.images, preprocess, progress=progress)
    labels = torch.tensor([list(classes).index(name) for name in faces.classes])[faces.labels.cpu()]
    return PredictionTable(logits.cpu().numpy(), labels.numpy(), faces.names, tuple(classes), faces.split, dict(source or {}))


def evaluate_checkpoint(
    checkpoint: Checkpoint, faces: FaceSet, progress: Progress | None = None, classes: Sequence[str] | None = None
) -> PredictionTable:
    """The table of a loaded checkpoint over a split, with both named in its source.

    With ``classes``, only these are faces and answers.

    Raises:
        DataError: a class is unknown to the checkpoint, fewer than two are named, or no face is left.
    """
    if classes is not None and len(set(classes)) < 2:
        known = ", ".join(checkpoint.card.classes)
        raise DataError(f"classes {', '.join(classes)}: name two or more different ones of {known}")
    card = checkpoint.card
    source = {"checkpoint": checkpoint.name, "weights_sha256": card.weights_sha256, "data": faces.fingerprint}
    unknown = sorted(set(classes or ()) - set(card.classes))
    if unknown:
        raise DataError(f"{checkpoint.name} does not know {', '.join(unknown)}; its classes: {', '.join(card.classes)}")
    table = predict_table(
        checkpoint.model, faces.only(classes or card.classes), card.preprocess, card.classes, source, progress
    )
    return table.only(classes) if classes else table
