"""Every architecture as ONNX: the same predictions without torch, and the same Grad-CAM where its head allows a formula."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.explain import explain
from analysis.question import Question, ask
from fer import checkpoint as checkpoints
from fer.card import Card
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.export import export
from fer.models import MODELS
from fer.portable import load
from fer.predict import Predictor
from fer.types import Box, Face, softmax

#: Architectures whose maps no formula of their last layers gives.
WITHOUT_MAPS = {"vit": "tokens, not places", "ensemble": "2 layers"}
#: Left out where memory and time matter: its last layers are those of torchvision's other nets.
FORMS = [(name, "small") for name in MODELS] + [("resnet18", "imagenet"), ("mobilenet_v3_small", "imagenet")]


@pytest.fixture(scope="module", params=FORMS, ids="-".join)
def pair(request, tmp_path_factory):
    """A random checkpoint whose batch norms do something, and the ONNX made of it."""
    architecture, form = request.param
    torch.manual_seed(5)
    spec = MODELS[architecture].variants[form]
    model = spec.build(len(EMOTIONS), 0.3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    card = Card(architecture, form, EMOTIONS, spec.preprocess, config={"dropout": 0.3}, temperature=1.7)
    checkpoint = checkpoints.Checkpoint(model, card, architecture)
    path = tmp_path_factory.mktemp("export") / "m.onnx"
    export(checkpoint, path)
    return checkpoint, load(path)


@pytest.fixture(scope="module")
def faces():
    """Three faces of different sizes."""
    rng = np.random.default_rng(3)
    sizes = ((48, 48), (70, 61), (33, 40))
    return [Face(rng.integers(0, 256, (h, w, 3), dtype=np.uint8), Box(0, 0, w, h), 1.0, "test") for h, w in sizes]


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_predictions_are_those_of_torch(pair, faces, tta):
    checkpoint, portable = pair
    expected, found = (Predictor(model, "none", tta).judge(faces) for model in (checkpoint, portable))
    for one, other in zip(expected, found, strict=True):
        assert other.classes == one.classes
        np.testing.assert_allclose(other.probs, one.probs, atol=1e-4)
        np.testing.assert_allclose(other.logits, one.logits, atol=1e-4)


@pytest.mark.parametrize(
    "question", [Question(), Question("fear"), Question("top1", against="top2")], ids=["own", "one", "two"]
)
def test_heatmaps_are_those_of_torch(pair, faces, question):
    checkpoint, portable = pair
    reason = WITHOUT_MAPS.get(checkpoint.card.architecture)
    if reason:
        with pytest.raises(ConfigError, match=f"no heatmaps without torch.*{reason}"):
            ask(portable, faces, question)
        return
    expected = explain(checkpoint, faces, question.target, against=question.against)
    found = ask(portable, faces, question)
    for one, other in zip(expected, found, strict=True):
        assert (other.target, other.against, other.method) == (one.target, one.against, one.method)
        np.testing.assert_allclose(other.values, one.values, atol=1e-3)
        assert other.peak == pytest.approx(one.peak, rel=1e-3, abs=1e-7)


def test_a_batch_of_any_size_is_answered(pair):
    _, portable = pair
    pixels = np.random.default_rng(1).integers(0, 256, (67, 1, 48, 48), dtype=np.uint8)
    together = portable.answer(pixels)
    assert together.shape == (67, len(EMOTIONS))
    assert portable.answer(pixels[:0]).shape == (0, len(EMOTIONS))
    np.testing.assert_allclose(portable.answer(pixels[64:65])[0], together[64], atol=1e-4)
    assert np.ptp(softmax(together), axis=0).max() > 0  # faces are told apart, or the test would say nothing
