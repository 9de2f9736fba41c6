"""How far a model holds when photographs are worse: accuracy, calibration and maps under every corruption and severity."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch

from analysis.explain import DEFAULT_METHOD, explain
from analysis.sampling import sample
from analysis.similarity import mean_or_none, stacked
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.corruptions import CORRUPTIONS, SEVERITIES, Corruption, corrupt
from fer.evaluation import evaluate_checkpoint
from fer.metrics import pearson, wilson_interval
from fer.reliability import calibration_error
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
    """A checkpoint under stress: ``n`` faces, ``maps`` maps, the clean pass and all others.

    ``map_floor`` is the mean correlation of clean maps of different faces (each with the next one's), None where there are
    fewer than two: maps that correlate no more than this have nothing left in common. ``source`` is that of the clean table.
    """

    checkpoint: str
    split: str
    n: int
    maps: int
    method: str
    seed: int
    map_floor: float | None
    clean: Condition
    stresses: tuple[Stress, ...]
    source: Mapping[str, str] = field(default_factory=dict)

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
    chosen = [CORRUPTIONS[name] for name, _ in kinds]
    faces = faces.only(checkpoint.card.classes)
    faces = faces.select(sample(len(faces), plan.faces, plan.seed))
    table = evaluate_checkpoint(checkpoint, faces)
    clean_maps = _CleanMaps.of(checkpoint, faces, table, plan)
    stresses = []
    for done, ((name, severity), corruption) in enumerate(zip(kinds, chosen, strict=True), 1):
        level, images = corruption.level(severity), corrupt(faces.images, name, severity, plan.seed)
        condition = judged(evaluate_checkpoint(checkpoint, replace(faces, images=images)))
        correlation, empty = clean_maps.against(images, corruption, level)
        condition = replace(condition, map_correlation=correlation, empty_maps=empty)
        stresses.append(Stress(name, severity, level, corruption.unit, condition))
        if progress:
            progress(done, len(kinds))
    return Robustness(
        checkpoint=checkpoint.name,
        split=faces.split,
        n=len(faces),
        maps=len(clean_maps.rows),
        method=plan.method,
        seed=plan.seed,
        map_floor=clean_maps.floor,
        clean=judged(table),
        stresses=tuple(stresses),
        source=dict(table.source),
    )


def judged(table: PredictionTable) -> Condition:
    """Accuracy and calibration of one pass."""
    right = int((table.predicted == table.labels).sum())
    ece = calibration_error(table.labels, table.probs.astype(np.float64))
    return Condition(right / len(table), wilson_interval(right, len(table)), ece)


@dataclass(frozen=True, eq=False)
class _CleanMaps:
    """Maps float32 (M, 48, 48) of the clean prediction of some faces, to hold others against."""

    checkpoint: Checkpoint
    rows: torch.Tensor
    targets: tuple[str, ...]
    method: str
    maps: FloatArray

    @classmethod
    def of(cls, checkpoint: Checkpoint, faces: FaceSet, table: PredictionTable, plan: Plan) -> Self:
        rows = sample(len(faces), plan.maps, plan.seed + 1)
        targets = tuple(table.classes[i] for i in table.predicted[rows.numpy()])
        return cls(checkpoint, rows, targets, plan.method, _maps(checkpoint, faces.images[rows], targets, plan.method))

    def against(self, images: torch.Tensor, corruption: Corruption, level: float) -> tuple[float | None, int]:
        """Mean correlation with the maps of the same faces corrupted, and pairs that have none."""
        moved = corruption.moves(self.maps, level) if corruption.moves and len(self.maps) else self.maps
        found = pearson(moved, _maps(self.checkpoint, images[self.rows], self.targets, self.method))
        return mean_or_none(found), int(np.isnan(found).sum())

    @property
    def floor(self) -> float | None:
        """Mean correlation with the clean map of the next face."""
        return mean_or_none(pearson(self.maps, np.roll(self.maps, 1, axis=0))) if len(self.maps) > 1 else None


def _maps(checkpoint: Checkpoint, images: torch.Tensor, targets: Sequence[str], method: str) -> FloatArray:
    return stacked(explain(checkpoint, images, targets, method) if targets else ())
