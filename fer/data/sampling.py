"""Class weights against the imbalance of FER-2013 (436 disgusted, 7,215 happy faces)."""

from collections.abc import Sequence

import torch


def balanced_class_weights(counts: Sequence[int]) -> torch.Tensor:
    """Weights wᵢ = N / (C·nᵢ): float32 (C,), every class then counts alike in a mean loss.

    Raises:
        ValueError: a class has no image.

    >>> balanced_class_weights([1, 3]).tolist()
    [2.0, 0.6666666865348816]
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    if (numbers <= 0).any():
        raise ValueError(f"counts {list(counts)} leave a class without images")
    return (numbers.sum() / (len(numbers) * numbers)).float()
