"""Enlarging faces to a net's input on a CPU: as ``F.interpolate`` does it, several times faster."""

from collections.abc import Sequence

import torch

# So many faces are enlarged before their channels are written, in one call a channel: few enough at 224 pixels to be still in a
# core's own cache then.
_CHUNK = 4


def enlarge_standardised(pixels: torch.Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Enlarge one channel bilinearly (``align_corners=False``), write it standardised into every channel of the result.

    OpenCV enlarges, a few faces at a time; not differentiable.

    Args:
        pixels: float32 (N, 1, H, W) on the CPU, H and W at most ``size``.
        size: side of the result.
        mean: one value a channel.
        std: one value a channel.

    Returns:
        float32 (N, C, size, size).

    >>> enlarge_standardised(torch.ones(2, 1, 48, 48), 64, [0.5] * 3, [0.5] * 3).unique()
    tensor([1.])
    """
    import cv2  # not at the start: most networks see faces as they are

    result = torch.empty(len(pixels), len(mean), size, size)
    buffer = torch.empty(min(_CHUNK, len(pixels)), 1, size, size)
    places, faces = buffer.numpy()[:, 0], pixels.contiguous().numpy()[:, 0]
    moves = [(torch.tensor(-m / s), 1 / s) for m, s in zip(mean, std, strict=True)]
    for start in range(0, len(pixels), _CHUNK):
        chunk = faces[start : start + _CHUNK]
        for face, place in zip(chunk, places, strict=False):
            cv2.resize(face, (size, size), place, interpolation=cv2.INTER_LINEAR)
        large, part = buffer[: len(chunk)], result[start : start + _CHUNK]
        for channel, (shift, scale) in enumerate(moves):
            torch.add(shift, large, alpha=scale, out=part[:, channel : channel + 1])
    return result
