"""The layer that gives a network's logits."""

import torch
from torch import nn


def last_linear(model: nn.Module, head: str) -> nn.Linear | None:
    """The last linear layer under the dotted name ``head``, None where there is none.

    >>> last_linear(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 3), nn.Dropout())), "1")
    Linear(in_features=4, out_features=3, bias=True)
    """
    found = [module for module in model.get_submodule(head).modules() if isinstance(module, nn.Linear)]
    return found[-1] if found else None


@torch.no_grad()
def add_to_logits(model: nn.Module, head: str, biases: torch.Tensor) -> bool:
    """Add float (C,) to the logits for good, by the bias of their layer; False where that has none.

    Args:
        model: changed in place.
        head: dotted name of the module that holds the layer.
        biases: one number a class.
    """
    layer = last_linear(model, head)
    if layer is None or layer.bias is None or layer.bias.shape != biases.shape:
        return False
    layer.bias.add_(biases.to(layer.bias))
    return True
