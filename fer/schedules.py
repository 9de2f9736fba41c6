"""Learning-rate schedules as factors of the base rate; ``progress`` is 0..1 over the whole run."""

import math
from dataclasses import dataclass


def warmup(progress: float, share: float) -> float:
    """Rises linearly from 0 to 1 over the first ``share`` of a run.

    >>> warmup(0.05, 0.1)
    0.5
    """
    return 1.0 if share <= 0 else min(1.0, progress / share)


def cosine(progress: float, share: float = 0.0) -> float:
    """Half a cosine from 1 to 0 after a warm-up of ``share`` (Loshchilov & Hutter 2017, without restarts).

    >>> cosine(0.0), round(cosine(0.5), 3), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    if progress < share:
        return warmup(progress, share)
    return 0.5 * (1 + math.cos(math.pi * (progress - share) / (1 - share))) if share < 1 else 1.0


def one_cycle(progress: float, share: float = 0.3, start: float = 1 / 25, end: float = 1e-4) -> float:
    """Half a cosine up from ``start`` to 1 over ``share`` of a run, then half a cosine down to ``start·end``.

    Smith & Topin 2019 (arXiv:1708.07120); the end points are those of torch's ``OneCycleLR``.

    >>> round(one_cycle(0.0), 9), one_cycle(0.3)
    (0.04, 1.0)
    """
    if progress < share:
        low, high, way = start, 1.0, progress / share
    else:
        low, high, way = 1.0, start * end, (progress - share) / (1 - share) if share < 1 else 0.0
    return high + (low - high) * 0.5 * (1 + math.cos(math.pi * way))


def steps(epoch: int, every: int, factor: float) -> float:
    """Multiplied by ``factor`` every so many epochs; ``epoch`` counts from 1.

    >>> [steps(epoch, 2, 0.5) for epoch in (1, 2, 3, 5)]
    [1.0, 1.0, 0.5, 0.25]
    """
    return float(factor ** ((epoch - 1) // every))


@dataclass
class Plateau:
    """Factor that shrinks when a loss stops falling, as the field uses it: ×0.75 after more than 5 epochs without gain."""

    factor: float = 0.75
    patience: int = 5
    floor: float = 1e-4
    best: float = math.inf
    waited: int = 0
    value: float = 1.0

    def update(self, loss: float) -> float:
        """Take the validation loss of an epoch; return the factor for the next one."""
        if loss < self.best:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.value, self.waited = max(self.floor, self.value * self.factor), 0
        return self.value

    def forget(self) -> None:
        """Compare the losses to come among themselves; the factor stays."""
        self.best, self.waited = math.inf, 0
