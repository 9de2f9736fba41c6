"""The confusion matrix: which expression is taken for which."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(ax: Axes, metrics: Mapping[str, Any]) -> Axes:
    """Shares of every label's row, with counts, from ``metrics`` as :func:`fer.metrics.evaluate` returns them."""
    counts = np.array(metrics["confusion_matrix"])
    names = list(metrics["per_class"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        ax.text(column, row, f"{share:.0%}\n{counts[row, column]}", ha="center", va="center", color=colour, fontsize=7)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("label")
    ax.set_title(f"accuracy {metrics['accuracy']:.2%}, n = {metrics['n']:,}")
    return ax


def figure(metrics: Mapping[str, Any]) -> Figure:
    """:func:`draw` on a figure of its own."""
    fig = Figure(figsize=(6.5, 6))
    draw(fig.subplots(), metrics)
    return fig
