"""Faces in rows, each with its answer: those that are wrong are framed by a dashed line and crossed in their title."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fer.emotions import COLOURS
from fer.types import ByteArray

_COLUMNS = 10
#: Room above a face for its title, and between faces, in widths of a face.
_TITLE, _GAP = 0.36, 0.1


class Judged(NamedTuple):
    """A face and what a model says of it: grey uint8 (h, w), predicted class, confidence 0..1, whether that is right."""

    image: ByteArray
    label: str
    confidence: float
    right: bool


def draw(ax: Axes, faces: Sequence[Judged]) -> Axes:
    """Faces from the upper left in rows of ten; frames have the colour of the answer."""
    columns, rows = _shape(len(faces))
    for number, face in enumerate(faces):
        x = (number % columns) * (1 + _GAP)
        y = (number // columns) * (1 + _TITLE) + _TITLE
        ax.imshow(face.image, cmap="gray", vmin=0, vmax=255, extent=(x, x + 1, y + 1, y))
        line = "solid" if face.right else (0, (2, 1.2))
        ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=COLOURS[face.label], linewidth=2.2, linestyle=line))
        mark = "✓" if face.right else "✗"
        ax.text(x + 0.5, y - 0.06, f"{mark} {face.label} {face.confidence:.0%}", ha="center", va="bottom", fontsize=6.5)
    ax.set_xlim(-0.05, columns * (1 + _GAP))
    ax.set_ylim(rows * (1 + _TITLE) + 0.05, 0)
    ax.axis("off")
    return ax


def _shape(n: int) -> tuple[int, int]:
    columns = min(_COLUMNS, max(1, n))
    return columns, max(1, math.ceil(n / columns))


def figure(faces: Sequence[Judged], title: str) -> Figure:
    """:func:`draw` under a title, with a key to the frames."""
    columns, rows = _shape(len(faces))
    width, height = columns * (1 + _GAP), rows * (1 + _TITLE)
    fig = Figure(figsize=(max(5.5, 0.95 * width), 0.95 * height + 0.6), layout="constrained")
    draw(fig.subplots(), faces)
    fig.suptitle(f"{title}\nthe surest first; ✓ solid: right, ✗ dashed: wrong; colour: the class answered", fontsize=9)
    return fig
