"""Accuracy against what it costs: milliseconds a face, megabytes."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase

# Where a name may stand beside its point, in points of print, the most usual place first: aligned left, aligned right.
_PLACES = ((6, 4, "left"), (6, -11, "left"), (-6, 4, "right"), (-6, -11, "right"))
_OURS, _BEST, _OTHERS = "#3f90da", "#e42536", "#717581"


def draw(ax: Axes, points: Sequence[Mapping[str, Any]], key: str, label: str) -> Axes:
    """One point a model: ``key`` on a logarithmic axis, ``accuracy`` 0..1; those that no other beats in both are joined.

    Points with ``published`` are hollow: their figures were measured elsewhere. Those without ``key`` are left out.
    """
    shown = [point for point in points if point.get(key)]
    front = _front([(point[key], point["accuracy"]) for point in shown if not point.get("published")])
    ax.plot([x for x, _ in front], [100 * y for _, y in front], color=_OURS, linewidth=1, zorder=1)
    for point in shown:
        published, colour = bool(point.get("published")), _colour(point)
        x, y = point[key], 100 * point["accuracy"]
        if "ci95" in point:
            low, high = (100 * value for value in point["ci95"])
            ax.plot([x, x], [low, high], color=colour, linewidth=1, alpha=0.5)
        ax.plot(x, y, "o", markerfacecolor="white" if published else colour, markeredgecolor=colour)
    ax.set_xscale("log")
    ax.margins(x=0.4, y=0.15)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(label)
    ax.set_ylabel("PublicTest accuracy, %")
    ax.grid(alpha=0.25)
    _name(ax, shown, key)
    return ax


def _colour(point: Mapping[str, Any]) -> str:
    return _OTHERS if point.get("published") else _BEST if point.get("default") else _OURS


def _name(ax: Axes, points: Sequence[Mapping[str, Any]], key: str) -> None:
    """Write every name where it covers least of the dots and of the names before it; the highest come first."""
    dots = ax.transData.transform([(point[key], 100 * point["accuracy"]) for point in points])
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    for point in sorted(points, key=lambda point: (-point["accuracy"], point[key])):
        at = (point[key], 100 * point["accuracy"])
        name = ax.annotate(point["name"], at, xytext=(0, 0), textcoords="offset points", fontsize=8, color=_colour(point))
        covered = []
        for place in _PLACES:
            _put(name, *place)
            covered.append(sum(_overlap(name.get_window_extent(), other) for other in taken))
        _put(name, *_PLACES[covered.index(min(covered))])
        taken.append(name.get_window_extent())


def _put(name: Annotation, x: int, y: int, side: str) -> None:
    name.set(position=(x, y), horizontalalignment=side)


def _overlap(one: BboxBase, other: BboxBase) -> float:
    """Square pixels that two boxes share."""
    shared = Bbox.intersection(one, other)
    return float(shared.width * shared.height) if shared else 0.0


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points that no cheaper one equals, cheapest first."""
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best


def figure(points: Sequence[Mapping[str, Any]], device: str) -> Figure:
    """Both costs side by side; bars are 95 % intervals."""
    fig = Figure(figsize=(11, 4.2))
    left, right = fig.subplots(1, 2)
    draw(left, points, "milliseconds", "milliseconds a face, batches of 64")
    draw(right, points, "megabytes", "megabytes on disk")
    fig.suptitle(f"Released models on {device}; red: the default, hollow: measured elsewhere", fontsize=10)
    return fig
