"""Regions of the face, coloured: the template over faces, bars a class, and what each class's face loses with them."""

from collections.abc import Sequence
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
from contourpy import LineType, contour_generator
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.averages import RIGHT, WRONG, Average
from analysis.means import Mean
from analysis.regions.face_template import REGION_COLOURS, REGIONS, Labels, Points, label_at, template
from analysis.regions.report import Group, RegionReport
from analysis.regions.verdicts import Verdict
from fer.types import FACE_SIZE, ByteArray, FloatArray

_COLOURS = ListedColormap(list(REGION_COLOURS.values()))
#: Red where the answer is less sure without the region, blue where it is surer.
_EFFECTS = colormaps["RdBu_r"]
_HATCH = {RIGHT: "", WRONG: "////"}


def draw_template(ax: Axes, face: FloatArray | None = None, labels: Labels | None = None) -> Axes:
    """Coloured regions, over a grey face (48, 48), its contrast stretched, where one is given."""
    if face is not None:
        ax.imshow(face, cmap="gray")
    own = template() if labels is None else labels
    ax.imshow(
        own, cmap=_COLOURS, vmin=-0.5, vmax=len(REGIONS) - 0.5, alpha=1.0 if face is None else 0.45, interpolation="nearest"
    )
    return _bare(ax)


def draw_outlines(ax: Axes, face: FloatArray | ByteArray, title: str) -> Axes:
    """A face, grey (48, 48) or RGB (48, 48, 3), with the edges of the regions in their colours; grey ones are stretched."""
    ax.imshow(face, cmap="gray")
    for colour, lines in _outlines():
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.8))
    ax.set_title(title, fontsize=7, pad=2)
    return _bare(ax)


@cache
def _outlines() -> tuple[tuple[str, list[Points]], ...]:
    """Colour and lines float (K, 2) of each region of the template, ten times finer than its pixels.

    Small regions come last: neighbours share an edge, and the later line hides the earlier one.
    """
    steps = (np.arange(10 * FACE_SIZE) + 0.5) / 10 - 0.5
    x, y = np.meshgrid(steps, steps)
    labels = label_at(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
    found = []
    for place, colour in enumerate(REGION_COLOURS.values()):
        lines = contour_generator(x, y, labels == place, line_type=LineType.Separate).lines(0.5)
        found.append((colour, cast(list[Points], lines)))
    return tuple(reversed(found))


def _bare(ax: Axes) -> Axes:
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def template_figure(face: FloatArray | None, title: str) -> Figure:
    """The template with its legend and the size of every region, beside the same over a mean face."""
    fig = Figure(figsize=(3.2 if face is None else 5.6, 3.4), layout="constrained")
    axes = fig.subplots(1, 1 if face is None else 2, squeeze=False)[0]
    draw_template(axes[0])
    if face is not None:
        draw_template(axes[1], face)
    area = np.bincount(template().ravel(), minlength=len(REGIONS)) / template().size
    patches = [
        Patch(color=colour, label=f"{name} {share:.1%}")
        for (name, colour), share in zip(REGION_COLOURS.items(), area, strict=True)
    ]
    fig.legend(handles=patches, loc="outside lower center", ncols=4 if face is not None else 2, fontsize=7)
    fig.suptitle(title, fontsize=9)
    return fig


def fit_figure(faces: Sequence[tuple[str, FloatArray | ByteArray]], title: str, columns: int = 8) -> Figure:
    """Outlines over faces, each with its caption: how well the template sits."""
    rows = -(-len(faces) // columns)
    fig = Figure(figsize=(1.35 * columns, 1.5 * rows + 0.4), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax, (caption, face) in zip(axes, faces, strict=False):
        draw_outlines(ax, face, caption)
    for ax in axes[len(faces) :]:
        ax.axis("off")
    fig.suptitle(title, fontsize=9)
    return fig


def draw_bars(ax: Axes, groups: Sequence[Group], what: str, expected: Sequence[str] = ()) -> Axes:
    """``"lift"`` or ``"effect"`` of the regions of one class, right and wrong (hatched) side by side, with 95 % intervals.

    The names of expected regions are bold.
    """
    width = 0.8 / max(1, len(groups))
    for place, group in enumerate(groups):
        means: dict[str, Mean] = getattr(group, what)
        for x, (region, mean) in enumerate(means.items()):
            if mean.mean is None:
                continue
            at = x + (place - (len(groups) - 1) / 2) * width
            ax.bar(
                at, mean.mean, width, color=REGION_COLOURS[region], hatch=_HATCH[group.group], edgecolor="black", linewidth=0.5
            )
            if mean.ci95:
                ax.plot([at, at], mean.ci95, color="black", linewidth=1)
    ax.axhline(1 if what == "lift" else 0, color="black", linewidth=0.8, linestyle="--" if what == "lift" else "-")
    ax.set_xticks(range(len(REGIONS)), REGIONS, fontsize=7)
    for tick in ax.get_xticklabels():
        tick.set_fontweight("bold" if tick.get_text() in expected else "normal")
    ax.tick_params(axis="y", labelsize=7)
    ax.grid(axis="y", alpha=0.25)
    return ax


def bars_figure(report: RegionReport) -> Figure:
    """A row a class: lift of the maps at the left, effect of covering at the right."""
    fig = Figure(figsize=(12, 1.95 * len(report.verdicts) + 0.9), layout="constrained")
    axes = fig.subplots(len(report.verdicts), 2, squeeze=False, sharey="col")
    for row, verdict in zip(axes, report.verdicts, strict=True):
        groups = [group for group in report.groups if group.name == verdict.name]
        for ax, what in zip(row, ("lift", "effect"), strict=True):
            draw_bars(ax, groups, what, verdict.expected)
            ax.set_title(_heading(verdict, groups, what), fontsize=8)
        row[0].set_ylabel("lift", fontsize=8)
        row[1].set_ylabel("drop", fontsize=8)
    legend = [Patch(facecolor="white", edgecolor="black", hatch=_HATCH[name], label=name) for name in (RIGHT, WRONG)]
    fig.legend(handles=legend, loc="outside lower center", ncols=2, fontsize=8)
    left = f"left: lift of {report.method} maps (share of the map / share of the picture; 1: no preference)"
    right = f"right: drop of the probability of the answer when the region is covered ({report.cover})"
    fig.suptitle(
        f"{report.checkpoint} on {report.split}, n = {report.n:,}; bold: expected by action units\n{left}; {right}", fontsize=8
    )
    return fig


def _heading(verdict: Verdict, groups: Sequence[Group], what: str) -> str:
    counts = [next(iter(group.effect.values())).n if what == "effect" else group.n - group.empty for group in groups]
    counted = ", ".join(f"{n:,} {group.group}" for n, group in zip(counts, groups, strict=True))
    units = f" (AU {'+'.join(map(str, verdict.units))})" if verdict.units else ""
    return f"{verdict.name}{units}: {counted}"


def effects_figure(report: RegionReport, averages: Sequence[Average]) -> Figure:
    """Mean faces, recognised ones above, each region in the colour of what covering 10 % of the picture there costs.

    One scale for all; the less it costs, the more of the face is to be seen.
    """
    effects = {(group.name, group.group): group.effect_per_tenth for group in report.groups}
    names = list(dict.fromkeys(average.name for average in averages))
    largest = _largest(report.groups)
    fig = Figure(figsize=(1.5 * len(names) + 1.4, 4.1), layout="constrained")
    axes = fig.subplots(2, len(names), squeeze=False)
    for average in averages:
        ax = _bare(axes[(RIGHT, WRONG).index(average.group), names.index(average.name)])
        means = effects[average.name, average.group]
        ax.set_title(f"{average.name}, n = {means[REGIONS[0]].n:,}", fontsize=8)
        if means[REGIONS[0]].n:
            ax.imshow(average.face, cmap="gray")
            drops = np.array([means[region].mean or 0.0 for region in REGIONS])[template()]
            ax.imshow(_tinted(drops / largest), interpolation="nearest")
    for ax, group in zip(axes[:, 0], (RIGHT, WRONG), strict=True):
        ax.set_ylabel(group, fontsize=9)
    scale = ScalarMappable(Normalize(-100 * largest, 100 * largest), _EFFECTS)
    fig.colorbar(scale, ax=axes, shrink=0.8).set_label("drop in points for 10 % of the picture", fontsize=8)
    title = f"what covering each region ({report.cover}) takes from the answer's probability, over its size"
    fig.suptitle(f"{report.checkpoint} on {report.split}: {title}", fontsize=10)
    return fig


def _largest(groups: Sequence[Group]) -> float:
    found = [abs(mean.mean) for group in groups for mean in group.effect_per_tenth.values() if mean.mean is not None]
    return max(found, default=0.0) or 1.0


def _tinted(shares: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """RGBA (48, 48, 4) of −1..1, the more opaque the farther from 0."""
    colours = np.asarray(_EFFECTS((shares + 1) / 2))
    colours[..., 3] = 0.8 * np.sqrt(np.abs(shares))
    return colours
