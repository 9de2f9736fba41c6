"""Maps from the gradient of the head alone: Grad-CAM, LayerCAM and HiResCAM without a backward pass through the trunk.

The score's gradient is needed at the layer that is looked at, not before it. The trunk runs without keeping anything for a
backward pass; the layer's output becomes the start of the graph. The maps are those of the grad-cam package
(tests/analysis/test_head.py), in a fraction of the time (benchmarks/explaining.py).
"""

from collections.abc import Callable

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, finished, register_method, score_weights
from fer.aim import Aim

#: activations (N, D, h, w), their gradients → raw map (N, h, w)
Rule = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def head_maps(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim, rule: Rule) -> Maps:
    """Run a network once and combine what a layer says with the gradient of the explained score there."""
    kept: dict[nn.Module, torch.Tensor] = {}

    def start_here(module: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        # an output that has a gradient already lies behind another layer that is looked at
        kept[module] = output if output.requires_grad else output.detach().requires_grad_()
        # what follows may work in place, which a start of the graph does not allow
        return kept[module].clone()

    handles = [module.register_forward_hook(start_here) for module in layers.modules]
    try:
        logits = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    activations = [kept[module] for module in layers.modules]
    score = (logits * score_weights(aim, logits)).sum()
    gradients = torch.autograd.grad(score, activations)
    reshape = layers.reshape or (lambda output: output)
    with torch.no_grad():
        raw = [rule(reshape(a), reshape(g)) for a, g in zip(activations, gradients, strict=True)]
        return finished(raw, inputs.shape[-1], logits.detach())


@register_method("gradcam", "channels weighted by their mean gradient", "Selvaraju et al. 2017 (arXiv:1610.02391)")
def gradcam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Channels of a layer, weighted by the mean gradient of the score; negative parts dropped."""
    return head_maps(model, inputs, layers, aim, lambda a, g: torch.einsum("ndhw,nd->nhw", a, g.mean(dim=(2, 3))))


@register_method(
    "layercam", "every place weighted by its own positive gradient", "Jiang et al. 2021 (doi:10.1109/TIP.2021.3089943)"
)
def layercam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Every place of every channel, weighted by its own gradient where that is positive."""
    return head_maps(model, inputs, layers, aim, lambda a, g: (a * g.clamp(min=0)).sum(1))


@register_method("hirescam", "every place weighted by its own gradient", "Draelos & Carin 2020 (arXiv:2011.08891)")
def hirescam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Every place of every channel, weighted by its own gradient."""
    return head_maps(model, inputs, layers, aim, lambda a, g: (a * g).sum(1))
