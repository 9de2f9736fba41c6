"""Which expressions are taken for which: pure functions of a prediction table."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer.metrics import wilson_interval
from fer.types import PredictionTable


@dataclass(frozen=True)
class ConfusionPair:
    """Faces of one label that were given one other answer.

    Attributes:
        label: the data set's label.
        predicted: the answer.
        count: how many there are.
        share_of_label: of all faces with this label, 0..1.
        share_of_mistakes: of all mistakes, 0..1.
        rows: their rows in the table, the most confident answer first.
    """

    label: str
    predicted: str
    count: int
    share_of_label: float
    share_of_mistakes: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Mistakes:
    """What a model gets wrong: ``wrong`` of ``n`` faces, and the pairs they fall into, the most frequent first."""

    n: int
    wrong: int
    ci95: tuple[float, float]
    pairs: tuple[ConfusionPair, ...]

    @property
    def rate(self) -> float:
        """Share of faces that are judged wrong, 0..1; ``ci95`` is its Wilson interval."""
        return self.wrong / self.n

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, without the rows, since the faces themselves say which pair they belong to."""
        fields = ("label", "predicted", "count", "share_of_label", "share_of_mistakes")
        pairs = [{field: getattr(pair, field) for field in fields} for pair in self.pairs]
        return {"n": self.n, "wrong": self.wrong, "error_rate": self.rate, "ci95": list(self.ci95), "pairs": pairs}


def find_mistakes(table: PredictionTable) -> Mistakes:
    """Sort a table's mistakes into pairs of label and answer, by count; equal counts by class order.

    >>> logits = [[2, 0], [0, 3], [0, 1]]
    >>> found = find_mistakes(PredictionTable(logits, [0, 0, 0], ("a", "b", "c"), ("happy", "sad"), "validation"))
    >>> found.wrong, found.pairs[0].predicted, found.pairs[0].rows
    (2, 'sad', (1, 2))
    """
    confidence, predicted = table.probs.max(axis=1), table.predicted
    wrong = predicted != table.labels
    order = np.argsort(-confidence, kind="stable")
    total, of_label = int(wrong.sum()), np.bincount(table.labels, minlength=len(table.classes))
    pairs = []
    for label, answer in sorted({(int(table.labels[row]), int(predicted[row])) for row in np.flatnonzero(wrong)}):
        rows = order[(table.labels[order] == label) & (predicted[order] == answer)]
        shares = len(rows) / int(of_label[label]), len(rows) / total
        pairs.append(
            ConfusionPair(table.classes[label], table.classes[answer], len(rows), *shares, tuple(int(row) for row in rows))
        )
    pairs.sort(key=lambda pair: -pair.count)  # keeps the class order of equals
    return Mistakes(len(table), total, wilson_interval(total, len(table)), tuple(pairs))
