"""The most frequent confusions in one picture: a row a pair, its most confident faces with their maps."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.overlay import overlay
from analysis.mistakes import ConfusionPair, Mistakes
from fer.types import Heatmap, PredictionTable

_PAIRS, _FACES = 8, 10


def gallery(mistakes: Mistakes, table: PredictionTable, images: torch.Tensor, maps: Callable[[int], Heatmap | None]) -> Figure:
    """Up to eight pairs and ten faces of each.

    Args:
        mistakes: of ``table``.
        table: N rows.
        images: uint8 (N, 1, 48, 48).
        maps: gives the map of a row, or None; faces without are shown bare.
    """
    pairs = mistakes.pairs[:_PAIRS]
    rows = max(1, len(pairs))
    fig = Figure(figsize=(1.15 * _FACES + 1.9, 1.4 * rows + 0.6), layout="constrained")
    axes = fig.subplots(rows, _FACES, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    probs = table.probs
    for line, pair in zip(axes, pairs, strict=False):
        _name(line[0], pair)
        for ax, row in zip(line, pair.rows, strict=False):
            face, heatmap = np.repeat(images[row].cpu().numpy()[0][:, :, None], 3, axis=2), maps(row)
            ax.imshow(face if heatmap is None else overlay(face, heatmap))
            ax.set_title(f"{probs[row].max():.0%}", fontsize=7, pad=2)
    if not pairs:
        axes[0, _FACES // 2].text(0.5, 0.5, "no face is judged wrong", ha="center", va="center")
    fig.suptitle(
        f"most frequent confusions (label → prediction), most confident first; {mistakes.wrong:,} of {mistakes.n:,} wrong",
        fontsize=10,
    )
    return fig


def _name(ax: Axes, pair: ConfusionPair) -> None:
    words = f"{pair.label} → {pair.predicted}\n{pair.count:,} faces\n{pair.share_of_label:.0%} of {pair.label}"
    ax.text(-0.12, 0.5, words, transform=ax.transAxes, ha="right", va="center", fontsize=8)
