"""The label audit: suspects in a gallery, precision of their ranking, the model's errors by how far taggers agree."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from analysis.labels.audit import LabelAudit, Suspect
from analysis.labels.tagger_votes import ErrorRate, MistakeKind, TaggerCheck
from fer.types import ByteArray

_LINE, _BASE, _MARK = "#3f90da", "#717581", "#e42536"
_COLUMNS = 8


def draw_precision(ax: Axes, check: TaggerCheck) -> Axes:
    """Precision of the ranking over its length, with the base rate and 95 % intervals at the reported lengths."""
    ax.plot([k for k, _ in check.curve], [p for _, p in check.curve], color=_LINE, label="ranking")
    ax.axhline(check.base_rate, color=_BASE, linestyle="--", label=f"any order: {check.base_rate:.1%}")
    for at in check.precision:
        low, high = at.ci95
        ax.plot([at.k, at.k], [low, high], color=_MARK, linewidth=1.2)
        ax.plot(at.k, at.precision, "o", color=_MARK, markersize=4)
        ax.annotate(f"{at.precision:.0%}", (at.k, high), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.set_ylim(0, 1)
    ax.set_xlabel("first k of the ranking")
    ax.set_ylabel("no tagger chose the label")
    area = "undefined" if check.average_precision is None else f"{check.average_precision:.3f}"
    ax.set_title(f"precision at k, average precision {area}, n = {check.n:,}", fontsize=10)
    ax.grid(alpha=0.25)
    ax.legend(loc="upper right")
    return ax


def draw_agreement(ax: Axes, rates: Sequence[ErrorRate]) -> Axes:
    """Bars of the error rate with 95 % intervals; a range without faces has none."""
    for place, at in enumerate(rates):
        if at.rate is None or at.ci95 is None:
            continue
        ax.bar(place, at.rate, color=_LINE, width=0.75)
        ax.plot([place, place], at.ci95, color="black", linewidth=1.2)
        ax.annotate(f"{at.rate:.0%}", (place, at.ci95[1]), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8)
    ax.set_xticks(range(len(rates)), [f"{at.kind}\nn = {at.n:,}" for at in rates], fontsize=8)
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("taggers of ten who chose the label")
    ax.set_ylabel("error rate of the model")
    ax.set_title(f"errors by agreement, n = {sum(at.n for at in rates):,}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def draw_kinds(ax: Axes, kinds: Sequence[MistakeKind]) -> Axes:
    """The mistakes as label errors, ambiguous faces and model errors; darker: taggers prefer the model's answer."""
    for place, kind in enumerate(kinds):
        ax.barh(place, kind.errors, color="#b6d3ee", height=0.6, label="mistakes" if not place else None)
        ax.barh(
            place,
            kind.model_preferred,
            color=_LINE,
            height=0.6,
            label="of these: more taggers chose the model's answer than the label" if not place else None,
        )
        share = "" if kind.share is None else f", {kind.share:.0%}"
        ax.annotate(f"{kind.errors:,}{share}", (kind.errors, place), xytext=(4, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(kinds)), [f"{kind.kind}\n{kind.support}" for kind in kinds], fontsize=8)
    ax.set_ylim(len(kinds) - 0.4, -0.6)
    ax.set_xlim(0, 1.25 * max(1, *(kind.errors for kind in kinds)))
    ax.set_xlabel("mistakes")
    ax.set_title(f"what the mistakes are, n = {sum(kind.errors for kind in kinds):,}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.16), frameon=False)
    return ax


def precision_figure(check: TaggerCheck) -> Figure:
    """:func:`draw_precision` on a figure of its own."""
    fig = Figure(figsize=(6.5, 4.2), layout="constrained")
    draw_precision(fig.subplots(), check)
    return fig


def agreement_figure(check: TaggerCheck) -> Figure:
    """Error rates and kinds of mistakes side by side."""
    fig = Figure(figsize=(13, 4.2), layout="constrained")
    left, right = fig.subplots(1, 2)
    draw_agreement(left, check.by_agreement)
    draw_kinds(right, check.mistakes)
    return fig


def suspects_figure(audit: LabelAudit, images: Sequence[ByteArray], said: Sequence[str]) -> Figure:
    """The first suspects of an audit: uint8 (48, 48) each, with what the taggers said of it ("" where unknown)."""
    shown = list(zip(audit.suspects, images, said, strict=False))
    rows = max(1, -(-len(shown) // _COLUMNS))
    fig = Figure(figsize=(1.5 * _COLUMNS, 2.1 * rows + 0.6))
    axes = fig.subplots(rows, _COLUMNS, squeeze=False)
    fig.subplots_adjust(
        left=0, right=1, bottom=0.45 / (2.1 * rows + 0.6), top=1 - 0.85 / (2.1 * rows + 0.6), hspace=0.5, wspace=0.1
    )
    for ax in axes.flat:
        ax.axis("off")
    for number, (ax, (suspect, image, words)) in enumerate(zip(axes.flat, shown, strict=False), 1):
        _draw_suspect(ax, number, suspect, image, words)
    fig.suptitle(
        f"{len(shown):,} of {len(audit.suspects):,} suspect labels among {audit.n:,}: label → suggestion",
        fontsize=11,
        y=1 - 0.2 / (2.1 * rows + 0.6),
    )
    if not shown:
        axes[0, _COLUMNS // 2].text(0.5, 0.5, "no label is suspect", ha="center", va="center")
    return fig


def _draw_suspect(ax: Axes, number: int, suspect: Suspect, image: ByteArray, words: str) -> None:
    ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    ax.set_title(f"{number}. {suspect.label}\n→ {suspect.suggested}", fontsize=8, pad=2)
    below = f"label's probability {suspect.score:.1%}\n{words}"
    ax.text(0.5, -0.03, below, transform=ax.transAxes, ha="center", va="top", fontsize=6.5)
