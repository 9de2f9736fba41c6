"""Class activation maps by the grad-cam package (jacobgil/pytorch-grad-cam): those that need more than the head's gradient."""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, ScoreCAM, XGradCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction
from torch import nn

from analysis.explain.method import Layers, Maps, outputs_of, register_method, score_weights
from fer.aim import Aim

#: Logits of one face → the score that is explained.
Target = Callable[[torch.Tensor], torch.Tensor]

#: Classes that FinerCAM sets a class against: those of the nearest scores (the paper compares with three).
_COMPARED = 3

#: Numbers of the masked faces that Score-CAM lays out at once: a quarter of a gigabyte.
_TOGETHER = 64 * 2**20


def package_maps(kind: type[BaseCAM], model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim, **options: Any) -> Maps:
    """Maps of one of the package's classes, for the scores that ``aim`` names."""
    with torch.no_grad():
        logits = model(inputs)
    targets: list[Target] = [lambda output, w=w: (output * w).sum() for w in score_weights(aim, logits)]  # type: ignore[misc]
    return _run(kind, model, inputs, layers, targets, logits, **options)


def _run(
    kind: type[BaseCAM],
    model: nn.Module,
    inputs: torch.Tensor,
    layers: Layers,
    targets: Sequence[Target],
    logits: torch.Tensor,
    **options: Any,
) -> Maps:
    raw: list[npt.NDArray[np.float32]] = []

    class Recording(kind):  # type: ignore[misc]  # keeps the maps before the package scales them, for their peaks
        def get_cam_image(self, *args: object, **kwargs: object) -> npt.NDArray[np.float32]:
            raw.append(super().get_cam_image(*args, **kwargs))
            return raw[-1]

    cam = Recording(model, list(layers.modules), reshape_transform=layers.reshape, **options)
    try:  # not by the package's own `with`, which prints some errors to stdout and goes on
        with redirect_stderr(io.StringIO()):  # it draws a progress bar for every face
            scaled = cam(inputs.detach().requires_grad_(cam.uses_gradients), list(targets))
        peaks = np.mean([one.reshape(len(one), -1).max(axis=1).clip(min=0) for one in raw], axis=0)
    finally:
        cam.activations_and_grads.release()
    values = np.nan_to_num(scaled, nan=0.0).clip(0, 1).astype(np.float32)
    strongest = np.nan_to_num(peaks).astype(np.float32)
    return Maps(torch.from_numpy(values).to(inputs.device), torch.from_numpy(strongest).to(inputs.device), logits)


@register_method(
    "gradcam++", "weights from second and third powers of the gradient", "Chattopadhay et al. 2018 (arXiv:1710.11063)"
)
def gradcam_plus_plus(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM whose weights favour every place that raises the score, so that several spots show."""
    return package_maps(GradCAMPlusPlus, model, inputs, layers, aim)


@register_method("xgradcam", "gradients weighted by the activation's share", "Fu et al. 2020 (arXiv:2008.02312)")
def xgradcam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM with gradients averaged in proportion to the activations."""
    return package_maps(XGradCAM, model, inputs, layers, aim)


@register_method("finercam", "what sets a class apart from the three nearest", "Zhang et al. 2025 (arXiv:2501.11309)")
def finercam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Grad-CAM of the class's score over those of the classes whose scores are nearest; a contrast given replaces them."""
    if aim.against is not None:
        return package_maps(GradCAM, model, inputs, layers, aim)
    with torch.no_grad():
        logits = model(inputs)
    targets = [
        FinerWeightedTarget(own, _nearest(row, own), 1.0)
        for row, own in zip(logits, aim.classes(logits.cpu().numpy()).tolist(), strict=True)
    ]
    return _run(GradCAM, model, inputs, layers, targets, logits)


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
    return package_maps(_SignedEigenCAM, model, inputs, layers, aim)


class _SignedEigenCAM(EigenCAM):  # type: ignore[misc]
    def get_cam_image(self, *args: Any, **_: object) -> npt.NDArray[np.float32]:
        # double precision holds the mean of equal numbers exactly: a flat layer has no component made of rounding
        activations = np.asarray(args[3], dtype=np.float64)
        return np.asarray(get_2d_projection_with_sign_correction(activations))


@register_method(
    "scorecam",
    "channels weighted by the score of the face seen through them",
    "Wang et al. 2020 (arXiv:1910.01279)",
    passes="1 a channel",
)
def scorecam(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Every channel as a mask over the face; its weight is the score that the masked face gets."""
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
