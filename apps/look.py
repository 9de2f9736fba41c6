"""What the page shows of a picture: boxed faces, and a card of verdict and heatmap for each."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from analysis.figures.boxes import draw_boxes
from analysis.figures.overlay import overlay
from analysis.question import Question, ask
from fer.images import read
from fer.predict import Predictor
from fer.types import ByteArray, Prediction

#: Side in pixels of the square in which a face and its overlay are shown.
SIDE = 320


@dataclass(frozen=True, eq=False)
class FaceCard:
    """One face for display: verdict in words, probabilities, and face and overlay as uint8 (320, 320, 3)."""

    title: str
    probabilities: dict[str, float]
    face: ByteArray
    overlay: ByteArray


@dataclass(frozen=True, eq=False)
class Look:
    """A judged picture: uint8 (H, W, 3) with boxes, a note in words, a card for every face."""

    boxed: ByteArray
    note: str
    cards: tuple[FaceCard, ...]


@cache
def predictor(checkpoint: str) -> Predictor:
    """The predictor of a checkpoint, loaded once and shared by all visitors."""
    return Predictor(checkpoint)


def look(path: str | Path, checkpoint: str) -> Look:
    """Detect, judge and explain every face of a picture file.

    Raises:
        FerError: the picture or the checkpoint cannot be read.
    """
    model = predictor(checkpoint)
    image = read(path)
    predictions = model.predict(image)
    heatmaps = ask(model.model, [p.face for p in predictions], Question([p.label for p in predictions]))
    cards = tuple(
        FaceCard(_title(number, p), p.probabilities, _square(p.face.image), _square(overlay(p.face.image, heatmap)))
        for number, (p, heatmap) in enumerate(zip(predictions, heatmaps, strict=True), 1)
    )
    return Look(draw_boxes(image, predictions), _note(predictions), cards)


def _title(number: int, prediction: Prediction) -> str:
    return f"{number}. {prediction.label}, {prediction.confidence:.0%}"


def _note(predictions: tuple[Prediction, ...]) -> str:
    if predictions[0].face.is_whole_image:
        return "No face found: the whole image is used."
    return "1 face found." if len(predictions) == 1 else f"{len(predictions)} faces found."


def _square(image: ByteArray) -> ByteArray:
    """Fit into the square without cropping, as the slider would."""
    return np.asarray(ImageOps.pad(Image.fromarray(image), (SIDE, SIDE), Image.Resampling.BICUBIC, color="black"))
