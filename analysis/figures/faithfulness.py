"""How far each method is better than a random map and a centred blob, measure by measure."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.faithfulness import Report
from analysis.means import FEW
from analysis.perturbation import MEASURES

_RANDOM, _BLOB = "#717581", "#e42536"


def draw(ax: Axes, reports: Sequence[Report], measure: str) -> Axes:
    """Paired differences from both baselines with 95 % intervals, a row a method; right of the line is better."""
    for shift, colour, what in ((-0.12, _RANDOM, "random map"), (0.12, _BLOB, "centred blob")):
        for row, report in enumerate(reports):
            rating = report.ratings[measure]
            over = rating.over_random if what == "random map" else rating.over_blob
            ax.plot(
                [over.low, over.high],
                [row + shift] * 2,
                color=colour,
                linewidth=2,
                label=f"over a {what}" if row == 0 else None,
            )
            better = over.low > 0 and report.n >= FEW
            ax.plot([over.mean], [row + shift], "o" if better else "x", color=colour)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(reports)), [report.name for report in reports], fontsize=8)
    ax.set_ylim(len(reports) - 0.5, -0.5)
    ax.set_xlabel("better than the baseline by", fontsize=8)
    ax.set_title(measure if MEASURES[measure].ranks else f"{measure} (favours warm maps)", fontsize=9)
    ax.grid(alpha=0.25, axis="x")
    return ax


def figure(reports: Sequence[Report], title: str) -> Figure:
    """All measures side by side, one legend."""
    fig = Figure(figsize=(3.0 * len(MEASURES) + 1.5, 1.6 + 0.45 * len(reports)), layout="constrained")
    axes = fig.subplots(1, len(MEASURES), sharey=True, squeeze=False)[0]
    for ax, measure in zip(axes, MEASURES, strict=True):
        draw(ax, reports, measure)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    key = "a dot: better with its whole 95 % interval, a cross: not"
    if min(report.n for report in reports) < FEW:
        key = f"fewer than {FEW} are not judged"
    fig.suptitle(f"{title}; {key}", fontsize=10)
    return fig
