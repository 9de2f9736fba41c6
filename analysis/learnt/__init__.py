"""What a network has learnt: a map of its features, how they keep the classes apart, its filters, its maps by depth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.figures import depth as depth_figure
from analysis.figures import embedding as map_figure
from analysis.figures import filters as filter_figure
from analysis.figures import neighbours, save
from analysis.learnt.depth import METHOD, Depth, by_depth
from analysis.learnt.embedding import Embedding, embed, extremes, perplexity_for
from analysis.learnt.features import FeatureTable, extract, last_layers
from analysis.learnt.filters import FilterBank, first_filters
from analysis.learnt.separation import Separation, separate
from analysis.sampling import sample
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.files import make_folder, write_json
from fer.types import ByteArray, Progress

#: What tells features.json from the results of other commands.
KIND = "features"


@dataclass(frozen=True)
class Plan:
    """How many faces are looked at (a seeded sample of the split), and how their map is made; see :func:`embed`."""

    faces: int = 4000
    perplexity: float | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Learnt:
    """All results for some faces, uint8 (N, 48, 48), row by row with the features.

    Attributes:
        features: what enters the last layer, and the predictions.
        embedding: their map.
        rim: rows of the faces at the rim of the map.
        separation: how they keep the classes apart.
        filters: of the first layer of each network.
        depth: maps by depth.
        images: the faces.
        of: faces in the split.
    """

    features: FeatureTable
    embedding: Embedding
    rim: tuple[int, ...]
    separation: Separation
    filters: tuple[FilterBank, ...]
    depth: Depth
    images: ByteArray
    of: int

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON; points, filters and maps have files of their own, named after what is in them."""
        table = self.features.table
        faces = [{"name": table.names[row], "class": table.classes[table.labels[row]]} for row in self.rim]
        return {
            "kind": KIND,
            "source": dict(table.source),
            "split": table.split,
            "n": len(table),
            "of": self.of,
            "dimensions": self.features.values.shape[1],
            "map": self.embedding.to_dict() | {"rim": faces},
            "separation": self.separation.to_dict(),
            "filters": [bank.summary() for bank in self.filters],
            "depth": self.depth.measured(),
        }


def study(
    checkpoint: Checkpoint,
    faces: FaceSet,
    plan: Plan = Plan(),
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Learnt:
    """Look at a checkpoint through some faces; ``note`` is told before long work that reports no progress.

    Raises:
        DataError: as :func:`check`, or the features of all faces are the same.
        ConfigError: as :func:`check`.
    """
    check(checkpoint, faces, plan)
    faces = faces.only(checkpoint.card.classes)
    of, faces = len(faces), faces.select(sample(len(faces), plan.faces, plan.seed))
    filters = first_filters(checkpoint)
    features = extract(checkpoint, faces, progress)
    note(f"t-SNE of {len(faces):,} faces")
    embedding = embed(features.values, plan.perplexity, plan.seed)
    pixels = np.asarray(faces.images.cpu().flatten(1).numpy() / 255, dtype=np.float32)
    separation = separate(features.table, features.values, {"map": embedding.points, "pixels": pixels})
    rim = extremes(embedding.points, features.table.labels)
    note(f"{METHOD} at every depth")
    depth = by_depth(checkpoint, faces, features.table, progress)
    return Learnt(features, embedding, rim, separation, filters, depth, faces.images.cpu().numpy()[:, 0], of)


def check(checkpoint: Checkpoint, faces: FaceSet, plan: Plan) -> None:
    """Say what is impossible before anything is done.

    Raises:
        DataError: too few faces, or none of a class that the checkpoint knows.
        ConfigError: an impossible perplexity, or a network without a linear or a convolutional layer.
    """
    perplexity_for(min(plan.faces, len(faces.only(checkpoint.card.classes))), plan.perplexity)
    last_layers(checkpoint)
    first_filters(checkpoint)


def write(learnt: Learnt, out: Path) -> list[Path]:
    """Write the features, all numbers as JSON and the pictures drawn from them; returns the files.

    Raises:
        OutputError: the folder is not writable.
    """
    make_folder(out)
    learnt.features.save(out / "features.npz")
    table = learnt.features.table
    contents = {
        "features": learnt.to_dict(),
        "map": _points(learnt),
        "filters": [bank.to_dict(filter_figure.SHOWN) for bank in learnt.filters],
        "depth": learnt.depth.to_dict(table),
    }
    for name, content in contents.items():
        write_json(out / f"{name}.json", content)
    pictures = _pictures(learnt)
    for name, picture in pictures.items():
        save(picture, out / f"{name}.png")
    return [out / "features.npz", *(out / f"{name}.json" for name in contents), *(out / f"{name}.png" for name in pictures)]


def _points(learnt: Learnt) -> list[dict[str, Any]]:
    table, classes = learnt.features.table, learnt.features.table.classes
    return [
        {"name": name, "x": round(float(x), 3), "y": round(float(y), 3), "label": classes[label], "predicted": classes[answer]}
        for name, (x, y), label, answer in zip(table.names, learnt.embedding.points, table.labels, table.predicted, strict=True)
    ]


def _pictures(learnt: Learnt) -> dict[str, Any]:
    table, embedding, images = learnt.features.table, learnt.embedding, learnt.images
    name = table.source["checkpoint"]
    about = f"{name} on {table.split}, n = {len(table):,}"
    made = f"t-SNE of the {learnt.features.values.shape[1]:,} features of {about}\nperplexity {embedding.perplexity:g}"
    good = f"{made}, seed {embedding.seed}, trustworthiness {embedding.trustworthiness:.3f}"
    return {
        "map": map_figure.figure(embedding, table, images, learnt.rim, f"{good}; colour: label"),
        "right": map_figure.right_figure(embedding, table, good),
        "neighbours": neighbours.figure(learnt.separation, about),
        "filters": filter_figure.figure(learnt.filters, f"first layer of {name}, one symmetric scale a panel"),
        "depth": depth_figure.figure(learnt.depth, table, images, about),
    }
