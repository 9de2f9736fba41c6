"""Grad-CAM against one computed by hand, and against evidence planted where it must be found."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from analysis.explain import explain
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.models.baseline import Baseline

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def checkpoint_of(model: nn.Module, architecture: str) -> Checkpoint:
    card = Card(architecture, "small", EMOTIONS, MODELS[architecture].variants["small"].preprocess)
    return Checkpoint(model.eval(), card, architecture)


def by_hand(model: nn.Module, layer: nn.Module, x: torch.Tensor, target: int, reshape=None) -> torch.Tensor:
    """relu(Σ mean-gradient × channel) of one face, float32 (h, w), straight from autograd."""
    kept: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    score = model(x)[0, target]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    maps, gradient = (reshape(t) if reshape else t for t in (kept[0], gradient))
    weights = gradient[0].mean(dim=(1, 2))
    return F.relu((weights[:, None, None] * maps[0]).sum(0)).detach()


def enlarged_to_unit(raw: torch.Tensor, size: int) -> np.ndarray:
    """Bilinear to (size, size), then its range stretched to 0..1."""
    large = F.interpolate(raw[None, None], size=(size, size), mode="bilinear", align_corners=False)[0, 0]
    return ((large - large.min()) / (large.max() - large.min())).numpy()


@pytest.mark.parametrize("architecture", [name for name in MODELS if len(MODELS[name].variants["small"].cam_layers) == 1])
def test_it_equals_grad_cam_computed_by_hand(architecture):
    torch.manual_seed(0)
    spec = MODELS[architecture].variants["small"]
    model = spec.build(len(EMOTIONS), 0.0)
    with torch.no_grad():  # strong scores: the package guards its division by adding 1e-7, which shows in faint maps
        [m for m in model.modules() if isinstance(m, nn.Linear)][-1].weight *= 100_000
    checkpoint = checkpoint_of(model, architecture)
    faces = torch.randint(0, 256, (2, 1, 48, 48), dtype=torch.uint8)
    layer = checkpoint.model.get_submodule(spec.cam_layers[0])
    compared = 0
    for target, name in enumerate(EMOTIONS):
        for face, heatmap in zip(faces, explain(checkpoint, faces, name), strict=True):
            raw = by_hand(checkpoint.model, layer, model_input(face[None], spec.preprocess), target, spec.reshape)
            assert heatmap.peak == pytest.approx(float(raw.max()), rel=1e-3, abs=1e-9)
            if raw.max() > 0:
                np.testing.assert_allclose(heatmap.values, enlarged_to_unit(raw, spec.preprocess.size), atol=2e-3)
                compared += 1
    assert compared >= 3


def passing(conv: nn.Conv2d, routes: dict[tuple[int, int], float]) -> None:
    """Make a convolution hand single channels on: {(to, from): factor}, everything else 0."""
    conv.weight.zero_()
    conv.bias.zero_()
    for (to, source), factor in routes.items():
        conv.weight[to, source, 1, 1] = factor


@torch.no_grad()
def bright_is_happy_and_dark_is_sad() -> Checkpoint:
    """A ``baseline`` whose first channel sees bright places, its second dark ones, and whose classes average them."""
    model = Baseline(len(EMOTIONS), 0.0)
    passing(model.conv1[0], {(0, 0): 1.0, (1, 0): -1.0})
    for conv in (model.conv2[0], model.conv3[0]):
        passing(conv, {(0, 0): 1.0, (1, 1): 1.0})
    dense, last = model.hidden[2], model.head[1]
    for parameter in (dense.weight, dense.bias, last.weight, last.bias):
        parameter.zero_()
    dense.weight[0, :36] = dense.weight[1, 36:72] = 1 / 36  # the mean of a 6×6 map
    last.weight[HAPPY, 0] = last.weight[SAD, 1] = 1.0
    return checkpoint_of(model, "baseline")


def grey_face_with(patches: dict[tuple[int, int], int]) -> torch.Tensor:
    """Mid-grey uint8 (1, 1, 48, 48) with a 12-pixel square of some brightness at each (top, left)."""
    face = torch.full((1, 1, 48, 48), 129, dtype=torch.uint8)
    for (top, left), value in patches.items():
        face[..., top : top + 12, left : left + 12] = value
    return face


@pytest.mark.parametrize("bright, dark", [((0, 0), (36, 36)), ((36, 0), (0, 24)), ((12, 24), (24, 0))])
def test_the_place_that_decides_lights_up_and_nothing_else(bright, dark):
    checkpoint = bright_is_happy_and_dark_is_sad()
    face = grey_face_with({bright: 255, dark: 0})
    for target, (top, left) in (("happy", bright), ("sad", dark)):
        (heatmap,) = explain(checkpoint, face, target)
        near = np.zeros((48, 48), bool)  # one cell of the 12×12 map is 4 pixels, and enlarging reaches one cell further
        near[max(0, top - 4) : top + 16, max(0, left - 4) : left + 16] = True
        assert heatmap.values[top + 3 : top + 9, left + 3 : left + 9].min() > 0.9
        assert heatmap.values[~near].max() < 0.02


def test_the_peak_is_the_raw_value_at_the_hottest_spot():
    (heatmap,) = explain(bright_is_happy_and_dark_is_sad(), grey_face_with({(12, 12): 255}), "happy")
    # 36 gradients of 1/36 over 144 places, times the standardised white
    assert heatmap.peak == pytest.approx((1 - 0.5077) / 0.2550 / 144, rel=1e-4)


def test_evidence_against_a_class_leaves_its_map_empty():
    checkpoint = bright_is_happy_and_dark_is_sad()
    with torch.no_grad():
        checkpoint.model.head[1].weight[SAD, 0] = -1.0
        checkpoint.model.head[1].weight[SAD, 1] = 0.0
    (heatmap,) = explain(checkpoint, grey_face_with({(12, 12): 255}), "sad")
    assert heatmap.peak == 0 and heatmap.values.max() == 0


def test_occlusion_lights_up_what_speaks_for_a_class_and_not_what_speaks_against_it():
    checkpoint = bright_is_happy_and_dark_is_sad()
    with torch.no_grad():
        checkpoint.model.head[1].weight[HAPPY, 1] = -1.0  # dark places speak against happy
    (heatmap,) = explain(checkpoint, grey_face_with({(6, 6): 255, (30, 30): 0}), "happy", "occlusion")
    assert heatmap.peak > 0
    assert heatmap.values[10:14, 10:14].min() > 0.9 and heatmap.values[28:44, 28:44].max() < 0.02
