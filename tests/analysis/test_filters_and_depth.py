"""First-layer filters and maps by depth: which are shown, their numbers and their pictures."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy, norm, sem
from torch import nn
from torchvision.models import VisionTransformer

from analysis.explain import explain
from analysis.explain.stages import stages
from analysis.figures import depth as depth_figure
from analysis.figures import filters as filter_figure
from analysis.learnt.depth import by_depth, spread
from analysis.learnt.filters import FilterBank, first_filters
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.models import MODELS
from fer.types import Heatmap, PredictionTable
from tests.contracts.test_explainers import random_checkpoint, random_faces


def test_filters_stand_in_the_order_of_their_norms():
    checkpoint = random_checkpoint("gradcam")
    with torch.no_grad():
        checkpoint.model.conv1[0].weight[:] = 0
        checkpoint.model.conv1[0].weight[5, 0, 1, 1] = 2.0
        checkpoint.model.conv1[0].weight[9, 0, 0, :] = -3.0
    (bank,) = first_filters(checkpoint)
    std = checkpoint.card.preprocess.std[0]
    assert bank.places[:2] == (9, 5) and bank.layer == "conv1.0" and bank.member == ""
    assert bank.norms[:3] == pytest.approx([np.sqrt(27) / std, 2 / std, 0], rel=1e-5)
    assert bank.weights[0] == pytest.approx(np.array([[-3 / std] * 3, [0] * 3, [0] * 3]), rel=1e-5)
    assert bank.to_dict(2)["filters"] == [[[round(float(v), 4) for v in row] for row in one] for one in bank.weights[:2]]
    assert len(bank.to_dict(2)["norms"]) == 32


def test_equal_channels_of_a_grey_face_are_summed():
    spec = MODELS["resnet18"].variants["imagenet"]
    net = spec.build(7, 0.0)
    (bank,) = first_filters(Checkpoint(net, Card("resnet18", "imagenet", EMOTIONS, spec.preprocess), "r"))
    red, green, blue = net.conv1.weight.detach().numpy()[bank.places[0]]
    expected = red / 0.229 + green / 0.224 + blue / 0.225
    np.testing.assert_allclose(bank.weights[0], expected, rtol=1e-4, atol=1e-6)


def test_every_member_of_an_ensemble_has_its_own_filters():
    members = tuple({"architecture": name, "variant": "small"} for name in ("vit", "baseline"))
    spec = MODELS["ensemble"].form("small", members)
    net = spec.build(7, 0.0)
    card = Card("ensemble", "small", EMOTIONS, spec.preprocess, members=members)
    banks = first_filters(Checkpoint(net, card, "both"))
    assert [(b.layer, b.member) for b in banks] == [("members.0.conv_proj", "1 vit"), ("members.1.conv1.0", "2 baseline")]
    assert [b.weights.shape for b in banks] == [(192, 6, 6), (32, 3, 3)]
    fig = filter_figure.figure(banks, "title")
    titles = [ax.get_title() for ax in fig.axes if ax.get_title()]
    assert titles == [
        "1 vit: members.0.conv_proj, 64 of 192 filters by falling norm",
        "2 baseline: members.1.conv1.0, 32 filters by falling norm",
    ]


def test_a_network_without_a_convolution_is_an_expected_error():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7))
    preprocess = MODELS["baseline"].variants["small"].preprocess
    with pytest.raises(ConfigError, match="no convolution"):
        first_filters(Checkpoint(net, Card("baseline", "small", EMOTIONS, preprocess), "flat"))


@pytest.mark.parametrize("weights", [np.eye(3)[None] * -5, np.zeros((1, 3, 3)), np.ones((70, 6, 6))])
def test_one_symmetric_scale_serves_all_filters(weights):
    bank = FilterBank("conv", np.asarray(weights, dtype=np.float32), tuple(range(len(weights))))
    images = filter_figure.figure([bank], "title").axes[0].images
    assert len(images) == min(64, len(weights))
    peak = max(float(np.abs(weights).max()), 1e-12)
    assert {image.get_clim() for image in images} == {(-peak, peak)}


def hits(n: int = 21) -> PredictionTable:
    """Three faces a class, the middle one the surest; sad is never answered right."""
    labels = np.arange(n) % 7
    answers = np.where(labels == 5, 6, labels)
    logits = np.eye(7)[answers] * np.where(np.arange(n) // 7 == 1, 5, 2)[:, None]
    return PredictionTable(logits, labels, tuple(map(str, range(n))), EMOTIONS, "validation", {"checkpoint": "random"})


def test_maps_by_depth_are_those_of_each_face_at_each_layer():
    checkpoint, table = random_checkpoint("layercam", "custom_cnn"), hits()
    faces = FaceSet(random_faces(21), torch.from_numpy(table.labels.copy()), table.names, "validation")
    found = by_depth(checkpoint, faces, table)
    assert found.rows == (7, 8, 9, 10, 11, None, 13)
    assert found.layers == stages(checkpoint) == ("block1", "block2", "block3")
    for layer, line in zip(found.layers, found.heatmaps, strict=True):
        for row, emotion, heatmap in zip(found.rows, EMOTIONS, line, strict=True):
            if row is None:
                assert heatmap is None
                continue
            (alone,) = explain(checkpoint, faces.images[row : row + 1], emotion, "layercam", layers=(layer,))
            # a tie in a pooling layer may fall otherwise where the batch is another
            np.testing.assert_allclose(heatmap.values, alone.values, atol=0.02)
            assert heatmap.peak == pytest.approx(alone.peak, rel=1e-3) and heatmap.target == emotion
    written = found.to_dict(table)
    assert len(written["maps"]) == 18 and [face["name"] for face in written["faces"]] == ["7", "8", "9", "10", "11", "13"]
    assert written["maps"][0]["peak"] == found.heatmaps[0][0].peak
    *axes, below = depth_figure.figure(found, table, faces.images.numpy()[:, 0], "title").axes
    grid = np.array(axes).reshape(7, 4)
    assert not any(ax.images for ax in grid[5]) and "sad\nno hit" in [text.get_text() for text in grid[5, 0].texts]
    assert grid[0, 2].get_title() == f"peak {found.heatmaps[1][0].peak:.2g}"
    assert [line.get_ydata()[0] for line in below.lines if len(line.get_ydata()) == 1] == [s.half_area for s in found.spreads]


def map_of(values: list[float], peak: float = 1.0) -> Heatmap:
    return Heatmap(np.array(values, dtype=np.float32).reshape(2, -1), peak, "sad", "layercam")


def test_how_far_maps_spread_in_toys():
    even, point, halves = map_of([1] * 8), map_of([0] * 7 + [1]), map_of([1, 0, 1, 0, 1, 0, 1, 0])
    found = spread("conv", [even, point, halves, map_of([0] * 8, 0.0)])
    assert (found.n, found.empty) == (3, 1)
    assert found.entropy == pytest.approx((1 + 0 + np.log(4) / np.log(8)) / 3)
    assert found.half_area == pytest.approx((4 / 8 + 1 / 8 + 2 / 8) / 3)
    expected = norm.interval(0.95, found.half_area, sem([4 / 8, 1 / 8, 2 / 8]))
    assert found.half_area_ci95 == pytest.approx(expected, abs=1e-6)


def test_entropy_is_scipys():
    values = np.random.default_rng(0).random((3, 12))
    found = spread("conv", [map_of(list(one)) for one in values])
    expected = [entropy(one) / np.log(12) for one in values.astype(np.float32)]
    assert found.entropy == pytest.approx(np.mean(expected), abs=1e-6)
    assert found.entropy_ci95 == pytest.approx(norm.interval(0.95, np.mean(expected), sem(expected)), abs=1e-6)


def test_empty_maps_have_no_spread():
    found = spread("conv", [map_of([0] * 8, 0.0)])
    assert (found.n, found.empty, found.entropy, found.half_area, found.half_area_ci95) == (0, 1, None, None, None)


def test_brightness_is_the_share_of_a_filter_that_is_even():
    even, edge, mixed = np.ones((3, 3)), np.array([[1, 0, -1]] * 3), np.eye(3)
    bank = FilterBank("conv", np.array([even, edge, mixed, 0 * even], dtype=np.float32), (0, 1, 2, 3))
    assert bank.brightness == pytest.approx([1, 0, 9 / 9 / 3, 0], abs=1e-6)
    found = bank.summary()
    assert (found["strongest"], found["weakest"], found["faint"]) == (3, 0, 1)
    assert found["median"] == pytest.approx((np.sqrt(6) + np.sqrt(3)) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "architecture, first, last",
    [("convnext_tiny", "features.2.0", "features"), ("ensemble", "members.0.conv1", "members.1.block3"), ("vit", "1", "7")],
)
def test_stages_have_maps_of_places_in_the_order_of_depth(architecture, first, last):
    names = stages(random_checkpoint("layercam", architecture))
    assert first in names[0] and last in names[-1], names


def test_without_any_hit_there_are_layers_and_no_maps():
    table = hits()
    wrong = PredictionTable(-np.eye(7)[table.labels], table.labels, table.names, EMOTIONS, "validation")
    faces = FaceSet(random_faces(21), torch.from_numpy(table.labels.copy()), table.names, "validation")
    found = by_depth(random_checkpoint("layercam", "vit"), faces, wrong)
    assert set(found.rows) == {None} and len(found.layers) == 4
    assert found.to_dict(wrong)["maps"] == []
    assert not any(ax.images for ax in depth_figure.figure(found, wrong, faces.images.numpy()[:, 0], "title").axes)


def test_a_transformer_is_not_looked_at_behind_its_last_block():
    """There only the class token is read on: other places have no gradient."""
    torch.manual_seed(0)
    net = VisionTransformer(48, 6, 12, 1, 8, 16, num_classes=7)
    net.conv_proj, net.heads = nn.Conv2d(1, 8, 6, stride=6), nn.Linear(8, 7)
    card = random_checkpoint("layercam", "vit").card
    names = stages(Checkpoint(net.eval(), card, "vit"))
    assert [int(name.rpartition("_")[2]) for name in names] == [4, 6, 8, 10]
    kept = []
    net.get_submodule(names[-1]).register_forward_hook(lambda _m, _i, output: kept.append(output))
    (gradient,) = torch.autograd.grad(net(torch.rand(1, 1, 48, 48))[0, 0], kept)
    assert (gradient[0, 1:].abs().amax(1) > 0).all()
