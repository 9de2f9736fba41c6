"""Which faces stand for all, where looking at all would take too long."""

import numpy as np
import torch

from fer.types import IntArray


def sample(n: int, size: int, seed: int) -> torch.Tensor:
    """int64: ``size`` different positions below ``n`` in rising order, all of them where there are fewer.

    >>> sample(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    chosen = np.random.default_rng(seed).choice(n, min(size, n), replace=False)
    return torch.from_numpy(np.sort(chosen).astype(np.int64))


def balanced(labels: IntArray, size: int, seed: int) -> IntArray:
    """Rows int64 in rising order, at most ``size``: as equally many of every class as there are, drawn with a seed.

    >>> balanced(np.array([0, 0, 0, 0, 1]), 3, seed=0).tolist()[-1]
    4
    """
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(np.flatnonzero(labels == c))) for c in np.unique(labels)]
    chosen: list[int] = []
    while len(chosen) < size and any(queues):
        for queue in queues:
            if queue and len(chosen) < size:
                chosen.append(int(queue.pop()))
    return np.array(sorted(chosen), dtype=np.int64)
