"""How far a model holds when photographs are worse: accuracy, calibration and maps under every corruption and severity."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from analysis.explain import DEFAULT_METHOD, explain
from analysis.sampling import sample
from analysis.similarity import mean_or_none, pearson, stacked
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from fer.evaluation import evaluate_checkpoint
from fer.metrics import calibration_error, wilson_interval
from fer.types import FloatArray, PredictionTable, Progress


@dataclass(frozen=True)
class Plan:
    """What is stressed how.

    Attributes:
        corruptions: names in :data:`~fer.data.corruptions.CORRUPTIONS`.
        faces: how many are judged, a seeded sample; all where there are fewer.
        maps: how many of these have their maps compared; 0: none.
        method: explanation method of the maps.
        seed: of both samples and of the corruptions.
    """

    corruptions: tuple[str, ...]
    faces: int = 1_000
    maps: int = 64
    method: str = DEFAULT_METHOD
    seed: int = 0


@dataclass(frozen=True)
class Condition:
    """One pass over the faces.

    Attributes:
        accuracy: 0..1.
        ci95: its Wilson interval.
        ece: expected calibration error, 0..1.
        map_correlation: mean Pearson correlation of the maps of the clean prediction, clean against corrupted; where the
            corruption moves places, the clean map is moved likewise first. None where no pair of maps has a correlation.
        empty_maps: pairs of maps without a correlation, since one is the same everywhere.
    """

    accuracy: float
    ci95: tuple[float, float]
    ece: float
    map_correlation: float | None = None
    empty_maps: int = 0


@dataclass(frozen=True)
class Stress:
    """One corruption at one severity: its strength in ``unit``, and how the model does."""

    corruption: str
    severity: int
    level: float
    unit: str
    condition: Condition


@dataclass(frozen=True)
class Robustness:
    """A checkpoint under stress: ``n`` faces, ``maps`` maps, the clean pass and all others."""

    checkpoint: str
    split: str
    n: int
    maps: int
    method: str
    seed: int
    clean: Condition
    stresses: tuple[Stress, ...]

    def of(self, corruption: str) -> tuple[Stress, ...]:
        """Its severities, mildest first."""
        return tuple(stress for stress in self.stresses if stress.corruption == corruption)

    @property
    def corruptions(self) -> tuple[str, ...]:
        """Names, in the order they were run."""
        return tuple(dict.fromkeys(stress.corruption for stress in self.stresses))

    def drop(self, corruption: str) -> float:
        """Clean accuracy minus the mean accuracy over the severities of one corruption."""
        return self.clean.accuracy - float(np.mean([stress.condition.accuracy for stress in self.of(corruption)]))

    @property
    def mean_drop(self) -> float:
        """Clean accuracy minus the mean accuracy over all corruptions and severities."""
        return float(np.mean([self.drop(name) for name in self.corruptions]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        drops = {name: self.drop(name) for name in self.corruptions}
        return {**asdict(self), "drops": drops, "mean_drop": self.mean_drop}


def stress(checkpoint: Checkpoint, faces: FaceSet, plan: Plan, progress: Progress | None = None) -> Robustness:
    """One clean pass, and one a corruption and severity.

    Args:
        checkpoint: the model; faces of classes that it does not know are left out.
        faces: a split.
        plan: what to do.
        progress: told passes done and all.

    Raises:
        UnknownNameError: no such corruption or method.
        DataError: no face is left.
    """
    kinds = [(name, severity) for name in plan.corruptions for severity in SEVERITIES]
    levels = [CORRUPTIONS[name].level(severity) for name, severity in kinds]
    faces = faces.only(checkpoint.card.classes)
    faces = faces.select(sample(len(faces), plan.faces, plan.seed))
    table = evaluate_checkpoint(checkpoint, faces)
    compare_maps = _map_comparison(checkpoint, faces, table, plan)
    stresses = []
    for done, ((name, severity), level) in enumerate(zip(kinds, levels, strict=True), 1):
        images = corrupt(faces.images, name, severity, plan.seed)
        condition = judged(evaluate_checkpoint(checkpoint, replace(faces, images=images)))
        correlation, empty = compare_maps(images, name, level)
        condition = replace(condition, map_correlation=correlation, empty_maps=empty)
        stresses.append(Stress(name, severity, level, CORRUPTIONS[name].unit, condition))
        if progress:
            progress(done, len(kinds))
    maps = min(plan.maps, len(faces))
    return Robustness(checkpoint.name, faces.split, len(faces), maps, plan.method, plan.seed, judged(table), tuple(stresses))


def judged(table: PredictionTable) -> Condition:
    """Accuracy and calibration of one pass."""
    right = int((table.predicted == table.labels).sum())
    ece = calibration_error(table.labels, table.probs.astype(np.float64))
    return Condition(right / len(table), wilson_interval(right, len(table)), ece)


def _map_comparison(
    checkpoint: Checkpoint, faces: FaceSet, table: PredictionTable, plan: Plan
) -> Callable[[torch.Tensor, str, float], tuple[float | None, int]]:
    """A function of corrupted images, corruption and level that gives mean correlation and number of empty pairs."""
    rows = sample(len(faces), plan.maps, plan.seed + 1)
    targets = [table.classes[i] for i in table.predicted[rows.numpy()]]
    clean = _maps(checkpoint, faces.images[rows], targets, plan.method)

    def compare(images: torch.Tensor, name: str, level: float) -> tuple[float | None, int]:
        moves = CORRUPTIONS[name].moves
        expected = moves(clean, level) if moves and len(clean) else clean
        found = pearson(expected, _maps(checkpoint, images[rows], targets, plan.method))
        return mean_or_none(found), int(np.isnan(found).sum())

    return compare


def _maps(checkpoint: Checkpoint, images: torch.Tensor, targets: Sequence[str], method: str) -> FloatArray:
    return stacked(explain(checkpoint, images, targets, method) if targets else ())
