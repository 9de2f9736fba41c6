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
        self._pairs: tuple[list[torch.Tensor], ...] | None = None

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the present state of the model, always the same one."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        if self._pairs is None:  # gathered once: walking a deep net at every step takes longer than the sums
            self._pairs = self._gather(model)
        ours, theirs, our_counters, their_counters = self._pairs
        torch._foreach_lerp_(ours, theirs, share)
        if our_counters:
            torch._foreach_copy_(our_counters, their_counters)

    def _gather(self, model: nn.Module) -> tuple[list[torch.Tensor], ...]:
        ours, theirs = self.model.state_dict(), model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        counters = [name for name in ours if name not in floats]
        return tuple([state[n] for n in names] for names in (floats, counters) for state in (ours, theirs))
