"""How well each class is recognised, with intervals."""

from dataclasses import asdict, dataclass
from typing import Any

from fer.metrics import evaluate_table, wilson_interval
from fer.types import PredictionTable


@dataclass(frozen=True)
class ClassFigures:
    """One class of a table; a share without faces, or without answers, is None, and so is its 95 % Wilson interval.

    Attributes:
        name: the class.
        n: faces labelled so.
        answered: faces that were given this answer.
        right: those that are both.
        recall: right of the labelled.
        recall_ci95: its interval.
        precision: right of the answered.
        precision_ci95: its interval.
        f1: harmonic mean of both; 0 where one has no faces.
        roc_auc: of this class's probability against the rest; None where all or no faces are labelled so.
    """

    name: str
    n: int
    answered: int
    right: int
    recall: float | None
    recall_ci95: tuple[float, float] | None
    precision: float | None
    precision_ci95: tuple[float, float] | None
    f1: float
    roc_auc: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def class_figures(table: PredictionTable) -> tuple[ClassFigures, ...]:
    """The figures of every class, in the order of the table."""
    metrics = evaluate_table(table)
    return tuple(_of(table, c, metrics["per_class"][name]) for c, name in enumerate(table.classes))


def _of(table: PredictionTable, c: int, row: dict[str, Any]) -> ClassFigures:
    labelled, answered = table.labels == c, table.predicted == c
    n, given, right = int(labelled.sum()), int(answered.sum()), int((labelled & answered).sum())
    return ClassFigures(
        name=table.classes[c],
        n=n,
        answered=given,
        right=right,
        recall=right / n if n else None,
        recall_ci95=wilson_interval(right, n) if n else None,
        precision=right / given if given else None,
        precision_ci95=wilson_interval(right, given) if given else None,
        f1=row["f1"],
        roc_auc=row["roc_auc"],
    )
