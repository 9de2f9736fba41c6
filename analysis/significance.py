"""Could this be chance? Tests of two answers to the same question, and what many tests at once demand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Resamples behind a bootstrap interval.
DRAWS = 2_000

#: Two-sided coverage of every interval.
COVERAGE = 0.95


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test (McNemar 1947) that faces which one of two models alone gets right are shared evenly.

    >>> round(mcnemar(1, 5), 5)  # 2 · (1 + 6) / 2⁶
    0.21875
    """
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def fisher(right: int, wrong: int, other_right: int, other_wrong: int) -> float:
    """Two-sided p of Fisher's exact test (Fisher 1922) that two groups have the same share of right answers."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([[right, wrong], [other_right, other_wrong]]).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the chance of one false alarm among all stays below the threshold.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(raised, 1.0)
    return [float(value) for value in corrected]


def resampled_counts(counts: npt.NDArray[np.integer], seed: int, draws: int = DRAWS) -> npt.NDArray[np.int64]:
    """Bootstrap of a table of counts: int64 (draws, *shape), each drawn of all faces with replacement, unstratified.

    A face only matters by the cell it falls into, so that resampling the faces is one multinomial draw of the cells.
    """
    total = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(total, counts.ravel() / total, size=draws)
    return np.asarray(drawn.reshape(draws, *counts.shape), dtype=np.int64)


def percentile_interval(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """The middle 95 % of bootstrap values (Efron 1979), those that are undefined (NaN) left out."""
    tail = 50 * (1 - COVERAGE)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
