"""Enlarging faces to a net's input on a CPU: as ``F.interpolate`` does it, several times faster."""

import functools
from collections.abc import Sequence

import torch

# So many enlarged faces stay in a core's cache until their channels are written (8 is the fastest of 2, 4, 8 and 128).
_CHUNK = 8


def enlarge_standardised(pixels: torch.Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Enlarge one channel bilinearly (``align_corners=False``), write it standardised into every channel of the result.

    Columns are a matrix product, rows a blend of two neighbours, a few faces at a time; not differentiable.

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
    n, _, height, width = pixels.shape
    columns = _matrix(width, size)
    first, second, share = _neighbours(height, size)
    result = torch.empty(n, len(mean), size, size)
    for start in range(0, n, _CHUNK):
        chunk = pixels[start : start + _CHUNK]
        with torch.autocast("cpu", enabled=False):  # in bfloat16 every pixel would be rounded
            wide = (chunk.reshape(-1, width) @ columns).view(len(chunk), 1, height, size)
        large = torch.lerp(wide.index_select(2, first), wide.index_select(2, second), share)
        for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
            torch.add(torch.tensor(-m / s), large, alpha=1 / s, out=result[start : start + _CHUNK, channel : channel + 1])
    return result


@functools.lru_cache(maxsize=16)
def _neighbours(old: int, new: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For every new place the two old ones beside it, and the share (new, 1) of the second."""
    place = ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5).clamp(0, old - 1)
    first = place.long().clamp(max=max(0, old - 2))
    return first, (first + 1).clamp(max=old - 1), (place - first).float().unsqueeze(1)


@functools.lru_cache(maxsize=16)
def _matrix(old: int, new: int) -> torch.Tensor:
    """float32 (old, new): every new place as a blend of old ones."""
    first, second, share = _neighbours(old, new)
    matrix = torch.zeros(new, old)
    matrix.scatter_add_(1, first.unsqueeze(1), 1 - share).scatter_add_(1, second.unsqueeze(1), share)
    return matrix.T.contiguous()
