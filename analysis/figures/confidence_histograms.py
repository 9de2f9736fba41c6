"""Histograms of confidence, a panel a class: right answers in the colour of the class, wrong ones hatched upon them."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.histograms import Histogram
from fer.emotions import COLOURS

#: Panels in a row.
_COLUMNS = 4
_WRONG = {"color": "white", "edgecolor": "#2b2b2b", "hatch": "////"}


def draw(ax: Axes, histogram: Histogram) -> Axes:
    """One class's histogram, or a line that says that it has no faces."""
    colour = COLOURS[histogram.name]
    edges, right, n = np.array(histogram.edges), sum(histogram.right), histogram.n
    for counts, below, label, look in (
        (histogram.right, 0, f"right ({right:,})", {"color": colour, "edgecolor": "white"}),
        (histogram.wrong, histogram.right, f"wrong ({n - right:,})", _WRONG),
    ):
        ax.bar(edges[:-1], counts, np.diff(edges), bottom=below, align="edge", linewidth=0.6, label=label, **look)  # type: ignore[arg-type]
    share = f", {right / n:.1%} right" if n else ""
    ax.set_title(f"{histogram.name}, n = {n:,}{share}", fontsize=10)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.3 * max(1, *np.add(histogram.right, histogram.wrong)))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.set_xlabel("confidence")
    ax.set_ylabel("faces")
    ax.spines[["top", "right"]].set_visible(False)
    if n:
        ax.legend(fontsize=7, frameon=False, loc="upper left")
    else:
        ax.text(0.5, 0.5, "no faces", ha="center", va="center", transform=ax.transAxes)
    return ax


def figure(histograms: Sequence[Histogram]) -> Figure:
    """A panel for every class; scales of the faces differ."""
    columns = min(_COLUMNS, len(histograms))
    rows = math.ceil(len(histograms) / columns)
    fig = Figure(figsize=(max(4.5, 3.2 * columns), 2.7 * rows + 0.4), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False).flatten()
    for ax, histogram in zip(axes, histograms, strict=False):
        draw(ax, histogram)
    for ax in axes[len(histograms) :]:
        ax.axis("off")
    n = sum(histogram.n for histogram in histograms)
    if len(histograms) > 1:
        fig.suptitle(f"confidence of right and wrong answers, by the label of the face, n = {n:,}", fontsize=11)
    return fig
