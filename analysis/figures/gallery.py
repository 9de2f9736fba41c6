"""Faces of every class with their maps: hits beside misses, and what the maps have in common."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.overlay import overlay
from fer.types import ByteArray, Heatmap, PredictionTable


def figure(
    table: PredictionTable, images: ByteArray, rows: Sequence[Sequence[int]], heatmaps: Mapping[int, Heatmap], title: str
) -> Figure:
    """A row a class: hits at the left, misses at the right, each with its map; images uint8 (N, 48, 48)."""
    right = table.predicted == table.labels
    shown = max(
        1, max((sum(right[row]) for row in rows if row), default=0), max((sum(~right[row]) for row in rows if row), default=0)
    )
    fig = Figure(figsize=(1.15 * 2 * shown + 1, 1.35 * len(rows)), layout="constrained")
    axes = fig.subplots(len(rows), 2 * shown, squeeze=False)
    for c, row in enumerate(rows):
        label(axes[c, 0], table.classes[c])
        for ax in axes[c]:
            ax.axis("off")
        hits, misses = [i for i in row if right[i]], [i for i in row if not right[i]]
        for column, i in [*enumerate(hits), *enumerate(misses, shown)]:
            axes[c, column].imshow(overlay(rgb(images[i]), heatmaps[i]))
            confidence = table.probs[i].max()
            axes[c, column].set_title(f"{table.classes[table.predicted[i]]} {confidence:.0%}", fontsize=7, pad=2)
    fig.suptitle(title, fontsize=10)
    return fig


def label(ax: Axes, text: str) -> None:
    """Name a row of pictures at its left."""
    ax.text(-0.15, 0.5, text, transform=ax.transAxes, ha="right", va="center")


def rgb(image: ByteArray) -> ByteArray:
    """uint8 (h, w, 3) of a grey uint8 (h, w)."""
    return np.repeat(image[:, :, None], 3, axis=2)
