"""Pictures of value objects: each function draws on a given Axes and returns it.

No global state of matplotlib is used, so that figures can be drawn from any thread.
"""

from pathlib import Path

from matplotlib.figure import Figure

from fer.errors import OutputError

__all__ = ["save"]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; OutputError where that is not possible."""
    try:
        figure.savefig(path, dpi=120, bbox_inches="tight")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose a writable folder") from error
