"""Maps made by classes of the grad-cam package (jacobgil/pytorch-grad-cam); slow to import, so imported where a map is made."""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction
from torch import nn

from analysis.explain.method import Layers, Maps, score_weights
from fer.aim import Aim

#: Logits of one face → the score that is explained.
Target = Callable[[torch.Tensor], torch.Tensor]


def package_maps(kind: type[BaseCAM], model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """Maps of one of the package's classes, for the scores that ``aim`` names."""
    with torch.no_grad():
        logits = model(inputs)
    targets: list[Target] = [lambda output, w=w: (output * w).sum() for w in score_weights(aim, logits)]  # type: ignore[misc]
    return maps_of(kind, model, inputs, layers, targets, logits)


def maps_of(
    kind: type[BaseCAM],
    model: nn.Module,
    inputs: torch.Tensor,
    layers: Layers,
    targets: Sequence[Target],
    logits: torch.Tensor,
) -> Maps:
    """Maps of one of the package's classes, for one score a face; ``logits`` are what the network answered."""
    raw: list[npt.NDArray[np.float32]] = []

    class Recording(kind):  # type: ignore[misc]  # keeps the maps before the package scales them, for their peaks
        def get_cam_image(self, *args: object, **kwargs: object) -> npt.NDArray[np.float32]:
            raw.append(super().get_cam_image(*args, **kwargs))
            return raw[-1]

    cam = Recording(model, list(layers.modules), reshape_transform=layers.reshape)
    try:  # not by the package's own `with`, which prints some errors to stdout and goes on
        with redirect_stderr(io.StringIO()):  # it draws a progress bar for every face
            scaled = cam(inputs.detach().requires_grad_(cam.uses_gradients), list(targets))
        peaks = np.mean([one.reshape(len(one), -1).max(axis=1).clip(min=0) for one in raw], axis=0)
    finally:
        cam.activations_and_grads.release()
    values = np.nan_to_num(scaled, nan=0.0).clip(0, 1).astype(np.float32)
    strongest = np.nan_to_num(peaks).astype(np.float32)
    return Maps(torch.from_numpy(values).to(inputs.device), torch.from_numpy(strongest).to(inputs.device), logits)


class SignedEigenCAM(EigenCAM):  # type: ignore[misc]
    """Eigen-CAM with a sign that does not hang on chance, of activations in double precision."""

    def get_cam_image(self, *args: Any, **_: object) -> npt.NDArray[np.float32]:
        """The second part of the package's work on a batch, whose fourth argument is the activations (N, D, h, w)."""
        # double precision holds the mean of equal numbers exactly: a flat layer has no component made of rounding
        activations = np.asarray(args[3], dtype=np.float64)
        return np.asarray(get_2d_projection_with_sign_correction(activations))
