"""Training losses over soft targets; hard labels, smoothing, mixup and class weights are all special cases."""

import torch
import torch.nn.functional as F


def smooth_targets(labels: torch.Tensor, classes: int, smoothing: float) -> torch.Tensor:
    """int64 (N,) → float32 (N, C): 1 − s on the label, s shared evenly by all classes (Szegedy et al. 2016).

    >>> smooth_targets(torch.tensor([1]), 2, 0.5).tolist()
    [[0.25, 0.75]]
    """
    return F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor | None = None) -> torch.Tensor:
    """Mean over the batch of −Σ w·target·log p: float32 scalar from (N, C) logits and (N, C) targets."""
    return F.cross_entropy(logits.float(), targets, weight=class_weights)
