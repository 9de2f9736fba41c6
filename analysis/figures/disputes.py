"""Faces that two models answer differently: the face, and what each model looked at."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.disagreement import Dispute, Gallery, Opinion
from analysis.figures.overlay import overlay

#: Disputes beside each other, each three tiles wide.
_ACROSS = 3


def draw(axes: tuple[Axes, Axes, Axes], dispute: Dispute) -> None:
    """One dispute on three Axes: face with its label, map of A, map of B, a tick where one agrees with the label."""
    face = np.repeat(dispute.face[:, :, None], 3, axis=2)
    axes[0].imshow(face)
    axes[0].set_title(f"label {dispute.truth}", fontsize=7, pad=2)
    for ax, opinion in zip(axes[1:], (dispute.a, dispute.b), strict=True):
        ax.imshow(overlay(face, opinion.heatmap))
        ax.set_title(_said(opinion, dispute.truth), fontsize=7, pad=2)


def _said(opinion: Opinion, truth: str) -> str:
    return f"{opinion.label} {opinion.confidence:.0%}{' ✓' if opinion.label == truth else ''}"


def figure(gallery: Gallery) -> Figure:
    """All disputes of a gallery; a sentence where there is none."""
    rows = max(1, -(-len(gallery.shown) // _ACROSS))
    fig = Figure(figsize=(3.9 * _ACROSS, 1.45 * rows + 0.7), layout="constrained")
    grid = fig.subplots(rows, 3 * _ACROSS, squeeze=False)
    for ax in grid.ravel():
        ax.axis("off")
    for place, dispute in enumerate(gallery.shown):
        row, column = divmod(place, _ACROSS)
        draw(tuple(grid[row, 3 * column : 3 * column + 3]), dispute)
    differ = f"{gallery.differ:,} of {gallery.n:,} {gallery.split} faces are answered differently"
    if not gallery.shown:
        fig.suptitle(f"{gallery.a} and {gallery.b}: {differ}", fontsize=10)
        return fig
    fig.suptitle(f"{differ}; those where both are surest: face, {gallery.a}, {gallery.b} (✓: as the label says)", fontsize=10)
    return fig
