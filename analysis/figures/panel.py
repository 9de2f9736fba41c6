"""One face explained: the face, its maps, and the probabilities."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.overlay import COLOUR_MAP, brought_to, overlay
from fer.emotions import COLOURS
from fer.types import ByteArray, Heatmap, Prediction

#: Maps side by side in a row of a large panel.
_COLUMNS = 7
#: Longer side in pixels in which a face is drawn: a whole picture may have millions, and blending takes a hundred bytes each.
_SIDE = 600
#: Letters of a caption above a small map; longer ones, as of a transformer's layers, take several lines.
_WIDEST = 24


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


def caption(heatmap: Heatmap, layers: Sequence[str] = ()) -> str:
    """What a map shows, in words.

    >>> import numpy as np
    >>> caption(Heatmap(np.zeros((2, 2)), 0.0, "fear", "gradcam", "surprise"), ["layer3"])
    'gradcam at layer3: fear, not surprise'
    """
    place = f" at {', '.join(layers)}" if layers else ""
    return f"{heatmap.method}{place}: {heatmap.target}" + (f", not {heatmap.against}" if heatmap.against else "")


def figure(prediction: Prediction, heatmaps: Sequence[Heatmap], captions: Sequence[str] = ()) -> Figure:
    """Face, map, both and bars side by side; several maps in rows below the face and the bars."""
    captions = captions or [caption(heatmap) for heatmap in heatmaps]
    return _single(prediction, heatmaps[0], captions[0]) if len(heatmaps) == 1 else _several(prediction, heatmaps, captions)


def _single(prediction: Prediction, heatmap: Heatmap, text: str) -> Figure:
    fig = Figure(figsize=(12, 3.2), layout="constrained")
    face, raw, both, bars = fig.subplots(1, 4)
    image = _reduced(prediction)
    face.imshow(image)
    face.set_title("face")
    raw.imshow(heatmap.values, cmap=COLOUR_MAP, vmin=0, vmax=1)
    raw.set_title(f"{text}, {_peak(heatmap)}", fontsize=9)
    both.imshow(overlay(image, heatmap))
    both.set_title("face and map")
    for ax in (face, raw, both):
        ax.axis("off")
    draw_probabilities(bars, prediction)
    fig.suptitle(_verdict(prediction))
    return fig


def _several(prediction: Prediction, heatmaps: Sequence[Heatmap], captions: Sequence[str]) -> Figure:
    columns = min(_COLUMNS, len(heatmaps))
    rows = -(-len(heatmaps) // columns)
    fig = Figure(figsize=(max(7.0, 1.9 * columns), 3 + 2.1 * rows), layout="constrained")
    top, below = np.asarray(fig.subfigures(2, 1, height_ratios=(3, 2.1 * rows)))
    face, bars = top.subplots(1, 2)
    image = _reduced(prediction)
    face.imshow(image)
    face.axis("off")
    draw_probabilities(bars, prediction)
    axes = list(below.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.axis("off")
    for ax, heatmap, text in zip(axes, heatmaps, captions, strict=False):
        ax.imshow(overlay(image, heatmap))
        lines = (*text.split(": "), _peak(heatmap))
        ax.set_title("\n".join(fill(line, _WIDEST) for line in lines), fontsize=7)
    fig.suptitle(_verdict(prediction))
    return fig


def _peak(heatmap: Heatmap) -> str:
    """Maps are drawn stretched to 1: this alone tells a faint one from a strong one."""
    return f"peak {heatmap.peak:.2g}"


def _reduced(prediction: Prediction) -> ByteArray:
    image = prediction.face.image
    return brought_to(image, min(_SIDE, max(image.shape[:2])))


def _verdict(prediction: Prediction) -> str:
    return f"{prediction.label}, {prediction.confidence:.1%}"
