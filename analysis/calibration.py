"""How far a model's confidence can be believed: reliability diagrams, and errors before and after temperature scaling.

Classes are those of the answers ("when it says fear with 70 %, how often is it right?"), the top-label calibration of
Gupta and Ramdas 2022 (arXiv:2107.08353): the only one that a reader of an answer can use.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fer.calibration import biases_pay, cross_fit, halves, have_all_classes
from fer.errors import DataError
from fer.metrics import Probs, evaluate_table, wilson_interval
from fer.reliability import ECE_BINS, Bins, adaptive_calibration_error, equal_width, sort_into_bins
from fer.types import PredictionTable

#: Two log losses of the same faces and weights differ by less, on whatever machine; of two halves of a split by more.
_SAME_LOSS = 1e-4
#: Simulated sets from which the error of a calibrated model is told.
DRAWS = 1000


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers whose confidence lies in ``low`` < confidence ≤ ``high``; the interval is Wilson's, 95 %."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram in numbers: the bins that hold answers, and the errors over them (None without answers)."""

    name: str
    n: int
    ece: float | None
    adaptive_ece: float | None
    bins: tuple[ReliabilityBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def reliability(table: PredictionTable, answer: str | None = None, bins: int = ECE_BINS) -> Reliability:
    """Confidence beside accuracy over equal-width bins (DeGroot and Fienberg 1983; Guo et al. 2017, arXiv:1706.04599).

    Args:
        table: one pass over a split.
        answer: only the faces that were given this class; None: all.
        bins: over 0..1.
    """
    rows = np.full(len(table), True) if answer is None else table.predicted == table.classes.index(answer)
    name = answer or "all classes"
    if not rows.any():
        return Reliability(name, 0, None, None, ())
    labels, probs = table.labels[rows], table.probs[rows].astype(np.float64)
    binned = sort_into_bins(probs.max(axis=1), probs.argmax(axis=1) == labels, equal_width(bins))
    return Reliability(name, len(labels), binned.error, adaptive_calibration_error(labels, probs, bins), _filled(binned))


def _filled(bins: Bins) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(
            low=float(bins.edges[i]),
            high=float(bins.edges[i + 1]),
            n=int(n),
            confidence=float(bins.confidence[i] / n),
            accuracy=float(bins.right[i] / n),
            interval=wilson_interval(int(bins.right[i]), int(n)),
        )
        for i, n in enumerate(bins.count)
        if n
    )


@dataclass(frozen=True)
class ChanceError:
    """The ECE that chance alone gives a perfectly calibrated model: mean and 95th percentile over simulated sets."""

    mean: float
    high: float
    draws: int


def expected_ece_if_calibrated(probs: Probs, n_draws: int = DRAWS, seed: int = 0) -> ChanceError:
    """The ECE to expect where every confidence is exactly right: the floor under any figure measured on so few faces.

    Each draw takes every answer as right with the probability it states, and sorts the same confidences into the same bins
    (consistency resampling: Bröcker and Smith 2007, doi:10.1175/WAF993.1; Vaicenavicius et al. 2019, arXiv:1902.06977).

    Args:
        probs: float (N, C), rows summing to 1.
        n_draws: simulated sets.
        seed: of the draws.

    >>> expected_ece_if_calibrated(np.eye(3)).mean  # always certain, always right
    0.0
    """
    confidence = probs.max(axis=1).astype(np.float64)
    rng = np.random.default_rng(seed)
    edges = equal_width()
    errors = [sort_into_bins(confidence, rng.random(len(confidence)) < confidence, edges).error for _ in range(n_draws)]
    return ChanceError(float(np.mean(errors)), float(np.quantile(errors, 0.95)), n_draws)


@dataclass(frozen=True)
class CalibrationScores:
    """Calibration figures of a table; definitions in :mod:`fer.metrics` and :mod:`fer.reliability`."""

    n: int
    accuracy: float
    ece: float
    adaptive_ece: float
    brier: float
    log_loss: float
    chance: ChanceError


def calibration_scores(table: PredictionTable) -> CalibrationScores:
    """All calibration figures of a table, with the ECE that a calibrated model would have on it."""
    figures = evaluate_table(table)
    keys = ("n", "accuracy", "ece", "adaptive_ece", "brier", "log_loss")
    return CalibrationScores(**{key: figures[key] for key in keys}, chance=expected_ece_if_calibrated(table.probs))


@dataclass(frozen=True)
class Scaling:
    """The same faces, judged by the network's own logits and by those divided by the temperature of its card.

    Attributes:
        temperature: of the card.
        faces: which faces: the half of the validation split that the temperature was not fitted on, or a whole other split;
            the whole validation split where that half is not known.
        raw: without scaling.
        scaled: with it.
    """

    temperature: float
    faces: str
    raw: CalibrationScores
    scaled: CalibrationScores

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def compare_scaling(table: PredictionTable) -> Scaling | None:
    """Calibration before and after temperature scaling, on faces that the temperature was not fitted on where these are known.

    None where the table does not say what its logits were divided by, or where views were averaged afterwards, so that
    the network's own logits cannot be had back.

    Raises:
        DataError: the table has one face only, or its temperature is no positive number.
    """
    if "temperature" not in table.source:
        return None
    temperature = _temperature(table.source["temperature"])
    if table.source.get("tta", "none") != "none":
        return None
    judged, faces = table, f"{table.split} split"
    if table.split == "validation":
        half = halves(table)[1]
        known = temperature == 1 or _is_held_out(half)
        faces = "held-out half of the validation split" if known else "validation split, fitted on in part"
        judged = half if known else table
    return Scaling(temperature, faces, calibration_scores(judged.cooled(1 / temperature)), calibration_scores(judged))


def _is_held_out(half: PredictionTable) -> bool:
    """Whether these are the faces that the release kept from its fit: of other faces or names the half is another one."""
    try:
        expected = float(half.source.get("held_out_log_loss", "nan"))
    except ValueError:
        return False
    return bool(abs(evaluate_table(half)["log_loss"] - expected) <= _SAME_LOSS)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value < np.inf:
        raise DataError(f"the table's temperature {text!r} is no positive number; write the table anew with fer evaluate")
    return value


def cross_fitted(table: PredictionTable) -> PredictionTable:
    """All faces held out: each half calibrated by what is fitted on the other, so that the ECE rests on all of them.

    Calibrated as a release is: by a temperature, and by a bias a class where these pay. Biases that the release has put into
    the network, fitted on some of these faces, are taken out first; where views were averaged they cannot be, nor can those
    of an ensemble's members. By a temperature alone where a half has no face of a class: biases would learn from it which
    classes can be right at all.

    Raises:
        DataError: the table has one face only, or its biases are damaged.
    """
    comparable = have_all_classes(*halves(table))
    one, other = halves(_without_biases(table) if comparable else table)
    logits = cross_fit(one, other, biases=comparable and biases_pay(one, other))
    labels = np.concatenate([one.labels, other.labels])
    return replace(table, logits=logits, labels=labels, names=one.names + other.names, source={})


def _without_biases(table: PredictionTable) -> PredictionTable:
    if "biases" not in table.source or table.source.get("tta", "none") != "none":
        return table
    try:
        known = json.loads(table.source["biases"])
        biases = np.array([float(known[name]) for name in table.classes], dtype=np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"the table's biases are damaged: {error!r}; write the table anew with fer evaluate") from error
    temperature = _temperature(table.source.get("temperature", "1.0"))
    return replace(table, logits=table.logits - biases / np.float32(temperature))
