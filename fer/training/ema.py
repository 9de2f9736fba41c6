"""Exponential moving average of weights: the network that is evaluated and kept."""

import copy

import torch
from torch import nn


class Average:
    """Follows a model's parameters and buffers (Polyak & Juditsky 1992).

    Early on the average forgets faster, so that it does not remember the random start:
    its decay at step t is min(decay, (1 + t) / (10 + t)). With decay 0 it equals the model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present state."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        ours, theirs = self.model.state_dict(), model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floats], [theirs[n].float() for n in floats], share)
        for name in ours.keys() - floats:
            ours[name].copy_(theirs[name])
