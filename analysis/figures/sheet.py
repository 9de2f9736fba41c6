"""A contact sheet: many faces or pairs of faces in rows, a caption over each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer.types import ByteArray

_SIDE, _GAP, _CAPTION = 48, 8, 14


@dataclass(frozen=True, eq=False)
class Tile:
    """One or two uint8 (48, 48) faces side by side, and what stands over them."""

    faces: tuple[ByteArray, ...]
    caption: str


def draw(ax: Axes, tiles: Sequence[Tile], columns: int = 10) -> Axes:
    """All tiles, in rows of ``columns``."""
    across = max(len(tile.faces) for tile in tiles)
    width, height = across * _SIDE + _GAP, _SIDE + _CAPTION
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * height, columns * width), 255, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height + _CAPTION, number % columns * width
        ax.text(left, top - 3, tile.caption, fontsize=4.5, va="bottom")
        for place, face in enumerate(tile.faces):
            canvas[top : top + _SIDE, left + place * _SIDE : left + (place + 1) * _SIDE] = face
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.axis("off")
    return ax


def figure(tiles: Sequence[Tile], title: str, columns: int = 10) -> Figure:
    """A sheet of its own, as high as it needs."""
    rows, across = -(-len(tiles) // columns), max(len(tile.faces) for tile in tiles)
    inch = 1 / 85  # of a pixel
    size = (columns * (across * _SIDE + _GAP) * inch, rows * (_SIDE + _CAPTION) * inch + 0.4)
    fig = Figure(figsize=size, layout="constrained")
    draw(fig.subplots(), tiles, columns)
    fig.suptitle(title, fontsize=8)
    return fig
