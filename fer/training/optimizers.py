"""Optimizers over a network's parameters: by stage and by whether they are decayed."""

from typing import Any

import torch
from torch import nn

from fer.config import Optimizer


def make_optimizer(model: nn.Module, config: Optimizer, by_stage: list[list[str]]) -> torch.optim.Optimizer:
    """The configured optimizer; every group carries the ``factor`` of its learning rate.

    Norms and biases (vectors) are not decayed. Stages far from the head learn more slowly where ``layer_decay`` < 1
    (Howard & Ruder 2018, arXiv:1801.06146).
    """
    parameters = dict(model.named_parameters())
    groups: list[dict[str, Any]] = []
    factors = [config.layer_decay ** (len(by_stage) - 1 - place) for place in range(len(by_stage))]
    # stages that learn alike share a group: fewer groups are faster
    for factor in sorted(set(factors)):
        named = [name for stage, own in zip(by_stage, factors, strict=True) for name in stage if own == factor]
        for decayed in (True, False):
            chosen = [parameters[name] for name in named if (parameters[name].ndim > 1) == decayed]
            if chosen:
                groups.append({"params": chosen, "weight_decay": config.weight_decay if decayed else 0.0, "factor": factor})
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, betas=(config.momentum, 0.999))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its part of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
