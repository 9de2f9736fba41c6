"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), by the grad-cam package."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from analysis.explain.method import METHODS, Layers, Maps


class _Recording(GradCAM):  # type: ignore[misc]  # the package has no types
    """Keeps the maps before the package scales them, for their peaks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.raw: list[npt.NDArray[np.float32]] = []

    def get_cam_image(self, *args: object, **kwargs: object) -> npt.NDArray[np.float32]:
        self.raw.append(super().get_cam_image(*args, **kwargs))
        return self.raw[-1]


@METHODS.register("gradcam")
def gradcam(model: nn.Module, inputs: torch.Tensor, layers: Layers, targets: list[int]) -> Maps:
    """Channels of a layer, weighted by the mean gradient of the target's logit; negative parts dropped."""
    cam = _Recording(model, list(layers.modules), reshape_transform=layers.reshape)
    try:  # not by the package's own `with`, which prints some errors to stdout and goes on
        scaled = cam(inputs.requires_grad_(True), [ClassifierOutputTarget(target) for target in targets])
        peaks = np.mean([raw.reshape(len(raw), -1).max(axis=1).clip(min=0) for raw in cam.raw], axis=0)
    finally:
        cam.activations_and_grads.release()
    return Maps(np.clip(scaled, 0, 1).astype(np.float32), peaks.astype(np.float32))
