"""A map of features in two dimensions by t-SNE, and how far it can be believed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from fer.errors import ConfigError, DataError
from fer.types import FloatArray, IntArray

#: Principal components that t-SNE starts from, as its authors advise: they carry what tells faces apart, without the noise.
_COMPONENTS = 50
#: Neighbours of a face whose order the map should keep.
_NEIGHBOURS = 10
_PERPLEXITY = 30.0
_LEAST_FACES = 5


@dataclass(frozen=True, eq=False)
class Embedding:
    """Where each face lies on the map.

    Attributes:
        points: float32 (N, 2), in arbitrary units; directions and distances between far groups mean nothing.
        kl_divergence: what t-SNE minimised, ≥ 0; comparable only between maps of the same faces and perplexity.
        trustworthiness: 0..1, 1 where all near neighbours on the map are near ones in the features, too.
        neighbours: how many near neighbours that looks at.
        perplexity: about how many neighbours t-SNE keeps together.
        seed: of everything random.
        components: principal components that t-SNE started from.
        variance_kept: share of the features' variance in these components, 0..1.
    """

    points: FloatArray
    kl_divergence: float
    trustworthiness: float
    neighbours: int
    perplexity: float
    seed: int
    components: int
    variance_kept: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form without the points."""
        fields = ("kl_divergence", "trustworthiness", "neighbours", "perplexity", "seed", "components", "variance_kept")
        return {"n": len(self.points)} | {name: getattr(self, name) for name in fields}


def perplexity_for(n: int, asked: float | None = None) -> float:
    """The perplexity asked for, or 30, less for fewer than 91 faces.

    Raises:
        DataError: there are too few faces for a map.
        ConfigError: the perplexity lies outside 1..N.

    >>> perplexity_for(3589), perplexity_for(31)
    (30.0, 10.0)
    """
    if n < _LEAST_FACES:
        raise DataError(f"{n} faces make no map, {_LEAST_FACES} or more are needed; choose another split or more --faces")
    if asked is not None and not 1 <= asked < n:
        raise ConfigError(f"perplexity {asked:g} is not between 1 and the {n:,} faces; choose about {min(30, (n - 1) // 3)}")
    return min(_PERPLEXITY, (n - 1) / 3) if asked is None else asked


def embed(values: FloatArray, perplexity: float | None = None, seed: int = 0) -> Embedding:
    """t-SNE (van der Maaten & Hinton 2008, JMLR 9) of features float32 (N, D), begun at their principal components.

    Trustworthiness: Venna & Kaski 2001. Memory grows with N², 1 GB at 7,000 faces.

    Raises:
        DataError: too few faces, or all have the same features.
        ConfigError: an impossible perplexity.
    """
    n = len(values)
    perplexity = perplexity_for(n, perplexity)
    if np.ptp(values, axis=0).max(initial=0) == 0:
        raise DataError(f"the features of all {n:,} faces are the same, there is nothing to map; choose another checkpoint")
    reduced = PCA(min(_COMPONENTS, n - 1, values.shape[1]), random_state=seed)
    components = reduced.fit_transform(np.asarray(values, dtype=np.float64))
    start = np.zeros((n, 2))
    start[:, : components.shape[1]] = components[:, :2]
    start *= 1e-4 / start[:, 0].std()  # what init="pca" does, also where there is one component only
    tsne = TSNE(perplexity=perplexity, init=start.astype(np.float32), learning_rate="auto", random_state=seed)
    with threadpool_limits(1):  # the same map with any number of cores; beside other work several threads are slower, too
        points = tsne.fit_transform(components.astype(np.float32))
    near = min(_NEIGHBOURS, (n - 1) // 2)
    trust = float(trustworthiness(values, points, n_neighbors=near))
    kept = float(min(1.0, reduced.explained_variance_ratio_.sum()))
    return Embedding(points, float(tsne.kl_divergence_), trust, near, perplexity, seed, components.shape[1], kept)


def extremes(points: FloatArray, labels: IntArray, each: int = 3, apart: float = 0.15) -> tuple[int, ...]:
    """Rows at the rim of a map: of every class up to ``each`` of those farthest from the middle, class by class in turn.

    Only the outer fifth of a class is asked, and faces nearer to one already chosen than ``apart`` times the map's radius
    are passed over.

    >>> extremes(np.array([[0, 0], [9, 0], [8, 0], [-5, 0]], np.float32), np.array([0, 0, 0, 1]))
    (1, 3)
    """
    away = points - points.mean(axis=0)
    distance = np.hypot(away[:, 0], away[:, 1])
    least = apart * float(distance.max())
    outer = [_outer(np.flatnonzero(labels == label), distance) for label in np.unique(labels)]
    chosen: list[int] = []
    for _ in range(each):
        for rows in outer:
            far = next((row for row in rows if row not in chosen and _clear(points, row, chosen, least)), None)
            chosen += [] if far is None else [far]
    return tuple(chosen)


def _outer(rows: IntArray, distance: FloatArray) -> list[int]:
    """The farthest fifth of some rows, at least one of them, the farthest first."""
    falling = rows[np.argsort(-distance[rows], kind="stable")]
    return [int(row) for row in falling[: -(-len(rows) // 5)]]


def _clear(points: FloatArray, row: int, chosen: list[int], least: float) -> bool:
    return all(float(np.linalg.norm(points[row] - points[other])) >= least for other in chosen)
