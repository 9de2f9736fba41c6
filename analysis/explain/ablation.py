"""Ablation-CAM (Desai & Ramaswamy 2020): channels weighted by what the score loses without them.

The grad-cam package's takes a channel out by a value far below all others where a layer has no ReLU, so that its weights
are those of an overflow, and divides by the score with its sign, which turns the map of a negative score round.
"""

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, finished, outputs_of, register_method, score_weights
from fer.aim import Aim

#: Channels that are taken out in one pass, each of its own copy of a face.
_TOGETHER = 32
#: Scores nearer to 0 are taken for this: a share of them would be rounding.
_SMALLEST = 1e-12


@register_method(
    "ablationcam",
    "channels weighted by the score lost without them",
    "Desai & Ramaswamy 2020 (doi:10.1109/WACV45572.2020.9093360)",
    passes="1 a channel",
)
def ablationcam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Every channel set to 0 in turn; its weight is what the score loses, as a share of the score's size."""
    logits, outputs = outputs_of(model, inputs, layers)
    asked = score_weights(aim, logits)
    scores = (logits * asked).sum(1, keepdim=True)
    raw = []
    for module, output in zip(layers.modules, outputs, strict=True):
        maps = layers.maps(output)
        # channels stand last in tokens, and in maps that had to be turned
        last = maps.shape != output.shape
        faces = zip(inputs, output, asked, strict=True)
        without = torch.stack([_without_each(model, module, *face, last=last) for face in faces])
        weights = (scores - without) / scores.abs().clamp(min=_SMALLEST)
        raw.append(torch.einsum("ndhw,nd->nhw", maps, weights))
    return finished(raw, inputs.shape[-1], logits)


@torch.no_grad()
def _without_each(
    model: nn.Module, module: nn.Module, face: torch.Tensor, output: torch.Tensor, asked: torch.Tensor, *, last: bool
) -> torch.Tensor:
    """float32 (D,): the score of a face (C, S, S) without each channel of what a module answers of it."""
    channels = output.shape[-1 if last else 0]
    found = []
    for some in torch.split(torch.arange(channels, device=output.device), _TOGETHER):
        keep = torch.ones(len(some), channels, device=output.device)
        keep.scatter_(1, some[:, None], 0)
        shape = [len(some), *([1] * output.ndim)]
        shape[-1 if last else 1] = channels
        ablated = output * keep.view(shape)
        handle = module.register_forward_hook(lambda *_, ablated=ablated: ablated)
        try:
            found.append((model(face.expand(len(some), *face.shape)) * asked).sum(1))
        finally:
            handle.remove()
    return torch.cat(found)
