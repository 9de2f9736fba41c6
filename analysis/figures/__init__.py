"""Pictures of value objects: each function draws on a given Axes and returns it.

No global state of matplotlib is used, so that figures can be drawn from any thread.
"""

import io
from pathlib import Path

from matplotlib.figure import Figure

from fer.files import write_whole

__all__ = ["save"]

#: Dots an inch: fine enough for print.
DPI = 150


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; OutputError where that is not possible."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI, bbox_inches="tight")
    write_whole(path, picture.getvalue())
