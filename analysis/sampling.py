"""Which faces stand for all, where looking at all would take too long."""

import numpy as np
import torch


def sample(n: int, size: int, seed: int) -> torch.Tensor:
    """int64: ``size`` different positions below ``n`` in rising order, all of them where there are fewer.

    >>> sample(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    chosen = np.random.default_rng(seed).choice(n, min(size, n), replace=False)
    return torch.from_numpy(np.sort(chosen).astype(np.int64))
