"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), by the grad-cam package."""

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from analysis.explain.method import METHODS, Maps


class _Recording(GradCAM):  # type: ignore[misc]  # the package has no types
    """Keeps the map before the package scales it, for its peak."""

    raw: npt.NDArray[np.float32]

    def get_cam_image(self, *args: object, **kwargs: object) -> npt.NDArray[np.float32]:
        self.raw = super().get_cam_image(*args, **kwargs)
        return self.raw


@METHODS.register("gradcam")
def gradcam(model: nn.Module, inputs: torch.Tensor, layer: nn.Module, targets: list[int]) -> Maps:
    """Channels of a layer, weighted by the mean gradient of the target's logit; negative parts dropped."""
    cam = _Recording(model, [layer])
    try:  # not by the package's own `with`, which prints some errors to stdout and goes on
        scaled = cam(inputs.requires_grad_(True), [ClassifierOutputTarget(target) for target in targets])
        peaks = np.maximum(cam.raw.reshape(len(cam.raw), -1).max(axis=1), 0)
    finally:
        cam.activations_and_grads.release()
    return Maps(np.clip(scaled, 0, 1).astype(np.float32), peaks.astype(np.float32))
