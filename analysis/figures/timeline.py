"""A face's expression over time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.timeline import Timeline
from fer.emotions import COLOURS, EMOTIONS


def draw_timeline(ax: Axes, timeline: Timeline) -> Axes:
    """Probabilities stacked over time, each class in its colour; white where the face was not found."""
    probs, edges = np.nan_to_num(timeline.probs).repeat(2, axis=0), timeline.edges.repeat(2)[1:-1]
    colours = [COLOURS[name] for name in EMOTIONS]
    ax.stackplot(edges, probs.T, labels=EMOTIONS, colors=colours, linewidth=0)
    ax.set_ylim(0, 1)
    ax.set_xlim(0, float(timeline.edges[-1]))
    ax.set_xlabel("seconds")
    ax.set_ylabel("probability")
    return ax


def figure(timeline: Timeline) -> Figure:
    """The timeline of one face with a legend."""
    fig = Figure(figsize=(10, 2.8), layout="constrained")
    ax = draw_timeline(fig.subplots(), timeline)
    ax.set_title(f"face {timeline.number}")
    handles, names = ax.get_legend_handles_labels()
    fig.legend(handles[::-1], names[::-1], loc="outside right center", frameon=False, fontsize=9)
    return fig
