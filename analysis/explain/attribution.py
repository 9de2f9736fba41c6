"""Attributions of the input's pixels by captum: integrated gradients and occlusion."""

from typing import Any

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, finished, register_method, score_weights
from fer.aim import Aim

#: Steps of the path from a grey face to this one.
_STEPS = 32
#: Faces whose steps are run together.
_TOGETHER = 128
#: Side of the square that occlusion covers, and how far it moves, as parts of a face (9 and 3 of 48 pixels).
_SQUARE, _STRIDE = 9 / 48, 3 / 48


@register_method(
    "integrated-gradients",
    "gradients summed up on the way from a grey face",
    "Sundararajan et al. 2017 (arXiv:1703.01365)",
    passes=str(_STEPS),
    reads="pixels",
)
def integrated_gradients(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Pixel by pixel: (pixel − mean grey) times the mean gradient on the straight way there; evidence against dropped."""
    from captum.attr import IntegratedGradients

    logits, weights = _asked(model, inputs, aim)
    found = IntegratedGradients(_Score(model)).attribute(
        inputs.detach(),
        baselines=_grey(layers, inputs),
        additional_forward_args=(weights,),
        n_steps=_STEPS,
        internal_batch_size=max(_TOGETHER, len(inputs)),
    )
    return finished([found.detach().sum(1)], inputs.shape[-1], logits)


@register_method(
    "occlusion",
    "score lost where a grey square covers the face",
    "Zeiler & Fergus 2014 (arXiv:1311.2901)",
    passes="196",
    reads="pixels",
)
def occlusion(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Mean loss of the score over all places of a grey square that cover a pixel; gains dropped."""
    from captum.attr import Occlusion

    logits, weights = _asked(model, inputs, aim)
    channels, size = inputs.shape[1], inputs.shape[-1]
    square, stride = max(1, round(size * _SQUARE)), max(1, round(size * _STRIDE))
    with torch.no_grad():
        lost = Occlusion(_Score(model)).attribute(
            inputs.detach(),
            sliding_window_shapes=(channels, square, square),
            strides=(channels, stride, stride),
            baselines=_grey(layers, inputs)[:1],
            additional_forward_args=(weights,),
        )
    return finished([lost.mean(1)], size, logits)


def _grey(layers: Layers, inputs: torch.Tensor) -> torch.Tensor:
    """The mean grey of faces in every pixel, in the shape of the inputs."""
    return torch.tensor(layers.grey, dtype=inputs.dtype, device=inputs.device).view(1, -1, 1, 1).expand_as(inputs)


class _Score:
    """The explained score of a batch, as captum calls it; steps of one face share its weights."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, inputs: torch.Tensor, weights: torch.Tensor) -> Any:
        return (self.model(inputs) * weights).sum(1)


def _asked(model: nn.Module, inputs: torch.Tensor, aim: Aim) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        logits = model(inputs)
    return logits, score_weights(aim, logits)
