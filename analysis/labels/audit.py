"""Labels that are probably wrong: confident learning on probabilities of networks that did not train on the faces.

Northcutt, Jiang, Chuang 2021, "Confident Learning" (arXiv:1911.00068), by cleanlab.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.errors import DataError
from fer.types import IntArray, PredictionTable

#: How cleanlab chooses: what both pruning by class and pruning by noise rate take for an error.
FILTER = "both"
#: How the chosen are ranked: by the probability of their label, the least first.
SCORE = "self_confidence"

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """A face whose label is probably wrong: its row in the table, what the network would call it, how likely its label is."""

    row: int
    name: str
    label: str
    suggested: str
    score: float


@dataclass(frozen=True)
class ClassAudit:
    """A class in the audit: faces labelled so, how many are suspect, and how many others should be labelled so."""

    n: int
    suspects: int
    suggested: int


@dataclass(frozen=True, eq=False)
class LabelAudit:
    """What an audit found.

    Attributes:
        n: faces looked at.
        suspects: the probably wrong, the least likely label first.
        order: int64 (N,), all rows: the suspects, then the others by the probability of their label.
        per_class: class name to its counts.
        joint: (C, C), estimated share of all faces with the row's class as label and the column's as true class.
        noise: (C, C), estimated probability of the row's class as label where the column's is true; columns sum to 1.
        source: the table's.
    """

    n: int
    suspects: tuple[Suspect, ...]
    order: IntArray
    per_class: Mapping[str, ClassAudit]
    joint: Matrix
    noise: Matrix
    source: Mapping[str, str]

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels, 0..1."""
        return float(1 - np.trace(self.joint))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "method": {"name": "confident learning (cleanlab)", "filter": FILTER, "score": SCORE},
            "source": dict(self.source),
            "n": self.n,
            "suspects": len(self.suspects),
            "noise_rate": self.noise_rate,
            "per_class": {name: asdict(counts) for name, counts in self.per_class.items()},
            "joint": self.joint.round(6).tolist(),
            "noise": self.noise.round(6).tolist(),
            "ranking": [asdict(suspect) for suspect in self.suspects],
        }


def audit(table: PredictionTable) -> LabelAudit:
    """Rank the labels of a table by how probably they are wrong.

    The table's probabilities have to come from networks that did not train on its faces.

    Raises:
        DataError: the labels are all of one class.
    """
    labels, probs = table.labels, table.probs.astype(np.float64)
    if len(np.unique(labels)) < 2:
        only = table.classes[labels[0]]
        raise DataError(f"all {len(table):,} faces of the table are labelled {only}; an audit compares two or more classes")
    wrong, joint, noise = _confident_learning(labels, probs)
    score = probs[np.arange(len(table)), labels]
    order = np.lexsort((score, ~wrong))
    suspects = tuple(
        Suspect(int(row), table.names[row], table.classes[labels[row]], table.classes[table.predicted[row]], float(score[row]))
        for row in order[: wrong.sum()]
    )
    return LabelAudit(len(table), suspects, order, _per_class(table, suspects), joint, noise, table.source)


def _confident_learning(labels: IntArray, probs: Matrix) -> tuple[npt.NDArray[np.bool_], Matrix, Matrix]:
    from cleanlab.count import compute_confident_joint, estimate_joint, estimate_latent
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        # of classes without a face it says that it flags none; the counts per class say so, too
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        counts = compute_confident_joint(labels, probs, calibrate=True)
        wrong = find_label_issues(labels, probs, filter_by=FILTER, confident_joint=counts, n_jobs=1)
        joint = estimate_joint(labels, probs, confident_joint=counts)
        _, noise, _ = estimate_latent(counts, labels)
    return np.asarray(wrong), np.asarray(joint), np.asarray(noise)


def _per_class(table: PredictionTable, suspects: tuple[Suspect, ...]) -> dict[str, ClassAudit]:
    labelled = np.bincount(table.labels, minlength=len(table.classes))
    return {
        name: ClassAudit(int(n), sum(s.label == name for s in suspects), sum(s.suggested == name for s in suspects))
        for name, n in zip(table.classes, labelled, strict=True)
    }
