"""Curves of a model under stress, one panel a corruption."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.robustness import Robustness

_ACCURACY, _ECE, _MAPS = "#3f90da", "#e42536", "#717581"
_COLUMNS = 5


def draw(ax: Axes, robustness: Robustness, corruption: str) -> Axes:
    """Accuracy with its 95 % Wilson interval, ECE and map correlation over the severities; 0 is the clean face."""
    stresses = robustness.of(corruption)
    conditions = [robustness.clean, *(stress.condition for stress in stresses)]
    places = [0, *(stress.severity for stress in stresses)]
    low, high = zip(*(condition.ci95 for condition in conditions), strict=True)
    ax.fill_between(places, low, high, color=_ACCURACY, alpha=0.2, linewidth=0)
    ax.plot(places, [condition.accuracy for condition in conditions], "o-", color=_ACCURACY, markersize=4, label="accuracy")
    ax.plot(places, [condition.ece for condition in conditions], "s--", color=_ECE, markersize=4, label="ECE")
    known = [(s.severity, s.condition.map_correlation) for s in stresses if s.condition.map_correlation is not None]
    if known:
        ax.plot(*zip(*known, strict=True), "^:", color=_MAPS, markersize=4, label="correlation of maps")
        if robustness.map_floor is not None:
            ax.axhline(robustness.map_floor, color=_MAPS, linewidth=0.8, label="that of different faces")
    ax.set_xticks(places, ["clean", *(f"{stress.level:g}" for stress in stresses)], fontsize=8)
    ax.set_ylim(min([0.0, *(value for _, value in known)]), 1.03)
    ax.set_xlabel(stresses[0].unit, fontsize=7.5)
    ax.set_title(f"{corruption}: {-100 * robustness.drop(corruption):+.1f} points", fontsize=9)
    ax.grid(alpha=0.25)
    return ax


def figure(robustness: Robustness) -> Figure:
    """All corruptions, with one legend."""
    names = robustness.corruptions
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    fig = Figure(figsize=(max(7.0, 3.1 * columns), 2.8 * rows + 0.8), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        draw(ax, robustness, name)
    for ax in axes[::columns]:
        ax.set_ylabel("accuracy, ECE, correlation", fontsize=8)
    for ax in axes[len(names) :]:
        ax.axis("off")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    title = f"{robustness.checkpoint} on {robustness.split}, n = {robustness.n:,} faces, {robustness.maps:,} maps"
    fig.suptitle(f"{title}; accuracy {-100 * robustness.mean_drop:+.1f} points on average", fontsize=10)
    return fig
