"""Ablation-CAM, Score-CAM, EigenCAM, attributions of pixels and rollout, where libraries go wrong, against loops by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from analysis.explain import METHODS, cams, explain, package
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
    monkeypatch.setattr(cams, "_TOGETHER", 3 * 5 * 36)  # three faces of five channels
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


def linear_net() -> tuple[nn.Module, np.ndarray]:
    """Three classes that weigh 48×48 pixels, and their weights (3, 48, 48)."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 3)).eval()
    return net, net[1].weight.detach().numpy().reshape(3, 48, 48)


def covered(evidence: np.ndarray) -> np.ndarray:
    """Mean of what each of the 14×14 squares takes away, over those that cover a pixel."""
    lost, times = np.zeros((48, 48)), np.zeros((48, 48))
    for top in range(0, 40, 3):
        for left in range(0, 40, 3):
            square = np.s_[top : top + 9, left : left + 9]
            lost[square] += evidence[square].sum()
            times[square] += 1
    return lost / times


@pytest.mark.parametrize(("method", "of"), [("integrated-gradients", np.asarray), ("occlusion", covered)])
@pytest.mark.parametrize("aim", [Aim((0, 1, 2)), Aim((0, 0, 0), (1, 1, 2))], ids=["class", "contrast"])
def test_of_a_linear_net_the_map_is_what_each_pixel_adds_to_the_score(method, of, aim):
    net, weights = linear_net()
    faces, grey = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(4)), 0.3
    found = METHODS[method].run(net, faces, Layers((), (), None, (grey,)), aim)
    asked = np.tensordot(aim.weights(net(faces).detach().numpy()), weights, 1)
    for row, face in enumerate(faces[:, 0].numpy()):
        raw = of(asked[row] * (face - grey)).clip(0)
        assert float(found.peaks[row]) == pytest.approx(raw.max(), rel=1e-3)
        np.testing.assert_allclose(found.values[row], (raw - raw.min()) / (raw.max() - raw.min()), atol=2e-3)


def test_rollout_multiplies_the_layers_in_their_order_and_follows_the_class_token():
    torch.manual_seed(5)
    net = VisionTransformer(24, 6, 2, 2, 8, 16, num_classes=3)
    net.conv_proj = nn.Conv2d(1, 8, 6, stride=6)
    blocks = [layer.self_attention for layer in net.eval().encoder.layers]
    entering: list[torch.Tensor] = []
    with torch.no_grad():
        for block in blocks:
            block.in_proj_weight *= 4  # so that some places are looked at much more than others
        handles = [block.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0])) for block in blocks]
        faces = torch.randn(2, 1, 24, 24)
        net(faces)
        for handle in handles:
            handle.remove()
        looks = [block(x, x, x, need_weights=True)[1].numpy() for block, x in zip(blocks, entering, strict=True)]
        found = METHODS["rollout"].run(net, faces, Layers((), (), tokens_to_map), Aim())
    for row in range(2):
        first, second = ((look[row] + np.eye(17)) / 2 for look in looks)
        reached = (second @ first)[0, 1:].reshape(4, 4)
        assert np.abs(reached - (first @ second)[0, 1:].reshape(4, 4)).max() > 0.01 * reached.max()
        assert float(found.peaks[row]) == pytest.approx(reached.max(), rel=1e-4)
        raw = torch.from_numpy((reached - reached.min()) / (reached.max() - reached.min()))[None, None]
        large = nn.functional.interpolate(raw, size=(24, 24), mode="bilinear", align_corners=False)[0, 0].numpy()
        np.testing.assert_allclose(found.values[row], (large - large.min()) / (large.max() - large.min()), atol=1e-3)
