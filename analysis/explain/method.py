"""What an explanation method is, and the care every one is run with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from fer.models import Variant
from fer.registry import Registry
from fer.types import FloatArray


@dataclass(frozen=True, eq=False)
class Maps:
    """Raw result of a method for a batch: values float32 (N, S, S) in 0..1, peaks float32 (N,) ≥ 0."""

    values: FloatArray
    peaks: FloatArray


@dataclass(frozen=True, eq=False)
class Layers:
    """Where a network's maps are read: modules, and what brings their outputs to (N, D, h, w) if they are not."""

    modules: tuple[nn.Module, ...]
    reshape: Callable[[torch.Tensor], torch.Tensor] | None = None

    @classmethod
    def of(cls, model: nn.Module, spec: Variant) -> Self:
        """The layers that an architecture declares, found in its network."""
        return cls(tuple(model.get_submodule(name) for name in spec.cam_layers), spec.reshape)


#: model, standardised input (N, C, S, S), layers to read, class index of every face → maps
Method = Callable[[nn.Module, torch.Tensor, Layers, list[int]], Maps]

METHODS: Registry[Method] = Registry("explanation method")


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; modes, gradients, their flags and hooks as before afterwards, also after an error."""
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    hooks = [(module, set(module._forward_hooks)) for module in model.modules()]
    model.eval().requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad).grad = grad
        for module, before in hooks:
            for key in set(module._forward_hooks) - before:
                del module._forward_hooks[key]
