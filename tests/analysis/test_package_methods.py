"""Ablation-CAM, Score-CAM, EigenCAM and attributions of pixels where the usual libraries go wrong, against loops by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.explain import METHODS, explain, package
from analysis.explain.method import Layers
from fer.aim import Aim
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.models.blocks import tokens_to_map


class Small(nn.Module):
    """A convolution without ReLU, whose places are summed up with random weights."""

    def __init__(self, channels: int = 5) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.head = nn.Linear(channels * 36, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).flatten(1))


def layers_of(net: Small, reshape=None) -> Layers:
    return Layers((net.conv,), ("conv",), reshape)


FACES = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("reshape", [None, tokens_to_map], ids=["plain", "with a reshape that lets maps pass"])
@pytest.mark.parametrize("aim", [Aim((0, 1, 2, 0)), Aim((0, 0, 0, 0), (1, 1, 2, 2))], ids=["class", "contrast"])
@torch.no_grad()
def test_ablation_weighs_channels_by_what_the_score_loses_when_they_are_0(aim, reshape):
    net = Small().eval()
    found = METHODS["ablationcam"].run(net, FACES, layers_of(net, reshape), aim)
    signs = set()
    for row, face in enumerate(FACES):
        output = net.conv(face[None])
        asked = torch.from_numpy(aim.weights(net(FACES).numpy()))[row]
        score = (net.head(output.flatten(1))[0] * asked).sum()
        signs.add(bool(score > 0))
        raw = torch.zeros(6, 6)
        for channel in range(5):
            without = output.clone()
            without[:, channel] = 0
            raw += (score - (net.head(without.flatten(1))[0] * asked).sum()) / score.abs() * output[0, channel]
        raw = raw.clamp(min=0)
        assert float(found.peaks[row]) == pytest.approx(float(raw.max()), rel=1e-4)
        expected = (raw - raw.min()) / (raw.max() - raw.min() + 1e-7)
        np.testing.assert_allclose(found.values[row], expected, atol=1e-4)
    assert signs == {True, False}


def test_ablation_takes_channels_out_of_tokens():
    torch.manual_seed(0)
    spec = MODELS["vit"].variants["small"]
    net = spec.build(7, 0.0).eval()
    inputs, name = torch.rand(1, 1, 48, 48), spec.cam_layers[0]
    layers = Layers.of(net, spec)
    with torch.no_grad():
        found = METHODS["ablationcam"].run(net, inputs, layers, Aim((3,)))
        kept: list[torch.Tensor] = []
        handle = layers.modules[0].register_forward_hook(lambda _m, _i, output: kept.append(output))
        score = net(inputs)[0, 3]
        handle.remove()
        raw = torch.zeros(8, 8)
        for channel in range(kept[0].shape[-1]):
            without = kept[0].clone()
            without[..., channel] = 0
            handle = layers.modules[0].register_forward_hook(lambda *_, without=without: without)
            raw += (score - net(inputs)[0, 3]) / score.abs() * tokens_to_map(kept[0])[0, channel]
            handle.remove()
    assert float(found.peaks[0]) == pytest.approx(max(0.0, float(raw.max())), rel=1e-2), name


def test_the_sign_of_a_component_is_settled(monkeypatch):
    net = Small().eval()
    one = METHODS["eigencam"].run(net, FACES, layers_of(net), Aim())
    svd = np.linalg.svd

    def turned(*args, **options):
        u, s, vt = svd(*args, **options)
        return -u, s, -vt  # as good a decomposition

    monkeypatch.setattr(np.linalg, "svd", turned)
    other = METHODS["eigencam"].run(net, FACES, layers_of(net), Aim())
    np.testing.assert_allclose(one.values, other.values, atol=1e-6)


def test_score_cam_lays_out_no_more_than_fits(monkeypatch):
    net, aim = Small().eval(), Aim((0, 1, 2, 0))
    whole = METHODS["scorecam"].run(net, FACES, layers_of(net), aim)
    sizes, run = [], package.package_maps
    monkeypatch.setattr(package, "package_maps", lambda *args: sizes.append(len(args[2])) or run(*args))
    monkeypatch.setattr(package, "_TOGETHER", 3 * 5 * 36)  # three faces of five channels
    parts = METHODS["scorecam"].run(net, FACES, layers_of(net), aim)
    assert sizes == [3, 1]
    np.testing.assert_allclose(whole.values, parts.values, atol=1e-5)
    np.testing.assert_allclose(whole.logits, parts.logits, atol=1e-6)


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_a_grey_face_says_nothing_to_an_ensemble_either(method):
    torch.manual_seed(0)
    spec = MODELS["ensemble"].variants["small"]
    net = Checkpoint(spec.build(7, 0.0).eval(), Card("ensemble", "small", EMOTIONS, spec.preprocess), "ensemble")
    grey, white = (torch.full((1, 1, 48, 48), value, dtype=torch.uint8) for value in (129, 255))  # 0.5059 of 0.5077
    peaks = [max(explain(net, face, name, method)[0].peak for name in EMOTIONS[:3]) for face in (grey, white)]
    assert 0 <= peaks[0] < 0.05 * peaks[1]
