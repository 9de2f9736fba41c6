"""Mean faces of every class under the mean of their maps, where the model is right and where it is wrong."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.averages import Average
from analysis.figures.gallery import rgb
from analysis.figures.overlay import overlay
from fer.types import Heatmap


def figure(averages: Sequence[Average], method: str, title: str) -> Figure:
    """A column a class, hits above, misses below; each mean map stretched to its own hottest spot, whose value is printed."""
    names = list(dict.fromkeys(average.name for average in averages))
    groups = list(dict.fromkeys(average.group for average in averages))
    fig = Figure(figsize=(1.5 * len(names) + 0.8, 1.75 * len(groups) + 0.5), layout="constrained")
    axes = fig.subplots(len(groups), len(names), squeeze=False)
    for average in averages:
        ax = axes[groups.index(average.group), names.index(average.name)]
        if average.count:
            peak = average.heatmap.max()
            stretched = Heatmap(average.heatmap / max(peak, 1e-7), float(peak), average.name, method)
            ax.imshow(overlay(rgb(average.face.round().astype(np.uint8)), stretched))
        ax.set_title(f"{average.name}, n = {average.count:,}\nhottest {average.heatmap.max():.2f}", fontsize=8)
        ax.set_xticks([])
        ax.set_yticks([])
    for row, group in enumerate(groups):
        axes[row, 0].set_ylabel(group, fontsize=9)
    fig.suptitle(title, fontsize=10)
    return fig
