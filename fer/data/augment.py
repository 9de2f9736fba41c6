"""Augmentation of a whole batch on its device, with one independent draw per image.

Geometry is one warp: flip, rotation, zoom and shift are composed into a sampling grid built here
(the coordinates are a product of a small matrix a face and a fixed grid), at the native 48 pixels.
"""

import math

import torch
import torch.nn.functional as F

from fer.config import Augmentation
from fer.types import FACE_SIZE


def augment(
    pixels: torch.Tensor, config: Augmentation, generator: torch.Generator, mirrored: torch.Tensor | None = None
) -> torch.Tensor:
    """Randomly warped, relit, noisy and erased copies.

    Args:
        pixels: float32 (N, 1, H, W), 0..1.
        config: how far the draws reach; see :class:`fer.config.Augmentation` for the units.
        generator: source of all randomness, on the device of ``pixels``.
        mirrored: bool (N,), which faces to mirror, where that is not drawn (see :func:`alternate_flips`).

    Returns:
        float32 (N, 1, H, W), 0..1.
    """
    pixels = warp(pixels, _matrices(pixels.shape, config, generator, mirrored))
    if config.brightness or config.contrast:
        pixels = _relight(pixels, config, generator)
    if config.noise:
        pixels = _add_noise(pixels, config.noise, generator)
    if config.erase:
        pixels = _erase(pixels, config.erase, generator)
    return pixels


def alternate_flips(n: int, seed: int, epoch: int, device: torch.device) -> torch.Tensor:
    """bool (N,): a random half of all faces in odd epochs, the other half in even ones (Jordan 2024, arXiv:2404.00498)."""
    first = torch.randint(0, 2, (n,), generator=torch.Generator(device).manual_seed(seed), device=device)
    return (first + epoch) % 2 == 0


def warp(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Sample (N, 1, H, W) at affine coordinates: ``matrices`` float32 (N, 2, 3) map output to input in −1..1.

    Pixels from outside the face repeat its border.
    """
    height, width = pixels.shape[-2:]
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=pixels.device)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=pixels.device)
    a = matrices.unsqueeze(-1)
    # a column's part (N,1,W) and a row's (N,H,1), x and y as one complex number: a single sum makes the whole grid
    columns = torch.complex(a[:, 0, 0] * x, a[:, 1, 0] * x).unsqueeze(1)
    rows = torch.complex(a[:, 0, 1] * y + a[:, 0, 2], a[:, 1, 1] * y + a[:, 1, 2]).unsqueeze(2)
    grid = torch.view_as_real(columns + rows)
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


def cutmix(
    pixels: torch.Tensor, targets: torch.Tensor, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a rectangle of another face into every face; targets mix by area (Yun et al. 2019, arXiv:1905.04899).

    Arguments as of :func:`mixup`. The own part stays the larger one.
    """
    n, _, height, width = pixels.shape
    share = _beta(n, alpha, generator)
    side = (1 - torch.maximum(share, 1 - share)).sqrt()
    centre = torch.rand(2, n, generator=generator, device=generator.device)
    inside, area = _rectangle((height, width), side * height, side * width, centre)
    partner = torch.randperm(n, generator=generator, device=pixels.device)
    kept = (1 - area).unsqueeze(1)
    return torch.where(inside.unsqueeze(1), pixels[partner], pixels), kept * targets + (1 - kept) * targets[partner]


def _beta(n: int, alpha: float, generator: torch.Generator) -> torch.Tensor:
    """Symmetric Beta(α, α) draws as a ratio of Gamma draws; only the private sampler can be given a generator."""
    x, y = torch._standard_gamma(
        torch.full((2, n), alpha, dtype=torch.float64, device=generator.device), generator=generator
    ).unbind()
    # for tiny α both draws can vanish
    return torch.where(x + y > 0, x / (x + y), 0.5).float()


def _rectangle(
    size: tuple[int, int], h: torch.Tensor, w: torch.Tensor, place: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """bool (N, H, W) rectangles of h×w pixels wholly inside the face, and the share of its pixels that each covers.

    ``place`` float32 (2, N) in 0..1 is where in the free space it lies.
    """
    height, width = size
    top, left = place[0] * (height - h), place[1] * (width - w)
    y = torch.arange(height, device=h.device).view(1, -1, 1)
    x = torch.arange(width, device=h.device).view(1, 1, -1)
    top, left, bottom, right = (v.view(-1, 1, 1) for v in (top, left, top + h, left + w))
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    return inside, inside.float().mean(dim=(1, 2))


def _uniform(n: int, reach: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(n, generator=generator, device=generator.device) * 2 - 1) * reach


def _matrices(
    shape: torch.Size, config: Augmentation, generator: torch.Generator, mirrored: torch.Tensor | None
) -> torch.Tensor:
    n = shape[0]
    kept = config.crop / FACE_SIZE if config.crop else 1.0
    angle = _uniform(n, math.radians(config.rotate), generator)
    scale = kept * (1 + _uniform(n, config.zoom, generator))
    if mirrored is None:
        mirrored = torch.rand(n, generator=generator, device=generator.device) < config.flip
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    reach = 2 * config.shift + (1 - kept)
    shift_x, shift_y = _uniform(n, reach, generator), _uniform(n, reach, generator)
    rows = torch.stack((cos * sign, -sin, shift_x, sin * sign, cos, shift_y), dim=1)
    return rows.view(n, 2, 3)


def _relight(pixels: torch.Tensor, config: Augmentation, generator: torch.Generator) -> torch.Tensor:
    n = len(pixels)
    gain = (1 + _uniform(n, config.contrast, generator)).view(-1, 1, 1, 1)
    lift = _uniform(n, config.brightness, generator).view(-1, 1, 1, 1)
    middle = pixels.mean(dim=(2, 3), keepdim=True)
    return (pixels * gain).add_(middle * (1 - gain) + lift).clamp_(0, 1)


def _add_noise(pixels: torch.Tensor, reach: float, generator: torch.Generator) -> torch.Tensor:
    """What a camera adds in poor light: Gaussian, a draw a pixel, of a deviation drawn for every face."""
    deviation = reach * torch.rand(len(pixels), 1, 1, 1, generator=generator, device=generator.device)
    drawn = torch.randn(pixels.shape, generator=generator, device=generator.device)
    return torch.addcmul(pixels, drawn, deviation).clamp_(0, 1)


def _erase(pixels: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Blank one rectangle of 2–25 % of the area in some faces (Zhong et al. 2020)."""
    n, _, height, width = pixels.shape
    draw = torch.rand(5, n, generator=generator, device=generator.device)
    side = (0.02 + 0.23 * draw[0]).sqrt()
    aspect = torch.exp((draw[1] * 2 - 1) * math.log(2.0)).sqrt()
    inside, _area = _rectangle((height, width), side * aspect * height, side / aspect * width, draw[2:4])
    chosen = (draw[4] < probability).view(-1, 1, 1)
    return torch.where((inside & chosen).unsqueeze(1), pixels.mean(), pixels)
