"""Pictures of a run as it goes, for TensorBoard: the confusion matrix and class activation maps of a few faces."""

import io
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from analysis.explain import explain
from analysis.figures import confusion
from analysis.figures.overlay import overlay
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.training.trainer import Trainer
from fer.types import ByteArray

#: Faces a class in the grid.
_EXAMPLES = 2


def draw(board: Any, checkpoint: Checkpoint, faces: FaceSet, trainer: Trainer) -> None:
    """Add the confusion matrix of the validation split and the maps of its first faces to a ``SummaryWriter``."""
    validated, epoch = trainer.validated, trainer.history.epochs[-1].epoch
    metrics = {
        "confusion_matrix": validated.confusion.tolist(),
        "per_class": dict.fromkeys(faces.classes),
        "accuracy": validated.scores.accuracy,
        "n": validated.count,
    }
    board.add_image("validation/confusion", _pixels(confusion.figure(metrics)), epoch, dataformats="HWC")
    few = faces.select(first_of_each(faces, _EXAMPLES))
    board.add_image("validation/cam", grid(checkpoint, few.images), epoch, dataformats="HWC")


def first_of_each(faces: FaceSet, count: int) -> torch.Tensor:
    """int64 positions of the first ``count`` faces of every class."""
    return torch.cat([(faces.labels == c).nonzero().flatten()[:count] for c in range(len(faces.classes))])


def grid(checkpoint: Checkpoint, images: torch.Tensor) -> ByteArray:
    """uint8 (96, 48·N, 3): the faces uint8 (N, 1, 48, 48) in a row, what the network saw in each of them below."""
    maps = explain(checkpoint, images)
    pictures = [np.repeat(image.cpu().numpy()[0, :, :, None], 3, axis=2) for image in images]
    overlays = [overlay(picture, heatmap) for picture, heatmap in zip(pictures, maps, strict=True)]
    return np.concatenate([np.concatenate(row, axis=1) for row in (pictures, overlays)], axis=0)


def _pixels(figure: Figure) -> ByteArray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, bbox_inches="tight")
    return np.asarray(Image.open(buffer).convert("RGB"))
