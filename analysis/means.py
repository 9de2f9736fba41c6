"""A mean over faces and how far chance could have moved it, for groups of any size, none among them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from analysis.significance import DRAWS, percentile_interval

Values = npt.NDArray[np.float64]

#: Faces below which nothing is said of a difference.
FEW = 10
#: Values that a bootstrap holds in memory at once.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Mean:
    """A mean over ``n`` faces with its 95 % bootstrap interval: None without a face, no interval with one."""

    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None

    @classmethod
    def of(cls, values: Values, seed: int = 0) -> Self:
        """Of float64 (N,), what is NaN left out.

        >>> Mean.of(np.array([0.5, np.nan]))
        Mean(n=1, mean=0.5, ci95=None)
        """
        return cls._of(seed, values)

    @classmethod
    def difference(cls, one: Values, other: Values, seed: int = 0) -> Self:
        """Mean of one group less that of another, each resampled by itself; ``n`` is the smaller group."""
        return cls._of(seed, one, other)

    @classmethod
    def _of(cls, seed: int, *groups: Values) -> Self:
        rng, known = np.random.default_rng(seed), [values[~np.isnan(values)] for values in groups]
        n = min(len(values) for values in known)
        if n == 0:
            return cls(0)
        mean = float(known[0].mean() - sum(values.mean() for values in known[1:]))
        if n == 1:
            return cls(1, mean)
        drawn = [_resampled(values, rng) for values in known]
        return cls(n, mean, percentile_interval(drawn[0] - sum(drawn[1:])))

    @property
    def sign(self) -> int | None:
        """1 or −1 where the whole interval lies above or below 0, 0 where it does not, None for fewer than ten faces."""
        if self.ci95 is None or self.n < FEW:
            return None
        return int(self.ci95[0] > 0) - int(self.ci95[1] < 0)


def _resampled(values: Values, rng: np.random.Generator) -> Values:
    """float64 (DRAWS,), means of values drawn with replacement."""
    n = len(values)
    step = max(1, _AT_ONCE // n)
    sizes = [min(step, DRAWS - start) for start in range(0, DRAWS, step)]
    return np.concatenate([values[rng.integers(0, n, (size, n))].mean(axis=1) for size in sizes])
