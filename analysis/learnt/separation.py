"""How far features keep the classes apart: numbers that depend on no picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, silhouette_samples
from sklearn.neighbors import NearestNeighbors

from fer.errors import DataError
from fer.metrics import wilson_interval
from fer.types import FloatArray, IntArray, PredictionTable

#: Neighbours that vote on a face's class.
K = 10


@dataclass(frozen=True)
class Share:
    """A share of right answers with its 95 % Wilson interval, 0..1."""

    accuracy: float
    ci95: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {"accuracy": self.accuracy, "ci95": list(self.ci95)}


@dataclass(frozen=True)
class ClassSeparation:
    """One class: ``n`` faces, ``votes`` among their neighbours in the features, mean ``silhouette``; None where undefined."""

    n: int
    votes: Share | None
    silhouette: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        votes = {"accuracy": None, "ci95": None} if self.votes is None else self.votes.to_dict()
        return {"n": self.n, **votes, "silhouette": self.silhouette}


@dataclass(frozen=True)
class Mingling:
    """Faces of one class among whose neighbours another class has the most: how many, and what share of the class, 0..1."""

    label: str
    neighbours: str
    count: int
    share: float


@dataclass(frozen=True)
class Separation:
    """How well the classes are told apart.

    Attributes:
        n: faces.
        k: neighbours that vote, the face itself left out; ties go to the class that stands first.
        model: the network's own answers.
        votes: answers of the neighbours by space: in the features, on the map, ...
        most_frequent: share of the largest class, what answering it always would reach.
        silhouette: mean over all faces, -1..1 (Rousseeuw 1987); None where fewer than two classes occur.
        by_class: votes in the features and silhouettes of the faces of each class.
        confusion: counts by label (rows) and vote in the features (columns).
        classes: names of both.
        mingling: the off-diagonal entries of ``confusion`` that are not 0, the most frequent first.
    """

    n: int
    k: int
    model: Share
    votes: Mapping[str, Share]
    most_frequent: float
    silhouette: float | None
    by_class: Mapping[str, ClassSeparation]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    mingling: tuple[Mingling, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "n": self.n,
            "k": self.k,
            "model": self.model.to_dict(),
            "votes": {space: share.to_dict() for space, share in self.votes.items()},
            "most_frequent": self.most_frequent,
            "silhouette": self.silhouette,
            "per_class": {name: one.to_dict() for name, one in self.by_class.items()},
            "confusion_matrix": [list(row) for row in self.confusion],
            "mingling": [vars(pair) for pair in self.mingling],
        }


def separate(table: PredictionTable, features: FloatArray, spaces: Mapping[str, FloatArray], k: int = K) -> Separation:
    """Measure features (N, D), and the neighbours' votes in other spaces (N, any), against a table's labels.

    Raises:
        DataError: there are fewer than two faces.
    """
    n, labels = len(table), table.labels
    if n < 2:
        raise DataError("one face has no neighbours; choose another split or more --faces")
    near = min(k, n - 1)
    voted = {name: votes(values, labels, near) for name, values in {"features": features, **spaces}.items()}
    by_face = _silhouettes(features, labels)
    classes = table.classes
    confusion = confusion_matrix(labels, voted["features"], labels=range(len(classes)))
    return Separation(
        n,
        near,
        _share(table.predicted == labels),
        {name: _share(answer == labels) for name, answer in voted.items()},
        float(np.bincount(labels).max() / n),
        None if by_face is None else float(by_face.mean()),
        {name: _of_class(voted["features"], by_face, labels, c) for c, name in enumerate(classes)},
        tuple(tuple(int(count) for count in row) for row in confusion),
        classes,
        _mingling(confusion, classes),
    )


def votes(values: FloatArray, labels: IntArray, k: int = K) -> IntArray:
    """int64 (N,): the most frequent label among each row's ``k`` nearest others; ties go to the smaller label."""
    near = NearestNeighbors(n_neighbors=k).fit(values).kneighbors(return_distance=False)
    counts = (labels[near][..., None] == np.arange(labels.max() + 1)).sum(axis=1)
    return np.asarray(counts.argmax(axis=1), dtype=np.int64)


def _silhouettes(values: FloatArray, labels: IntArray) -> FloatArray | None:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return np.asarray(silhouette_samples(values, labels), dtype=np.float32)


def _share(right: npt.NDArray[np.bool_]) -> Share:
    low, high = wilson_interval(int(right.sum()), len(right))
    return Share(float(right.mean()), (low, high))


def _of_class(voted: IntArray, silhouettes: FloatArray | None, labels: IntArray, c: int) -> ClassSeparation:
    own = labels == c
    if not own.any():
        return ClassSeparation(0, None, None)
    mean = None if silhouettes is None else float(silhouettes[own].mean())
    return ClassSeparation(int(own.sum()), _share(voted[own] == c), mean)


def _mingling(confusion: IntArray, classes: tuple[str, ...]) -> tuple[Mingling, ...]:
    totals = confusion.sum(axis=1)
    pairs = [
        Mingling(classes[row], classes[column], int(count), float(count / totals[row]))
        for (row, column), count in np.ndenumerate(confusion)
        if row != column and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.count))
