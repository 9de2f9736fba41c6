"""Explanations of a data set: every class's most confident hits and misses in one picture."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from analysis.explain import explain
from analysis.figures import save
from analysis.figures.overlay import overlay
from analysis.pictures import heatmap_record, write_records
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.evaluation import evaluate_checkpoint
from fer.files import make_folder
from fer.types import ByteArray, Heatmap, PredictionTable, Progress

#: Faces of each class that are shown as hits, and as many as misses.
_SHOWN = 4


def pick(table: PredictionTable, shown: int = _SHOWN) -> list[list[int]]:
    """Rows to show: for every class ``shown`` hits, then ``shown`` misses, the most confident first."""
    confidence = table.probs.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = table.predicted == table.labels
    return [
        [int(i) for wanted in (True, False) for i in order[(table.labels[order] == c) & (right[order] == wanted)][:shown]]
        for c in range(len(table.classes))
    ]


def explain_split(
    checkpoint: Checkpoint, faces: FaceSet, out: Path, method: str, target: str | None, progress: Progress | None = None
) -> list[Path]:
    """Run the model once over a split, explain the faces that :func:`pick` chooses, write gallery and JSON.

    Raises:
        OutputError: the folder is not writable.
    """
    table = evaluate_checkpoint(checkpoint, faces, progress)
    rows = pick(table)
    chosen = [i for row in rows for i in row]
    targets = target or [table.classes[i] for i in table.predicted[chosen]]
    heatmaps = dict(zip(chosen, explain(checkpoint, faces.images[torch.tensor(chosen)], targets, method), strict=True))
    make_folder(out)
    picture = out / f"gallery-{faces.split}.png"
    save(figure(table, faces, rows, heatmaps), picture)
    records = [
        {
            "name": table.names[i],
            "truth": table.classes[table.labels[i]],
            "label": table.classes[table.predicted[i]],
            "probabilities": dict(zip(table.classes, table.probs[i].tolist(), strict=True)),
            **heatmap_record(heatmaps[i]),
        }
        for i in chosen
    ]
    return [picture, write_records(out, checkpoint, records)]


def figure(table: PredictionTable, faces: FaceSet, rows: list[list[int]], heatmaps: dict[int, Heatmap]) -> Figure:
    """A row a class: hits at the left, misses at the right, each with its map."""
    fig = Figure(figsize=(1.15 * 2 * _SHOWN + 1, 1.35 * len(rows)), layout="constrained")
    axes = fig.subplots(len(rows), 2 * _SHOWN, squeeze=False)
    probs, predicted = table.probs, table.predicted
    for c, row in enumerate(rows):
        axes[c, 0].text(-0.15, 0.5, table.classes[c], transform=axes[c, 0].transAxes, ha="right", va="center")
        for ax in axes[c]:
            ax.axis("off")
        hits = [i for i in row if predicted[i] == table.labels[i]]
        misses = [i for i in row if predicted[i] != table.labels[i]]
        places = [*enumerate(hits), *enumerate(misses, _SHOWN)]
        for column, i in places:
            axes[c, column].imshow(overlay(_rgb(faces.images[i]), heatmaps[i]))
            axes[c, column].set_title(f"{table.classes[predicted[i]]} {probs[i].max():.0%}", fontsize=7, pad=2)
    fig.suptitle(f"most confident hits (left) and misses (right), {faces.split} split", fontsize=10)
    return fig


def _rgb(image: torch.Tensor) -> ByteArray:
    return np.repeat(image.cpu().numpy()[0][:, :, None], 3, axis=2)
