"""Models side by side on the same faces: pure functions over their tables."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from analysis.significance import DRAWS, holm, mcnemar, percentile_interval, resampled_counts
from fer.errors import DataError
from fer.metrics import wilson_interval
from fer.types import IntArray, PredictionTable

Interval = tuple[float, float]

# places of the last axis of the paired counts
_BOTH, _ONLY_A, _ONLY_B, _NEITHER = range(4)


@dataclass(frozen=True)
class Score:
    """One model: accuracy 0..1 with its 95 % Wilson interval."""

    name: str
    accuracy: float
    ci95: Interval
    n: int


@dataclass(frozen=True)
class RecallDelta:
    """One class: recall 0..1 of both models, and B's minus A's with its 95 % bootstrap interval; None where no face is."""

    n: int
    a: float | None
    b: float | None
    difference: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class Pair:
    """Two models on the same faces.

    Attributes:
        a: name of the first model.
        b: name of the second.
        difference: accuracy of B minus accuracy of A.
        ci95: its bootstrap interval, over faces.
        both_right: faces that both get right.
        only_a: faces that A alone gets right.
        only_b: faces that B alone gets right.
        both_wrong: faces that neither gets right.
        agreement: share of faces that both answer alike, right or wrong.
        p: exact McNemar, two-sided.
        p_holm: the same, corrected for the number of pairs.
        per_class: recall of every class.
    """

    a: str
    b: str
    difference: float
    ci95: Interval
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    agreement: float
    p: float
    p_holm: float
    per_class: Mapping[str, RecallDelta]


@dataclass(frozen=True)
class Comparison:
    """All models and all pairs of them."""

    split: str
    n: int
    draws: int
    seed: int
    models: tuple[Score, ...]
    pairs: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, tables: Mapping[str, PredictionTable], seed: int = 0) -> Self:
        """Compare two or more models by name.

        Args:
            tables: of the same faces, in the same order, with the same classes.
            seed: of the bootstrap: 2,000 draws of all faces with replacement, the same faces for both models, unstratified.

        Raises:
            DataError: fewer than two tables, or tables that do not belong together.
        """
        require_same_faces(tables)
        pairs = [_pair((a, tables[a]), (b, tables[b]), seed) for a, b in itertools.combinations(tables, 2)]
        corrected = holm([pair.p for pair in pairs])
        pairs = [replace(pair, p_holm=p) for pair, p in zip(pairs, corrected, strict=True)]
        scores = tuple(_score(name, table) for name, table in tables.items())
        first = next(iter(tables.values()))
        return cls(first.split, len(first), DRAWS, seed, scores, tuple(pairs))


def require_same_classes(classes: Mapping[str, Sequence[str]]) -> None:
    """DataError unless the models, by name, know the same classes in the same order."""
    (first, one), *others = ((name, tuple(known)) for name, known in classes.items())
    for name, other in others:
        if other != one:
            known, expected = ", ".join(other), ", ".join(one)
            raise DataError(f"{name} knows {known}, {first} knows {expected}; compare models of the same classes")


def require_same_faces(tables: Mapping[str, PredictionTable]) -> None:
    """DataError unless there are two or more tables, of the same faces in the same order with the same classes."""
    if len(tables) < 2:
        raise DataError("a comparison needs two or more models; name another one")
    require_same_classes({name: table.classes for name, table in tables.items()})
    (first, one), *others = tables.items()
    for name, other in others:
        if other.names != one.names or not np.array_equal(other.labels, one.labels):
            here = f"the {len(other):,} faces or labels of {name} are not the {len(one):,} of {first}"
            raise DataError(f"{here}; use the same data and split for both")


def _score(name: str, table: PredictionTable) -> Score:
    right = int((table.predicted == table.labels).sum())
    return Score(name, right / len(table), wilson_interval(right, len(table)), len(table))


def paired_counts(a: PredictionTable, b: PredictionTable) -> IntArray:
    """int64 (C, 4): faces of every class that both get right, A alone, B alone, neither."""
    right_a, right_b = a.predicted == a.labels, b.predicted == b.labels
    outcome = np.where(right_a, np.where(right_b, _BOTH, _ONLY_A), np.where(right_b, _ONLY_B, _NEITHER))
    return np.bincount(a.labels * 4 + outcome, minlength=4 * len(a.classes)).reshape(-1, 4)


def _pair(first: tuple[str, PredictionTable], second: tuple[str, PredictionTable], seed: int) -> Pair:
    (name_a, a), (name_b, b) = first, second
    counts = paired_counts(a, b)
    drawn = resampled_counts(counts, seed)
    both, only_a, only_b, neither = (int(count) for count in counts.sum(axis=0))
    p = mcnemar(only_a, only_b)
    return Pair(
        a=name_a,
        b=name_b,
        difference=(only_b - only_a) / len(a),
        ci95=percentile_interval(_difference(drawn.sum(axis=1))),
        both_right=both,
        only_a=only_a,
        only_b=only_b,
        both_wrong=neither,
        agreement=float((a.predicted == b.predicted).mean()),
        p=p,
        p_holm=p,
        per_class={name: _recall_delta(counts[c], drawn[:, c]) for c, name in enumerate(a.classes)},
    )


def _recall_delta(counts: IntArray, drawn: IntArray) -> RecallDelta:
    n = int(counts.sum())
    if n == 0:
        return RecallDelta(0, None, None, None, None)
    a, b = (int(counts[_BOTH] + counts[only]) / n for only in (_ONLY_A, _ONLY_B))
    return RecallDelta(n, a, b, b - a, percentile_interval(_difference(drawn)))


def _difference(counts: IntArray) -> npt.NDArray[np.float64]:
    """B's share of right answers minus A's, (..., 4) → (...); NaN where there is no face."""
    n = counts.sum(axis=-1)
    return np.where(n > 0, (counts[..., _ONLY_B] - counts[..., _ONLY_A]) / np.maximum(n, 1), np.nan)


def disagreements(a: PredictionTable, b: PredictionTable) -> IntArray:
    """int64 rows that the models answer differently, those first where the less sure one of the two is surest."""
    sure = np.minimum(a.probs.max(axis=1), b.probs.max(axis=1))
    rows = np.flatnonzero(a.predicted != b.predicted)
    return rows[np.argsort(-sure[rows], kind="stable")]
