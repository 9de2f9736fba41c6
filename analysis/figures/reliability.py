"""Reliability diagrams: how often answers of a confidence are right, with how many there are."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.calibration import Reliability
from fer.emotions import COLOURS

_ALL = "#2b2b2b"
_COLUMNS = 4
#: Bins with fewer answers are hollow.
_FEW = 10


def draw(ax: Axes, reliability: Reliability) -> Axes:
    """Accuracy with 95 % intervals over confidence, in the colour of the class; grey bars: share of the answers in each bin."""
    colour = COLOURS.get(reliability.name, _ALL)
    ax.plot([0, 1], [0, 1], color="#717581", linewidth=0.8, linestyle="--", zorder=1)
    for one in reliability.bins:
        ax.bar(one.low, one.n / reliability.n, one.high - one.low, align="edge", color="#e3e3e6", edgecolor="white", zorder=0)
        ax.plot([one.confidence] * 2, one.interval, color=colour, linewidth=1.2, zorder=2)
        face = colour if one.n >= _FEW else "white"
        ax.plot(one.confidence, one.accuracy, "o", color=colour, markerfacecolor=face, markersize=5, zorder=3)
    error = "no answers" if reliability.ece is None else f"ECE {reliability.ece:.3f}"
    ax.set_title(f"{reliability.name}, n = {reliability.n:,}, {error}", fontsize=10)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.set_aspect("equal")
    ax.set_xlabel("confidence")
    ax.set_ylabel("share right")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure(overall: Reliability, by_answer: Sequence[Reliability]) -> Figure:
    """All answers first, then a panel for every class that is answered."""
    panels = [overall, *by_answer]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    fig = Figure(figsize=(3.2 * columns, 3.3 * rows + 0.5), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False).flatten()
    for ax, panel in zip(axes, panels, strict=False):
        draw(ax, panel)
    for ax in axes[len(panels) :]:
        ax.axis("off")
    marks = f"lines: 95 % intervals; hollow: fewer than {_FEW} answers; grey: share of the answers"
    fig.suptitle(f"reliability by the class answered ({marks})", fontsize=11)
    return fig
