"""What ten taggers say of a ranking of labels, and of a model's mistakes.

FER+ (Barsoum et al. 2016, arXiv:1608.01041) asked ten people for the expression of every face of FER-2013.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.data.ferplus import CANDIDATES
from fer.metrics import wilson_interval
from fer.types import IntArray, PredictionTable

#: Lengths of the ranking whose precision is reported.
KS: tuple[int, ...] = (50, 100, 200, 500, 1000, 2000, 5000)
#: Points of the drawn curve.
_POINTS = 120
#: Votes of ten that support a label, as the ranges whose error rates are compared.
RANGES: tuple[tuple[int, int], ...] = ((0, 0), (1, 2), (3, 4), (5, 6), (7, 8), (9, 10))

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PrecisionAt:
    """Of the first ``k`` faces of a ranking, how many have a label that no tagger chose; ``ci95`` of their share."""

    k: int
    hits: int
    precision: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class ErrorRate:
    """Faces of one kind and how often the model is wrong on them; ``rate`` and ``ci95`` are None where there are none."""

    kind: str
    n: int
    errors: int
    rate: float | None
    ci95: tuple[float, float] | None

    @classmethod
    def of(cls, kind: str, wrong: Flags) -> "ErrorRate":
        """Of bool (n,): where the model is wrong.

        >>> ErrorRate.of("any", np.array([True, False])).rate
        0.5
        """
        n, errors = len(wrong), int(wrong.sum())
        return cls(kind, n, errors, errors / n if n else None, wilson_interval(errors, n) if n else None)


@dataclass(frozen=True)
class MistakeKind:
    """Mistakes whose label has so much support: how many, their share of all, on how many taggers prefer the model's answer."""

    kind: str
    support: str
    errors: int
    share: float | None
    model_preferred: int


@dataclass(frozen=True)
class TaggerCheck:
    """A ranking and a model's mistakes beside the taggers' votes.

    Attributes:
        n: faces with votes; the others are left out of every figure here.
        without_votes: those others.
        base_rate: share of the faces whose label no tagger chose, 0..1: the precision of a random ranking.
        flagged: those of the faces that are called wrong.
        average_precision: of the whole ranking; None where no face, or every one, is such.
        precision: at :data:`KS`, as far as the ranking reaches, at ``flagged``, and at its end.
        curve: (k, precision) at about evenly spaced k on a logarithmic axis.
        by_agreement: error rate of the model by votes of ten for the label.
        mistakes: the model's mistakes as label errors, ambiguous faces and model errors.
    """

    n: int
    without_votes: int
    flagged: int
    base_rate: float
    average_precision: float | None
    precision: tuple[PrecisionAt, ...]
    curve: tuple[tuple[int, float], ...]
    by_agreement: tuple[ErrorRate, ...]
    mistakes: tuple[MistakeKind, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def check(table: PredictionTable, order: IntArray, votes: IntArray, flagged: int = 0) -> TaggerCheck:
    """Set a ranking and a table's mistakes beside votes.

    Args:
        table: N rows.
        order: int64 (N,), all rows, the most suspicious label first.
        votes: int64 (N, 10) in the order of :data:`~fer.data.ferplus.CANDIDATES`; rows of −1 where there are none.
        flagged: how many of the ranking are called wrong; the precision of just these is reported, too.

    Raises:
        ValueError: no face has votes.
    """
    known = votes[:, 0] >= 0
    if not known.any():
        raise ValueError("no face has votes")
    ranked = order[known[order]]
    hits = support(table, votes)[ranked] == 0
    rows, called_wrong = np.flatnonzero(known), int(known[order[:flagged]].sum())
    lengths = {k for k in (*KS, called_wrong) if 0 < k < len(hits)} | {len(hits)}
    return TaggerCheck(
        n=len(ranked),
        without_votes=int((~known).sum()),
        flagged=called_wrong,
        base_rate=float(hits.mean()),
        average_precision=average_precision(hits),
        precision=tuple(precision_at(hits, k) for k in sorted(lengths)),
        curve=curve(hits),
        by_agreement=by_agreement(table.rows(rows), votes[rows]),
        mistakes=mistake_kinds(table.rows(rows), votes[rows]),
    )


def support(table: PredictionTable, votes: IntArray) -> IntArray:
    """int64 (N,): votes for each row's label."""
    return _votes_for(table.classes, table.labels, votes)


def _votes_for(classes: Sequence[str], answers: IntArray, votes: IntArray) -> IntArray:
    columns = np.array([CANDIDATES.index(name) for name in classes])
    return np.asarray(votes[np.arange(len(votes)), columns[answers]])


def precision_at(hits: Flags, k: int) -> PrecisionAt:
    """Of bool (N,) in the order of a ranking: the share of hits among the first ``k``."""
    found = int(hits[:k].sum())
    return PrecisionAt(k, found, found / k, wilson_interval(found, k))


def average_precision(hits: Flags) -> float | None:
    """Mean precision at the places of the hits of a ranking, bool (N,); None where all or none are hits.

    >>> average_precision(np.array([True, False, True]))  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    from sklearn.metrics import average_precision_score

    if hits.all() or not hits.any():
        return None
    return float(average_precision_score(hits, -np.arange(len(hits))))


def curve(hits: Flags) -> tuple[tuple[int, float], ...]:
    """(k, precision at k) for whole k from 10 (or all, where there are fewer) to the end of a ranking."""
    first = min(10, len(hits))
    ks = np.unique(np.geomspace(first, len(hits), _POINTS).round().astype(int))
    found = np.cumsum(hits)
    return tuple((int(k), float(found[k - 1] / k)) for k in ks)


def by_agreement(table: PredictionTable, votes: IntArray) -> tuple[ErrorRate, ...]:
    """Error rates by votes for the label in :data:`RANGES`; votes that are not ten a face count in proportion."""
    wrong = table.predicted != table.labels
    place = -(-(len(RANGES) - 1) * support(table, votes) // votes.sum(axis=1))  # 0: none, then fifths, rounded up
    return tuple(
        ErrorRate.of(str(low) if low == high else f"{low}–{high}", wrong[place == number])
        for number, (low, high) in enumerate(RANGES)
    )


def mistake_kinds(table: PredictionTable, votes: IntArray) -> tuple[MistakeKind, ...]:
    """The mistakes of a table, by how many taggers share the label: none, at most half, more than half."""
    wrong = table.predicted != table.labels
    for_label, total = support(table, votes), votes.sum(axis=1)
    preferred = _votes_for(table.classes, table.predicted, votes) > for_label
    kinds = (
        ("label error", "no tagger chose the label", for_label == 0),
        ("ambiguous", "some taggers chose the label, at most half", (for_label > 0) & (2 * for_label <= total)),
        ("model error", "more than half of the taggers chose the label", 2 * for_label > total),
    )
    errors = max(1, int(wrong.sum()))
    return tuple(
        MistakeKind(
            kind,
            words,
            int((wrong & flags).sum()),
            float((wrong & flags).sum() / errors) if wrong.any() else None,
            int((wrong & flags & preferred).sum()),
        )
        for kind, words, flags in kinds
    )
