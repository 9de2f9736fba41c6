"""Maps of a network from early to late layers, a face of every class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.depth import METHOD, Depth
from analysis.figures.gallery import rgb
from analysis.figures.overlay import overlay
from fer.emotions import COLOURS
from fer.types import ByteArray, Heatmap, PredictionTable


def draw(ax: Axes, image: ByteArray, heatmap: Heatmap | None) -> Axes:
    """A face uint8 (48, 48), under a map with its raw peak where one is given."""
    if heatmap is None:
        ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    else:
        ax.imshow(overlay(rgb(np.asarray(image)), heatmap))
        ax.set_title(f"peak {heatmap.peak:.2g}" if heatmap.peak else "empty", fontsize=7, pad=2)
    return ax


def figure(depth: Depth, table: PredictionTable, images: ByteArray, title: str) -> Figure:
    """A column a class, the plain face above, then a row a layer; images uint8 (N, 48, 48), row by row with the table."""
    lines: list[tuple[str, tuple[Heatmap | None, ...]]] = [("face", (None,) * len(depth.rows))]
    lines += zip(depth.layers, depth.heatmaps, strict=True)
    fig = Figure(figsize=(1.35 * len(depth.rows) + 0.9, 1.55 * len(lines) + 0.8), layout="constrained")
    axes = fig.subplots(len(lines), len(depth.rows), squeeze=False)
    for (name, maps), line in zip(lines, axes, strict=True):
        for ax, row, heatmap in zip(line, depth.rows, maps, strict=True):
            ax.set_xticks([])
            ax.set_yticks([])
            if row is None:
                ax.axis("off")
            else:
                draw(ax, images[row], heatmap)
        _name(line[0], name)
    for ax, row, name in zip(axes[0], depth.rows, table.classes, strict=True):
        said = "no hit" if row is None else f"{table.probs[row].max():.0%}"
        ax.set_title(f"{name}\n{said}", fontsize=9, color="black")
        ax.spines[:].set(color=COLOURS[name], linewidth=2.5)
    shown = sum(row is not None for row in depth.rows)
    fig.suptitle(f"{METHOD} by depth, early layers above, the surest hits (n = {shown}) of {title}", fontsize=10)
    return fig


def _name(ax: Axes, layer: str) -> None:
    """At the left, also where the first class has no face."""
    ax.text(-0.08, 0.5, layer, transform=ax.transAxes, ha="right", va="center", fontsize=8)
