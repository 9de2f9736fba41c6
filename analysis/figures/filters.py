"""Filters of a first layer in a grid, the strongest first."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.learnt.filters import FilterBank

#: Filters of a bank that are shown, and how many stand in a row.
SHOWN = 64
_COLUMNS = 16


def draw(ax: Axes, bank: FilterBank) -> Axes:
    """Red raises the answer of a filter where a face is bright, blue lowers it; one scale for all, white is 0."""
    shown = bank.weights[:SHOWN]
    height, width = shown.shape[1:]
    gap = max(1.0, width / 8)
    across, down = (min(_COLUMNS, len(shown)), -(-len(shown) // _COLUMNS))
    peak = max(float(np.abs(shown).max()), 1e-12)
    for number, weights in enumerate(shown):
        x, y = (number % _COLUMNS) * (width + gap), (number // _COLUMNS) * (height + gap)
        edges = (x, x + width, y + height, y)
        image = ax.imshow(weights, cmap="RdBu_r", vmin=-peak, vmax=peak, extent=edges, interpolation="nearest")
        ax.plot(*_outline(edges), color="#b0b0b0", linewidth=0.4)
    ax.set_xlim(-gap / 2, across * (width + gap) - gap / 2)
    ax.set_ylim(down * (height + gap) - gap / 2, -gap / 2)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    norms = bank.norms
    ax.set_xlabel(f"{width}×{height} pixels each; norms {norms[0]:.3g} to {norms[len(shown) - 1]:.3g}", fontsize=8)
    ax.set_title(_title(bank, len(shown)), fontsize=9)
    ax.figure.colorbar(image, ax=ax, label="answer to black → white", fraction=0.03, pad=0.02, aspect=12)
    return ax


def _title(bank: FilterBank, shown: int) -> str:
    part = f"{shown} of {len(bank.weights)} filters" if shown < len(bank.weights) else f"{shown} filters"
    return f"{bank.member + ': ' if bank.member else ''}{bank.layer}, {part} by falling norm"


def _outline(edges: tuple[float, float, float, float]) -> tuple[list[float], list[float]]:
    left, right, low, high = edges
    return [left, right, right, left, left], [low, low, high, high, low]


def figure(banks: Sequence[FilterBank], title: str) -> Figure:
    """A panel a network."""
    rows = [-(-min(SHOWN, len(bank.weights)) // _COLUMNS) for bank in banks]
    heights = [0.6 * row + 0.6 for row in rows]
    fig = Figure(figsize=(11, sum(heights) + 0.5), layout="constrained")
    axes = fig.subplots(len(banks), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, bank in zip(axes, banks, strict=True):
        draw(ax, bank)
    fig.suptitle(title, fontsize=10)
    return fig
