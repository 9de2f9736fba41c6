"""A map of features: a point a face, coloured by emotion or by right and wrong, faces from its rim around it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from analysis.learnt.embedding import Embedding
from fer.emotions import COLOURS
from fer.types import ByteArray, FloatArray, PredictionTable

#: Radius of the ring of faces, in radii of the map, and the widest a face may be.
_RING, _FACE = 1.18, 0.2
_RIGHT, _WRONG = "#c3c7d1", "black"


def draw(ax: Axes, embedding: Embedding, table: PredictionTable) -> Axes:
    """Points in the colour of their label, each class named at its middle."""
    order = np.random.default_rng(0).permutation(len(table))  # no class lies on top of the others
    colours = np.array([COLOURS[name] for name in table.classes])[table.labels]
    x, y = embedding.points[order].T
    ax.scatter(x, y, s=_size(len(table)), c=colours[order], alpha=0.75, linewidths=0)
    for c, name in enumerate(table.classes):
        own = embedding.points[table.labels == c]
        if len(own):
            where = own[np.hypot(*(own - np.median(own, axis=0)).T).argmin()]  # a face of the class, nearest to its middle
            text = ax.text(where[0], where[1], name, fontsize=10, weight="bold", ha="center", va="center", zorder=2.6)
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    return _finished(
        ax, [_entry(COLOURS[name], f"{name}, n = {int((table.labels == c).sum()):,}") for c, name in _present(table)]
    )


def draw_right(ax: Axes, embedding: Embedding, table: PredictionTable) -> Axes:
    """The same points: grey where the network's answer is the label, black crosses where it is not."""
    right = table.predicted == table.labels
    size = _size(len(table))
    x, y = embedding.points.T
    ax.scatter(x[right], y[right], s=size, color=_RIGHT, linewidths=0)
    ax.scatter(x[~right], y[~right], s=1.4 * size, color=_WRONG, marker="x", linewidths=0.6)
    entries = [_entry(_RIGHT, f"right, n = {int(right.sum()):,}"), _entry(_WRONG, f"wrong, n = {int((~right).sum()):,}", "x")]
    return _finished(ax, entries)


def draw_faces(ax: Axes, embedding: Embedding, table: PredictionTable, images: ByteArray, rows: Sequence[int]) -> Axes:
    """Faces uint8 (len(rows), 48, 48) on a ring around the map, framed in their label's colour, a line to their point."""
    middle = (embedding.points.max(axis=0) + embedding.points.min(axis=0)) / 2
    radius = float(np.hypot(*(embedding.points - middle).T).max())
    places = ring(embedding.points[list(rows)] - middle) * _RING * radius + middle
    half = radius * min(_FACE, 0.85 * np.pi * _RING / max(len(rows), 1)) / 2 * 1.4
    for row, image, (x, y) in zip(rows, images, places, strict=True):
        colour = COLOURS[table.classes[table.labels[row]]]
        ax.plot([embedding.points[row, 0], x], [embedding.points[row, 1], y], color=colour, linewidth=0.9, zorder=2.5)
        ax.plot(*embedding.points[row], "o", color=colour, markersize=4.5, markeredgecolor="black", markeredgewidth=0.6)
        edges = (x - half, x + half, y - half, y + half)
        ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, extent=edges, zorder=3)
        frame = ([edges[0], edges[1], edges[1], edges[0], edges[0]], [edges[2], edges[2], edges[3], edges[3], edges[2]])
        ax.plot(*frame, color=colour, linewidth=2, zorder=4, solid_joinstyle="miter")
    reach = _RING * radius + 1.3 * half
    ax.set_xlim(middle[0] - reach, middle[0] + reach)
    ax.set_ylim(middle[1] - reach, middle[1] + reach)
    return ax


def ring(away: FloatArray) -> FloatArray:
    """float32 (m, 2): places at even distances on the unit circle, in the order of the directions of ``away`` (m, 2).

    The circle is turned so that the places lie as near to the directions as they can.
    """
    m = len(away)
    angles = np.arctan2(away[:, 1], away[:, 0])
    slots = np.empty(m)
    slots[np.argsort(angles, kind="stable")] = np.arange(m) * 2 * np.pi / max(m, 1)
    turn = np.angle(np.exp(1j * (angles - slots)).sum()) if m else 0.0
    return np.stack([np.cos(slots + turn), np.sin(slots + turn)], axis=1).astype(np.float32)


def _size(n: int) -> float:
    """Area of a point: small where there are many."""
    return float(np.clip(25_000 / n, 5, 40))


def _present(table: PredictionTable) -> list[tuple[int, str]]:
    return [(c, name) for c, name in enumerate(table.classes) if (table.labels == c).any()]


def _entry(colour: str, text: str, marker: str = "o") -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=6, label=text)


def _finished(ax: Axes, entries: Sequence[Line2D]) -> Axes:
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("t-SNE 1 (no unit)")
    ax.set_ylabel("t-SNE 2 (no unit)")
    ax.legend(handles=list(entries), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=4, frameon=False)
    return ax


def figure(embedding: Embedding, table: PredictionTable, images: ByteArray, rows: Sequence[int], title: str) -> Figure:
    """The map by emotion with the faces of ``rows`` of ``images``, uint8 (N, 48, 48)."""
    fig = Figure(figsize=(8, 8.6), layout="constrained")
    ax = draw(fig.subplots(), embedding, table)
    draw_faces(ax, embedding, table, images[list(rows)], rows)
    ax.set_title(title, fontsize=10)
    return fig


def right_figure(embedding: Embedding, table: PredictionTable, title: str) -> Figure:
    """The map by right and wrong."""
    fig = Figure(figsize=(6.5, 7), layout="constrained")
    draw_right(fig.subplots(), embedding, table).set_title(title, fontsize=10)
    return fig
