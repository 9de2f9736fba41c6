"""A picture with its faces boxed, numbered and labelled."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer.emotions import COLOURS
from fer.types import ByteArray, Prediction


def draw_boxes(image: ByteArray, predictions: Sequence[Prediction]) -> ByteArray:
    """Copy of uint8 (H, W, 3) with a box ``number label confidence`` around every face, in the label's colour."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    short = min(image.shape[:2])
    line, font = max(2, short // 160), ImageFont.load_default(size=max(10, short // 28))
    for number, prediction in enumerate(predictions, 1):
        box, colour = prediction.face.box, COLOURS[prediction.label]
        pen.rectangle((box.x1, box.y1, box.x2 - 1, box.y2 - 1), outline=colour, width=line)
        text = f"{number} {prediction.label} {prediction.confidence:.0%}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        y = max(0, box.y1 - (bottom - top) - 3 * line)
        x = max(0, min(box.x1, image.shape[1] - (right - left) - 2 * line))
        pen.rectangle((x, y, x + right - left + 2 * line, y + bottom - top + 2 * line), fill=colour)
        pen.text((x + line - left, y + line - top), text, fill="black", font=font)
    return np.asarray(picture)
