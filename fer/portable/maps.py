"""Grad-CAM in closed form: a weighted sum of the channels that an exported model gives beside its logits."""

import numpy as np
import numpy.typing as npt

from fer.types import FloatArray

#: A map is a sum of some hundred float32 products; differences below this part of its values say nothing.
ROUNDING = 1e-6


def class_maps(features: FloatArray, weights: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Maps float32 (N, size, size) in 0..1 and their peaks (N,) ≥ 0, as the method ``gradcam`` makes them with torch.

    Args:
        features: (N, K, h, w), the channels of the layer that is looked at.
        weights: (N, K), the mean gradient of the explained score over each channel.
        size: side of the network's input in pixels.

    >>> values, peaks = class_maps(np.array([[[[0.0, 1.0]]]], np.float32), np.array([[2.0]], np.float32), 2)
    >>> values[0, 0].round(4).tolist(), peaks.tolist()
    ([0.0, 1.0], [2.0])
    """
    import cv2  # a server that trains has none

    raw = np.einsum("nkhw,nk->nhw", features, weights).clip(min=0)
    large = np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR) for one in _unit(raw)])
    return _unit(large), raw.max(axis=(1, 2))


def _unit(raw: npt.NDArray[np.float32]) -> FloatArray:
    """Each map's range stretched to 0..1; flat maps stay flat."""
    shifted = raw - raw.min(axis=(1, 2), keepdims=True)
    span = shifted.max(axis=(1, 2), keepdims=True)
    flat = span <= ROUNDING * np.abs(raw).max(axis=(1, 2), keepdims=True)
    return np.where(flat, np.float32(0), shifted / (np.float32(1e-7) + span)).astype(np.float32)
