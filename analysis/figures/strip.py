"""One face under all corruptions: a row a corruption, severity rising to the right."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.strip import Tile


def draw(ax: Axes, tile: Tile) -> Axes:
    """A tile with what the model says of it."""
    ax.imshow(tile.face, cmap="gray", vmin=0, vmax=255)
    ax.set_title(f"{tile.label} {tile.confidence:.0%}", fontsize=7, pad=2)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def figure(strips: Mapping[str, Sequence[Tile]], checkpoint: str) -> Figure:
    """Strips below each other, the untouched face first."""
    columns = len(next(iter(strips.values())))
    fig = Figure(figsize=(1.15 * columns + 0.8, 1.42 * len(strips) + 0.6), layout="constrained")
    axes = fig.subplots(len(strips), columns, squeeze=False)
    for row, (name, tiles) in zip(axes, strips.items(), strict=True):
        for ax, tile in zip(row, tiles, strict=True):
            draw(ax, tile)
        row[0].set_ylabel(name, fontsize=9)
    for ax, tile in zip(axes[-1], next(iter(strips.values())), strict=True):
        ax.set_xlabel(f"severity {tile.severity}" if tile.severity else "as it is", fontsize=8)
    fig.suptitle(f"one face under stress, and what {checkpoint} says (n = 1)", fontsize=10)
    return fig
