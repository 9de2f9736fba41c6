"""A heatmap laid over the face it explains."""

import numpy as np
from matplotlib import colormaps
from PIL import Image

from fer.types import ByteArray, Heatmap

#: Colours of a heatmap; brightness rises with the value, so that it reads in grey, too.
COLOUR_MAP = "inferno"

#: Opacity of the hottest spot; cold places let the face through.
_HOTTEST = 0.75


def overlay(image: ByteArray, heatmap: Heatmap) -> ByteArray:
    """Blend a map over a face: uint8 (h, w, 3) in, uint8 (h, w, 3) out, more opaque where it is hotter."""
    heat = resized(heatmap, image.shape[1], image.shape[0])
    colours = colormaps[COLOUR_MAP](heat)[..., :3] * 255
    alpha = (_HOTTEST * heat)[..., None]
    grey = image.mean(axis=2, keepdims=True)
    return np.asarray((grey * (1 - alpha) + colours * alpha).round().astype(np.uint8))


def brought_to(image: ByteArray, side: int) -> ByteArray:
    """uint8 (h, w, 3) with its longer side brought to so many pixels, the other in proportion, 1 at least."""
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def colour_table() -> ByteArray:
    """uint8 (256, 4): colour and opacity of every value of a map in bytes, for programs that blend by themselves."""
    colours = (colormaps[COLOUR_MAP](np.arange(256)) * 255).round()
    colours[:, 3] = (_HOTTEST * np.arange(256)).round()
    return np.asarray(colours.astype(np.uint8))


def resized(heatmap: Heatmap, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Values of a map brought to another size: float32 (height, width), 0..1."""
    picture = Image.fromarray(np.asarray(heatmap.values), mode="F")
    larger = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.asarray(larger.clip(0, 1))
