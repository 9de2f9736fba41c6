"""Maps of a network from early to late layers, a face of every class, and how far they spread."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.figures.gallery import rgb
from analysis.figures.overlay import overlay
from analysis.learnt.depth import METHOD, Depth
from fer.emotions import COLOURS
from fer.types import ByteArray, Heatmap, PredictionTable

_POINT = "#3f90da"


def draw(ax: Axes, image: ByteArray, heatmap: Heatmap | None) -> Axes:
    """A face uint8 (48, 48), under a map with its raw peak where one is given."""
    if heatmap is None:
        ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    else:
        ax.imshow(overlay(rgb(np.asarray(image)), heatmap))
        ax.set_title(f"peak {heatmap.peak:.2g}" if heatmap.peak else "empty", fontsize=7, pad=2)
    return ax


def draw_spread(ax: Axes, depth: Depth) -> Axes:
    """Share of the face that holds half of a map, at every layer, with 95 % intervals."""
    for place, spread in enumerate(depth.spreads):
        if spread.half_area is not None:
            ax.plot([place, place], spread.half_area_ci95 or (), color="black", linewidth=1.2)
            ax.plot(place, spread.half_area, "o", color=_POINT)
            ax.annotate(
                f"{spread.half_area:.0%}", (place, spread.half_area), xytext=(7, 0), textcoords="offset points", fontsize=8
            )
    ax.set_xticks(range(len(depth.layers)), [_short(layer) for layer in depth.layers], fontsize=8, rotation=30, ha="right")
    ax.set_xlim(-0.5, len(depth.layers) - 0.3)
    ax.set_ylim(0, 0.55)
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.set_ylabel("of the face holds\nhalf of the map", fontsize=9)
    most = max((spread.n for spread in depth.spreads), default=0)
    ax.set_title(f"own predictions, 95 %, n = {most}", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure(depth: Depth, table: PredictionTable, images: ByteArray, title: str) -> Figure:
    """A row a class: the plain face, then a column a layer; below how far the maps spread.

    Images are uint8 (N, 48, 48), row by row with the table.
    """
    columns, down = len(depth.layers) + 1, len(depth.rows)
    fig = Figure(figsize=(max(1.45 * columns + 1, 6.5), 1.55 * down + 3.2), layout="constrained")
    parts = fig.subfigures(2, 1, squeeze=False, height_ratios=[1.55 * down + 0.6, 2.6])
    faces, below = parts[:, 0]
    axes = faces.subplots(down, columns, squeeze=False)
    for line, row, name, maps in zip(axes, depth.rows, table.classes, zip(*depth.heatmaps, strict=True), strict=True):
        for ax, heatmap in zip(line, (None, *maps), strict=True):
            ax.set_xticks([])
            ax.set_yticks([])
            if row is None:
                ax.axis("off")
            else:
                draw(ax, images[row], heatmap)
        said = "no hit" if row is None else f"{table.probs[row].max():.0%}"
        line[0].text(-0.1, 0.5, f"{name}\n{said}", transform=line[0].transAxes, ha="right", va="center", fontsize=9)
        line[0].spines[:].set(color=COLOURS[name], linewidth=2.5)
    for ax, layer in zip(axes[0], ("face", *map(_short, depth.layers)), strict=True):
        ax.text(
            0.5, 1.22, layer, transform=ax.transAxes, ha="center", va="bottom", fontsize=8, rotation=0 if columns < 7 else 15
        )
    draw_spread(below.subplots(), depth)
    shown = sum(row is not None for row in depth.rows)
    fig.suptitle(f"{METHOD} from early (left) to late layers\nthe surest hits (n = {shown}) of {title}", fontsize=10)
    return fig


def _short(layer: str) -> str:
    """A dotted name in at most two lines."""
    first, _, last = layer.rpartition(".")
    return f"{first}.\n{last}" if len(layer) > 12 else layer
