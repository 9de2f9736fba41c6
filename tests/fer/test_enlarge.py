"""Faces enlarged on a CPU: the same pixels as torch's own bilinear enlarging in float64."""

import pytest
import torch
import torch.nn.functional as F

from fer.data.enlarge import enlarge_standardised
from fer.data.preprocess import standardise
from fer.models.entry import IMAGENET
from fer.types import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(n: int, height: int = 48, width: int = 48) -> torch.Tensor:
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(n))


def oracle(pixels: torch.Tensor, size: int) -> torch.Tensor:
    large = F.interpolate(pixels.double(), size=(size, size), mode="bilinear", align_corners=False)
    return torch.cat([(large - m) / s for m, s in zip(MEAN, STD, strict=True)], dim=1).float()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("size", [48, 49, 64, 224, 240])
def test_pixels_are_those_of_bilinear_enlarging_for_any_number_of_faces(n, size):
    torch.testing.assert_close(enlarge_standardised(noise(n), size, MEAN, STD), oracle(noise(n), size), atol=3e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 48), (40, 48), (48, 40), (2, 3)])
def test_faces_need_not_be_square(height, width):
    pixels = noise(3, height, width)
    torch.testing.assert_close(enlarge_standardised(pixels, 48, MEAN, STD), oracle(pixels, 48), atol=3e-6, rtol=0)


def test_a_networks_input_is_enlarged_so_and_a_gradient_flows_where_one_is_wanted():
    fast = standardise(noise(9), IMAGENET)
    watched = noise(9).requires_grad_()
    slow = standardise(watched, IMAGENET)
    torch.testing.assert_close(fast, slow.detach(), atol=3e-5, rtol=0)  # torch weighs in float32
    slow.sum().backward()
    assert watched.grad is not None
    # every pixel of 48² weighs (224/48)² places in each channel, divided by its deviation
    assert float(watched.grad[0].sum()) == pytest.approx(224**2 * sum(1 / s for s in IMAGENET.std), rel=1e-4)


def test_neither_autocast_nor_inference_mode_change_a_pixel():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        within = enlarge_standardised(noise(9), 131, MEAN, STD)
    assert within.dtype == torch.float32
    torch.testing.assert_close(within, oracle(noise(9), 131), atol=3e-6, rtol=0)
    torch.testing.assert_close(enlarge_standardised(noise(9), 131, MEAN, STD), within, atol=0, rtol=0)


def test_a_smaller_input_is_reduced_with_antialiasing():
    pixels = noise(2)
    reduced = F.interpolate(pixels, size=(32, 32), mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(standardise(pixels, Preprocess(size=32, mean=(0.0,), std=(1.0,))), reduced)
