"""Models side by side: accuracies, and what one gains and loses class by class, with intervals."""

import math
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.compare import Comparison, Interval, Pair
from fer.emotions import COLOURS

_MODEL, _ALL = "#3f90da", "black"
_COLUMNS = 2
#: Letters that a line beside and above a panel holds; runs are often named by whole folders.
_BESIDE, _ABOVE = 30, 56


def draw_accuracies(ax: Axes, comparison: Comparison) -> Axes:
    """A point a model with its 95 % Wilson interval, in percent."""
    for place, score in enumerate(comparison.models):
        low, high = (100 * value for value in score.ci95)
        ax.plot([low, high], [place, place], color=_MODEL, linewidth=2, alpha=0.6)
        ax.plot(100 * score.accuracy, place, "o", color=_MODEL)
        ax.annotate(
            f"{score.accuracy:.2%}",
            (100 * score.accuracy, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    ax.set_yticks(range(len(comparison.models)), [fill(score.name, _BESIDE) for score in comparison.models])
    ax.set_ylim(len(comparison.models) - 0.4, -0.7)
    ax.set_xlabel("accuracy, % (95 % Wilson)")
    ax.set_title(f"{comparison.split}, n = {comparison.n:,}", fontsize=10)
    ax.grid(axis="x", alpha=0.25)
    return ax


def draw_deltas(ax: Axes, pair: Pair, n: int) -> Axes:
    """B minus A in points: all faces, then the recall of every class, each with its 95 % bootstrap interval."""
    rows: list[tuple[str, str, float | None, Interval | None]] = [(f"all ({n:,})", _ALL, pair.difference, pair.ci95)]
    for name, delta in pair.per_class.items():
        rows.append((f"{name} ({delta.n:,})", COLOURS[name], delta.difference, delta.ci95))
    ax.axvline(0, color="black", linewidth=0.8)
    for place, (_, colour, difference, interval) in enumerate(rows):
        if difference is None or interval is None:
            ax.annotate("no face", (0, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
            continue
        ax.plot([100 * value for value in interval], [place, place], color=colour, linewidth=2.5, alpha=0.7)
        ax.plot(
            100 * difference, place, "D" if colour == _ALL else "o", color=colour, markeredgecolor="black", markeredgewidth=0.5
        )
    ax.set_yticks(range(len(rows)), [row[0] for row in rows])
    ax.invert_yaxis()
    ax.set_xlabel(fill(f"points by which {pair.b} is better (95 % bootstrap)", _ABOVE))
    p = "p < 0.001" if pair.p_holm < 0.001 else f"p = {pair.p_holm:.3f}"
    corrected = "" if pair.p_holm == pair.p else " (Holm)"
    figures = f"n = {n:,}: {100 * pair.difference:+.2f}, McNemar {p}{corrected}"
    ax.set_title("\n".join(fill(line, _ABOVE) for line in (pair.b, f"− {pair.a}", figures)), fontsize=10)
    ax.grid(axis="x", alpha=0.25)
    return ax


def figure(comparison: Comparison) -> Figure:
    """Accuracies first, then a panel for every pair of models."""
    panels = 1 + len(comparison.pairs)
    rows = math.ceil(panels / _COLUMNS)
    fig = Figure(figsize=(6 * _COLUMNS, 3.6 * rows), layout="constrained")
    axes = fig.subplots(rows, _COLUMNS, squeeze=False).ravel()
    draw_accuracies(axes[0], comparison)
    for ax, pair in zip(axes[1:], comparison.pairs, strict=False):
        draw_deltas(ax, pair, comparison.n)
    for ax in axes[panels:]:
        ax.axis("off")
    return fig
