"""Recall and precision of every class with their intervals."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.classes import ClassFigures
from fer.emotions import COLOURS

_APART = 0.16


def draw(ax: Axes, classes: Sequence[ClassFigures]) -> Axes:
    """A row a class: recall (filled) above precision (hollow), each with its 95 % Wilson interval."""
    for place, one in enumerate(classes):
        colour = COLOURS[one.name]
        for share, interval, offset, filled in (
            (one.recall, one.recall_ci95, -_APART, True),
            (one.precision, one.precision_ci95, _APART, False),
        ):
            if share is None or interval is None:
                continue
            ax.plot(interval, [place + offset] * 2, color=colour, linewidth=2.2, alpha=0.7)
            marker = {"marker": "o"} if filled else {"marker": "D", "markerfacecolor": "white"}
            ax.plot(share, place + offset, color=colour, markeredgecolor="#2b2b2b", markersize=6, **marker)  # type: ignore[arg-type]
    names = [f"{one.name}, n = {one.n:,}" if one.n else f"{one.name}: no face" for one in classes]
    ax.set_yticks(range(len(classes)), names)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    ax.set_xlim(-0.01, 1.01)
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.set_xlabel("filled circle: recall; hollow diamond: precision; lines: 95 % intervals")
    ax.set_title(f"recall and precision, n = {sum(one.n for one in classes):,}", fontsize=10)
    ax.grid(axis="x", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure(classes: Sequence[ClassFigures]) -> Figure:
    """:func:`draw` on a figure of its own."""
    fig = Figure(figsize=(7.5, 0.55 * len(classes) + 1.2), layout="constrained")
    draw(fig.subplots(), classes)
    return fig
