"""When to say "unsure": what accuracy is to be had by leaving out the least confident answers."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from fer.calibration import halves
from fer.errors import ConfigError
from fer.metrics import Probs, wilson_interval
from fer.reliability import Labels
from fer.types import PredictionTable

#: Accuracy that the answers kept are to have, where none is named.
WANTED = 0.8


class Ranking(NamedTuple):
    """Answers above falling thresholds, one entry for every confidence that occurs; equal confidences stand or fall together.

    Attributes:
        threshold: float (M,), falling, 0..1.
        kept: int (M,), answers with at least that confidence.
        right: int (M,), how many of these are right.
    """

    threshold: Probs
    kept: Labels
    right: Labels


def ranking(table: PredictionTable) -> Ranking:
    """Answers of a table from the surest to the least sure."""
    confidence = table.probs.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    last = np.flatnonzero(np.append(falling[1:] < falling[:-1], True))
    right = np.cumsum((table.predicted == table.labels)[order])
    return Ranking(falling[last], last + 1, right[last])


@dataclass(frozen=True)
class RiskPoint:
    """Where only answers with at least ``threshold`` are given: their share, and the share of these that is wrong."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True)
class RiskCoverage:
    """Risk–coverage curve (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, arXiv:1705.08500).

    Attributes:
        n: faces.
        aurc: area under the curve: mean risk over the coverages 1/n, 2/n, … 1 (Geifman et al. 2019, arXiv:1805.08206).
        best_aurc: the same with as many mistakes, all of them less sure than any right answer.
        points: the curve at every per cent of coverage, from the surest answers to all.
    """

    n: int
    aurc: float
    best_aurc: float
    points: tuple[RiskPoint, ...]

    @property
    def risk(self) -> float:
        """Share of wrong answers where all are given."""
        return self.points[-1].risk

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def risk_coverage(table: PredictionTable) -> RiskCoverage:
    """What share of the answers is wrong, by how many are given. Answers of equal confidence are given together."""
    n = len(table)
    ranked = ranking(table)
    risk = 1 - ranked.right / ranked.kept
    aurc = float(np.average(risk, weights=np.diff(ranked.kept, prepend=0)))
    steps = np.unique(np.searchsorted(ranked.kept, np.arange(1, 101) * n / 100, side="left"))
    points = (RiskPoint(float(ranked.threshold[i]), float(ranked.kept[i] / n), float(risk[i])) for i in steps)
    return RiskCoverage(n, aurc, _best_aurc(n, int(ranked.right[-1])), tuple(points))


def _best_aurc(n: int, right: int) -> float:
    given = np.arange(1, n + 1)
    return float(np.mean(np.maximum(given - right, 0) / given))


@dataclass(frozen=True)
class Kept:
    """Answers that reach a threshold: how many of how many, and how often they are right (None where there are none)."""

    n: int
    of: int
    accuracy: float | None
    interval: tuple[float, float] | None

    @property
    def coverage(self) -> float:
        """Share of the faces that get an answer."""
        return self.n / self.of


@dataclass(frozen=True)
class Abstention:
    """A confidence below which the answer is "unsure".

    Attributes:
        wanted: accuracy that was asked for.
        threshold: lowest confidence that is answered; None where no threshold reaches the wish.
        fitted: on the half that the threshold was chosen on.
        held_out: on the other half: the figures to expect.
    """

    wanted: float
    threshold: float | None
    fitted: Kept
    held_out: Kept

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, with the coverage of both halves."""
        halves = (("fitted", self.fitted), ("held_out", self.held_out))
        parts = {name: {**asdict(kept), "coverage": kept.coverage} for name, kept in halves}
        return {"wanted": self.wanted, "threshold": self.threshold, **parts}


def check_accuracy(accuracy: float) -> None:
    """ConfigError where no answers can be asked to have this accuracy: known before any face is judged."""
    if not 0 < accuracy <= 1:
        raise ConfigError(f"an accuracy of {accuracy:g} is asked for; give one above 0 and up to 1, such as {WANTED}")


def abstention(table: PredictionTable, accuracy: float = WANTED) -> Abstention:
    """The lowest threshold at which one half's answers reach an accuracy, and what they reach in the other half.

    Raises:
        ConfigError: the accuracy does not lie in 0..1.
        DataError: the table has one face only.
    """
    check_accuracy(accuracy)
    one, other = halves(table)
    ranked = ranking(one)
    enough = np.flatnonzero(ranked.right / ranked.kept >= accuracy)
    threshold = float(ranked.threshold[enough[-1]]) if len(enough) else None
    return Abstention(accuracy, threshold, kept_at(one, threshold), kept_at(other, threshold))


def kept_at(table: PredictionTable, threshold: float | None) -> Kept:
    """The answers of a table with at least this confidence; none of them where it is None."""
    rows = np.full(len(table), False) if threshold is None else table.probs.max(axis=1) >= threshold
    n, right = int(rows.sum()), int((table.predicted == table.labels)[rows].sum())
    return Kept(n, len(table), right / n if n else None, wilson_interval(right, n) if n else None)
