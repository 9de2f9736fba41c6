"""The fast path gives the grad-cam package's maps, for every architecture."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from analysis.explain import explain
from analysis.explain.method import Layers, untouched
from analysis.explain.package import package_maps
from fer.aim import Aim
from fer.card import Card
from fer.checkpoint import Checkpoint, load
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.models import MODELS
from tests.conftest import unpacked
from tests.fakes import fake_face

PACKAGE = {"gradcam": GradCAM, "layercam": LayerCAM, "hirescam": HiResCAM}


def checkpoint_of(architecture: str) -> Checkpoint:
    torch.manual_seed(3)
    spec = MODELS[architecture].variants["small"]
    model = spec.build(len(EMOTIONS), 0.2).eval()
    with torch.no_grad():  # strong scores: faint maps stay faint, since the package adds 1e-7 to what it divides by
        [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1].weight *= 1e6
    return unpacked(Checkpoint(model, Card(architecture, "small", EMOTIONS, spec.preprocess), architecture))


@pytest.mark.parametrize("name", ["custom_cnn", "baseline"])
@pytest.mark.parametrize("method", list(PACKAGE))
def test_in_the_form_for_a_cpu_a_trained_network_gives_the_packages_maps(method, name):
    checkpoint = load(name)
    spec, model = checkpoint.card.spec, checkpoint.model
    pictures = np.stack([fake_face(label, seed) for label in EMOTIONS for seed in range(3)]).astype(np.int64)
    # with grain: where two places of a drawn face are alike, rounding decides which of them a maximum is taken from
    grain = np.random.default_rng(0).integers(-12, 13, pictures.shape)
    faces = torch.from_numpy((pictures + grain).clip(0, 255).astype(np.uint8))[:, None]
    layers = [model.get_submodule(layer) for layer in spec.cam_layers]
    with untouched(model), PACKAGE[method](model, layers, spec.reshape) as cam:
        expected = cam(
            model_input(faces, checkpoint.card.preprocess).requires_grad_(), [ClassifierOutputTarget(3)] * len(faces)
        )
    heatmaps = explain(checkpoint, faces, EMOTIONS[3], method)
    assert checkpoint.runner is not model
    np.testing.assert_allclose(np.stack([heatmap.values for heatmap in heatmaps]), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", list(MODELS))
@pytest.mark.parametrize("method", list(PACKAGE))
def test_it_equals_the_package(architecture, method):
    checkpoint = checkpoint_of(architecture)
    spec, model = checkpoint.card.spec, checkpoint.model
    faces = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    layers = [model.get_submodule(name) for name in spec.cam_layers]
    with untouched(model), PACKAGE[method](model, layers, spec.reshape) as cam:
        inputs = model_input(faces, spec.preprocess).requires_grad_()
        expected = cam(inputs, [ClassifierOutputTarget(i) for i in (0, 3, 6)])
    # an ensemble is explained member by member (tests/fer/test_ensembles.py), unless layers are named
    named = spec.cam_layers if MODELS[architecture].compose else ()
    heatmaps = explain(checkpoint, faces, [EMOTIONS[i] for i in (0, 3, 6)], method, layers=named)
    for heatmap, values in zip(heatmaps, expected, strict=True):
        np.testing.assert_allclose(heatmap.values, values, atol=1e-5)
    assert max(heatmap.values.max() for heatmap in heatmaps) > 0.1


@pytest.mark.parametrize("method", list(PACKAGE))
def test_a_contrast_equals_the_package_on_the_difference_of_two_scores(method):
    checkpoint = checkpoint_of("resnet18")
    spec, model = checkpoint.card.spec, checkpoint.model
    faces = torch.randint(0, 256, (2, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(6))
    layers = Layers.of(model, spec)
    with untouched(model):
        expected = package_maps(PACKAGE[method], model, model_input(faces, spec.preprocess), layers, Aim((2, 2), (6, 6)))
    heatmaps = explain(checkpoint, faces, "fear", method, against="surprise")
    for heatmap, values, peak in zip(heatmaps, expected.values.numpy(), expected.peaks, strict=True):
        np.testing.assert_allclose(heatmap.values, values, atol=1e-5)
        assert heatmap.peak == pytest.approx(float(peak), rel=1e-4)


def test_another_layer_is_read_where_it_is_named():
    checkpoint = checkpoint_of("resnet18")
    faces = torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    model = checkpoint.model
    with untouched(model), GradCAM(model, [model.layer2, model.layer4]) as cam:
        expected = cam(model_input(faces, checkpoint.card.preprocess).requires_grad_(), [ClassifierOutputTarget(1)])
    (heatmap,) = explain(checkpoint, faces, "disgust", layers=("layer2", "layer4"))
    np.testing.assert_allclose(heatmap.values, expected[0], atol=1e-5)
