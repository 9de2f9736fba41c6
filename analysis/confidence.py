"""Everything that a table says of a model's confidence: histograms, calibration, and when to say "unsure"."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.abstention import WANTED, Abstention, RiskCoverage, abstention, risk_coverage
from analysis.calibration import (
    CalibrationScores,
    Reliability,
    Scaling,
    calibration_scores,
    compare_scaling,
    cross_fitted,
    reliability,
)
from analysis.figures import confidence_histograms, save
from analysis.figures import reliability as reliability_figure
from analysis.figures import risk_coverage as risk_figure
from analysis.histograms import Histogram, histograms
from fer.files import make_folder, write_whole
from fer.types import PredictionTable


@dataclass(frozen=True)
class Study:
    """What :func:`study` finds; every figure and every line printed is read from here.

    Attributes:
        source: of the table.
        split: of the table.
        scores: calibration figures over all faces.
        scaling: before and after the temperature; None where :func:`~analysis.calibration.compare_scaling` cannot tell.
        cross_fitted: over all faces, each half calibrated by what is fitted on the other; see
            :func:`~analysis.calibration.cross_fitted`.
        overall: reliability over all answers.
        by_answer: reliability of every class, by what was answered.
        histograms: of every class, by label.
        curve: risk against coverage.
        abstention: the threshold for "unsure".
    """

    source: Mapping[str, str]
    split: str
    scores: CalibrationScores
    scaling: Scaling | None
    cross_fitted: CalibrationScores
    overall: Reliability
    by_answer: tuple[Reliability, ...]
    histograms: tuple[Histogram, ...]
    curve: RiskCoverage
    abstention: Abstention

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "source": dict(self.source),
            "split": self.split,
            **asdict(self.scores),
            "scaling": self.scaling and self.scaling.to_dict(),
            "cross_fitted": asdict(self.cross_fitted),
            "abstention": self.abstention.to_dict(),
            "risk_coverage": self.curve.to_dict(),
            "reliability": {one.name: one.to_dict() for one in (self.overall, *self.by_answer)},
            "histograms": {one.name: one.to_dict() for one in self.histograms},
        }


def study(table: PredictionTable, accuracy: float = WANTED) -> Study:
    """Everything about the confidence of a table.

    Args:
        table: one pass over a split.
        accuracy: what the answers above the threshold for "unsure" are to reach, 0..1.

    Raises:
        ConfigError: no such accuracy.
        DataError: the table has one face only.
    """
    return Study(
        source=dict(table.source),
        split=table.split,
        abstention=abstention(table, accuracy),
        scores=calibration_scores(table),
        scaling=compare_scaling(table),
        cross_fitted=calibration_scores(cross_fitted(table)),
        overall=reliability(table),
        by_answer=tuple(reliability(table, name) for name in table.classes),
        histograms=histograms(table),
        curve=risk_coverage(table),
    )


def write(found: Study, out: Path) -> list[Path]:
    """Write confidence.json and three PNGs into a folder; their paths.

    Raises:
        OutputError: the folder is not writable.
    """
    figures = {
        "confidence-histograms.png": confidence_histograms.figure(found.histograms),
        "reliability.png": reliability_figure.figure(found.overall, found.by_answer),
        "risk-coverage.png": risk_figure.figure(found.curve, found.abstention),
    }
    make_folder(out)
    written = [out / name for name in (*figures, "confidence.json")]
    for name, figure in figures.items():
        save(figure, out / name)
    write_whole(written[-1], (json.dumps(found.to_dict(), indent=1) + "\n").encode())
    return written
