"""Training losses over soft targets; hard labels, smoothing, mixup, votes and class weights are all special cases."""

import torch
import torch.nn.functional as F


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """int64 (N,) → float32 (N, C), 1 on the label.

    >>> one_hot(torch.tensor([1]), 2).tolist()
    [[0.0, 1.0]]
    """
    return F.one_hot(labels, classes).float()


def smooth(targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """1 − s of the targets float32 (N, C), s shared evenly by all classes (Szegedy et al. 2016, arXiv:1512.00567).

    >>> smooth(torch.tensor([[0.0, 1.0]]), 0.5).tolist()
    [[0.25, 0.75]]
    """
    return targets * (1 - smoothing) + smoothing / targets.shape[1]


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor | None = None) -> torch.Tensor:
    """−Σ w·target·log p of every face: float32 (N,) from (N, C) logits and (N, C) targets."""
    return F.cross_entropy(logits.float(), targets, weight=class_weights, reduction="none")


def focal(
    logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor | None = None, gamma: float = 2.0
) -> torch.Tensor:
    """−Σ w·target·(1 − p)^γ·log p of every face: float32 (N,) (Lin et al. 2017, arXiv:1708.02002, for soft targets).

    With γ 0 it is :func:`soft_cross_entropy`; larger values count confident faces less.
    """
    log_p = logits.float().log_softmax(1)
    # 1 − p, above 0: its power has no finite slope at 0 for γ < 1
    doubt = (-log_p.expm1()).clamp(min=torch.finfo(torch.float32).eps)
    terms = targets * doubt**gamma * log_p
    return -(terms if class_weights is None else terms * class_weights).sum(1)


def distillation(logits: torch.Tensor, teacher_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² times the divergence KL(teacher ‖ student) of every face (Hinton et al. 2015, arXiv:1503.02531): float32 (N,).

    ``teacher_probs`` float32 (N, C) were softened by the same temperature, see :func:`soften`.
    """
    log_p = (logits.float() / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(log_p, teacher_probs, reduction="none").sum(1)


def soften(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """softmax(logits / T): float32 (N, C).

    >>> soften(torch.tensor([[0.0, 0.0]]), 3.0).tolist()
    [[0.5, 0.5]]
    """
    return (logits.float() / temperature).softmax(1)
