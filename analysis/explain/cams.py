"""Class activation maps that need more than the head's gradient: which there are; the grad-cam package makes them.

The package brings scikit-learn and half of torch's compiler along: it is imported by the first map.
"""

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, outputs_of, register_method
from fer.aim import Aim

#: Classes that FinerCAM sets a class against: those of the nearest scores (the paper compares with three).
_COMPARED = 3

#: Numbers of the masked faces that Score-CAM lays out at once: a quarter of a gigabyte.
_TOGETHER = 64 * 2**20


@register_method(
    "gradcam++", "weights from second and third powers of the gradient", "Chattopadhay et al. 2018 (arXiv:1710.11063)"
)
def gradcam_plus_plus(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM whose weights favour every place that raises the score, so that several spots show."""
    from pytorch_grad_cam import GradCAMPlusPlus

    from analysis.explain.package import package_maps

    return package_maps(GradCAMPlusPlus, model, inputs, layers, aim)


@register_method("xgradcam", "gradients weighted by the activation's share", "Fu et al. 2020 (arXiv:2008.02312)")
def xgradcam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM with gradients averaged in proportion to the activations."""
    from pytorch_grad_cam import XGradCAM

    from analysis.explain.package import package_maps

    return package_maps(XGradCAM, model, inputs, layers, aim)


@register_method("finercam", "what sets a class apart from the three nearest", "Zhang et al. 2025 (arXiv:2501.11309)")
def finercam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM of the class's score over those of the classes whose scores are nearest; a contrast given replaces them."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget

    from analysis.explain.package import maps_of, package_maps

    if aim.against is not None:
        return package_maps(GradCAM, model, inputs, layers, aim)
    with torch.no_grad():
        logits = model(inputs)
    targets = [
        FinerWeightedTarget(own, _nearest(row, own), 1.0)
        for row, own in zip(logits, aim.classes(logits.cpu().numpy()).tolist(), strict=True)
    ]
    return maps_of(GradCAM, model, inputs, layers, targets, logits)


def _nearest(logits: torch.Tensor, own: int) -> list[int]:
    distance = (logits - logits[own]).abs()
    distance[own] = -1.0
    return [int(i) for i in distance.argsort(stable=True)[1 : 1 + _COMPARED]]


@register_method(
    "eigencam",
    "first principal component of the activations",
    "Muhammad & Yeasin 2020 (arXiv:2008.00299)",
    follows_target=False,
)
def eigencam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """What a layer is most about, whatever the class; its strongest deviation counts as positive.

    A component has no sign of its own: without that rule (Chung & Ying 2025, doi:10.3390/app15137562) the maps of faces
    are turned round by chance.
    """
    from analysis.explain.package import SignedEigenCAM, package_maps

    return package_maps(SignedEigenCAM, model, inputs, layers, aim)


@register_method(
    "scorecam",
    "channels weighted by the score of the face seen through them",
    "Wang et al. 2020 (arXiv:1910.01279)",
    passes="1 a channel",
)
def scorecam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Every channel as a mask over the face; its weight is the score that the masked face gets."""
    from pytorch_grad_cam import ScoreCAM

    from analysis.explain.package import package_maps

    _, outputs = outputs_of(model, inputs[:1], layers)
    # the package lays every face out once a channel
    numbers = max(layers.maps(output).shape[1] for output in outputs) * inputs[0].numel()
    step = max(1, _TOGETHER // numbers)
    parts = [
        package_maps(ScoreCAM, model, inputs[start : start + step], layers, aim.part(start, start + step))
        for start in range(0, len(inputs), step)
    ]
    values, peaks, logits = (torch.cat([getattr(part, name) for part in parts]) for name in ("values", "peaks", "logits"))
    return Maps(values, peaks, logits)
