"""A picture with its faces boxed, numbered and labelled."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer.emotions import COLOURS
from fer.types import ByteArray, Prediction


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def draw_boxes(image: ByteArray, predictions: Sequence[Prediction], numbers: Sequence[int] | None = None) -> ByteArray:
    """Copy of uint8 (H, W, 3) with a box ``number label confidence`` around every face, in the label's colour.

    Faces are numbered from 1 in their order, or as ``numbers`` says.
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    short = min(image.shape[:2])
    line, font = max(2, short // 160), _font(max(10, short // 28))
    for number, prediction in zip(numbers or range(1, len(predictions) + 1), predictions, strict=True):
        box, colour = prediction.face.box, COLOURS[prediction.label]
        pen.rectangle((box.x1, box.y1, box.x2 - 1, box.y2 - 1), outline=colour, width=line)
        text = f"{number} {prediction.label} {prediction.confidence:.0%}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        y = max(0, box.y1 - (bottom - top) - 3 * line)
        x = max(0, min(box.x1, image.shape[1] - (right - left) - 2 * line))
        pen.rectangle((x, y, x + right - left + 2 * line, y + bottom - top + 2 * line), fill=colour)
        pen.text((x + line - left, y + line - top), text, fill="black", font=font)
    return np.asarray(picture)
