"""Tables with a known answer for the tests of the analysis."""

from collections.abc import Sequence

import numpy as np

from fer.emotions import EMOTIONS
from fer.types import PredictionTable, softmax


def toy(*rows: tuple[bool, float], split: str = "validation") -> PredictionTable:
    """Two classes; every row: whether the answer (fear) is right, and its confidence above 0.5."""
    confidence = np.array([row[1] for row in rows])
    logits = np.stack([np.log(confidence), np.log1p(-confidence)], axis=1)
    labels = [0 if right else 1 for right, _ in rows]
    return PredictionTable(logits, labels, tuple(f"{i:04}.png" for i in range(len(rows))), ("fear", "sad"), split)


def drawn(n: int, temperature: float = 1.0, seed: int = 0, classes: Sequence[str] = EMOTIONS) -> PredictionTable:
    """Labels drawn from the very probabilities of a network, whose logits were then made ``temperature`` times larger."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, len(classes)))
    labels = (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    names = tuple(f"{i:05}.png" for i in rng.permutation(n))
    return PredictionTable(logits * temperature, labels, names, tuple(classes), "validation")


def all_right(n: int = 14) -> PredictionTable:
    """No mistake."""
    labels = np.arange(n) % 7
    return PredictionTable(np.eye(7)[labels] * 3, labels, tuple(map(str, range(n))), EMOTIONS, "validation")


def all_wrong(n: int = 14) -> PredictionTable:
    """Nothing but mistakes."""
    labels = np.arange(n) % 7
    return PredictionTable(np.eye(7)[(labels + 1) % 7] * 3, labels, tuple(map(str, range(n))), EMOTIONS, "validation")


def one_class(n: int = 6) -> PredictionTable:
    """Happy faces alone, half of them recognised."""
    logits = np.eye(7)[[3, 4] * (n // 2)] * np.arange(1, n + 1)[:, None]
    return PredictionTable(logits, [3] * n, tuple(map(str, range(n))), EMOTIONS, "test")
