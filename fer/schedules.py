"""Learning-rate schedules as factors of the base rate."""

import math
from dataclasses import dataclass, field


def warmup(progress: float, share: float) -> float:
    """Rises linearly from 0 to 1 over the first ``share`` of a run; ``progress`` is 0..1.

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
    return 0.5 * (1 + math.cos(math.pi * (progress - share) / (1 - share)))


@dataclass
class Plateau:
    """Factor that shrinks when a loss stops falling, as the field uses it: ×0.75 after 5 epochs without gain."""

    factor: float = 0.75
    patience: int = 5
    floor: float = 1e-4
    best: float = math.inf
    waited: int = 0
    value: float = field(default=1.0)

    def update(self, loss: float) -> float:
        """Take the validation loss of an epoch; return the factor for the next one."""
        if loss < self.best:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.value, self.waited = max(self.floor, self.value * self.factor), 0
        return self.value
