"""Augmentation of a whole batch on its device, with one independent draw per image.

Geometry is one warp: flip, rotation, zoom and shift are composed into a sampling grid built here
(the coordinates are a product of a small matrix a face and a fixed grid), at the native 48 pixels.
"""

import math

import torch
import torch.nn.functional as F

from fer.config import RunConfig


def augment(pixels: torch.Tensor, config: RunConfig, generator: torch.Generator) -> torch.Tensor:
    """Randomly warped, relit and erased copies.

    Args:
        pixels: float32 (N, 1, H, W), 0..1.
        config: how far the draws reach; see :class:`fer.config.RunConfig` for the units.
        generator: source of all randomness, on the device of ``pixels``.

    Returns:
        float32 (N, 1, H, W), 0..1.
    """
    pixels = warp(pixels, _matrices(len(pixels), config, generator))
    if config.brightness or config.contrast:
        pixels = _relight(pixels, config, generator)
    if config.erase:
        pixels = _erase(pixels, config.erase, generator)
    return pixels


def warp(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Sample (N, 1, H, W) at affine coordinates: ``matrices`` float32 (N, 2, 3) map output to input in −1..1.

    Pixels from outside the face repeat its border.
    """
    height, width = pixels.shape[-2:]
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=pixels.device)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=pixels.device)
    # (N,1,W) and (N,H,1) terms are added by broadcasting: cheaper than a matrix product over the full grid
    a = matrices.unsqueeze(-1)
    grid_x = (a[:, 0, 0] * x).unsqueeze(1) + (a[:, 0, 1] * y + a[:, 0, 2]).unsqueeze(2)
    grid_y = (a[:, 1, 0] * x).unsqueeze(1) + (a[:, 1, 1] * y + a[:, 1, 2]).unsqueeze(2)
    grid = torch.stack((grid_x, grid_y), dim=-1)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def mixup(
    pixels: torch.Tensor, targets: torch.Tensor, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend every face and its target with another's (Zhang et al. 2018), one draw per image.

    Args:
        pixels: float32 (N, 1, H, W).
        targets: float32 (N, C), rows summing to 1.
        alpha: both parameters of the Beta distribution, > 0.
        generator: source of randomness.
    """
    share = _beta(len(pixels), alpha, generator)
    share = torch.maximum(share, 1 - share)  # the face whose label is compared stays the stronger one
    partner = torch.randperm(len(pixels), generator=generator, device=pixels.device)
    blend = share.view(-1, 1, 1, 1)
    mixed = blend * pixels + (1 - blend) * pixels[partner]
    return mixed, share.view(-1, 1) * targets + (1 - share.view(-1, 1)) * targets[partner]


def _beta(n: int, alpha: float, generator: torch.Generator) -> torch.Tensor:
    """Symmetric Beta(α, α) draws: x^(1/α) / (x^(1/α) + y^(1/α)), kept where the sum ≤ 1 (Jöhnk 1964).

    torch's own sampler cannot be given a generator.
    """
    device = generator.device
    value = torch.full((n,), 0.5, device=device)
    pending = torch.ones(n, dtype=torch.bool, device=device)
    while pending.any():
        x, y = torch.rand(2, n, generator=generator, device=device, dtype=torch.float64) ** (1 / alpha)
        good = pending & (x + y <= 1) & (x + y > 0)
        value = torch.where(good, (x / (x + y)).float(), value)
        pending &= ~good
    return value


def _uniform(n: int, reach: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(n, generator=generator, device=generator.device) * 2 - 1) * reach


def _matrices(n: int, config: RunConfig, generator: torch.Generator) -> torch.Tensor:
    angle = _uniform(n, math.radians(config.rotate), generator)
    scale = 1 + _uniform(n, config.zoom, generator)
    mirrored = torch.rand(n, generator=generator, device=generator.device) < config.flip
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    shift_x, shift_y = _uniform(n, 2 * config.shift, generator), _uniform(n, 2 * config.shift, generator)
    rows = torch.stack((cos * sign, -sin, shift_x, sin * sign, cos, shift_y), dim=1)
    return rows.view(n, 2, 3)


def _relight(pixels: torch.Tensor, config: RunConfig, generator: torch.Generator) -> torch.Tensor:
    n = len(pixels)
    gain = (1 + _uniform(n, config.contrast, generator)).view(-1, 1, 1, 1)
    lift = _uniform(n, config.brightness, generator).view(-1, 1, 1, 1)
    middle = pixels.mean(dim=(2, 3), keepdim=True)
    return ((pixels - middle) * gain + middle + lift).clamp_(0, 1)


def _erase(pixels: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Blank one rectangle of 2–25 % of the area in some faces (Zhong et al. 2020)."""
    n, _, height, width = pixels.shape
    device = pixels.device
    draw = torch.rand(5, n, generator=generator, device=generator.device)
    side = (0.02 + 0.23 * draw[0]).sqrt()
    aspect = torch.exp((draw[1] * 2 - 1) * math.log(2.0)).sqrt()
    h, w = side * aspect * height, side / aspect * width
    top, left = draw[2] * (height - h), draw[3] * (width - w)
    y = torch.arange(height, device=device).view(1, -1, 1)
    x = torch.arange(width, device=device).view(1, 1, -1)
    chosen = draw[4] < probability
    top, left, bottom, right, chosen = (v.view(-1, 1, 1) for v in (top, left, top + h, left + w, chosen))
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right) & chosen
    return torch.where(inside.unsqueeze(1), pixels.mean(), pixels)
