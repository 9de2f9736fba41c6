"""One face explained: the face, the map, both, and the probabilities."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.overlay import COLOUR_MAP, overlay
from fer.emotions import COLOURS
from fer.types import Heatmap, Prediction


def draw_probabilities(ax: Axes, prediction: Prediction) -> Axes:
    """Bars of all classes, each in its colour."""
    names = list(prediction.probabilities)
    values = list(prediction.probabilities.values())
    ax.barh(names, values, color=[COLOURS[name] for name in names])
    for row, value in enumerate(values):
        ax.text(min(value + 0.02, 0.86), row, f"{value:.1%}", va="center", fontsize=8)
    ax.set_xlim(0, 1)
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure(prediction: Prediction, heatmap: Heatmap) -> Figure:
    """Four pictures side by side, with the verdict as their title."""
    fig = Figure(figsize=(12, 3.2), layout="constrained")
    face, raw, both, bars = fig.subplots(1, 4)
    face.imshow(prediction.face.image)
    face.set_title("face")
    raw.imshow(heatmap.values, cmap=COLOUR_MAP, vmin=0, vmax=1)
    raw.set_title(f"{heatmap.method} for {heatmap.target}, peak {heatmap.peak:.2g}", fontsize=9)
    both.imshow(overlay(prediction.face.image, heatmap))
    both.set_title("face and map")
    for ax in (face, raw, both):
        ax.axis("off")
    draw_probabilities(bars, prediction)
    fig.suptitle(f"{prediction.label}, {prediction.confidence:.1%}")
    return fig
