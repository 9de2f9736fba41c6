"""Test-time augmentation: the views, and the mean of probabilities over them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fer.data.preprocess import standardise, to_unit
from fer.errors import UnknownNameError
from fer.evaluation import Asking, predict_logits
from fer.models import MODELS
from fer.types import Preprocess
from fer.views import TTA, View

FACES = torch.randint(0, 256, (5, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return MODELS["custom_cnn"].variants["small"].build(7, 0.3).eval()


@pytest.mark.parametrize(("name", "passes"), [("none", 1), ("flip", 2), ("tencrop", 10), ("multicrop", 20)])
def test_views_are_different_lie_inside_the_face_and_come_both_ways_round(name, passes):
    views = TTA[name]
    assert len(views) == len(set(views)) == passes
    assert all(v.top >= 0 and v.left >= 0 and v.top + v.side <= 48 and v.left + v.side <= 48 for v in views)
    if passes > 1:
        both = {(v.top, v.left, v.side) for v in views if v.mirrored}
        assert both == {(v.top, v.left, v.side) for v in views if not v.mirrored}


def test_the_whole_face_is_left_as_it_is_and_a_mirrored_one_is_turned():
    pixels = to_unit(FACES)
    assert torch.equal(View().of(pixels), pixels)
    assert torch.equal(View(mirrored=True).of(pixels), pixels[..., range(47, -1, -1)])


def test_a_crop_holds_what_lies_in_its_square_and_nothing_else():
    pixels = torch.zeros(1, 1, 48, 48)
    pixels[..., 4:, 4:] = 1.0  # all but the first four rows and columns
    assert torch.equal(View(4, 4, 44).of(pixels), torch.ones(1, 1, 48, 48))
    assert float(View(0, 0, 44).of(pixels).min()) == 0.0


@pytest.mark.parametrize("name", ["flip", "tencrop", "multicrop"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_answer_is_the_mean_of_the_views_probabilities(net, name, temperature):
    preprocess = Preprocess()
    logits = predict_logits(net, FACES, preprocess, asking=Asking(name, temperature))
    probs = []
    for view in TTA[name]:
        part = to_unit(FACES)[..., view.top : view.top + view.side, view.left : view.left + view.side]
        part = F.interpolate(part, size=(48, 48), mode="bilinear") if view.side < 48 else part
        part = torch.flip(part, (3,)) if view.mirrored else part
        with torch.no_grad():
            scores = net((part - preprocess.mean[0]) / preprocess.std[0]).double().numpy() / temperature
        probs.append(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(logits.softmax(1).numpy(), np.mean(probs, axis=0), atol=1e-6)
    np.testing.assert_allclose(logits.exp().sum(1).numpy(), 1.0, atol=1e-5)


def test_without_it_logits_are_the_networks_own_divided_by_the_temperature(net):
    with torch.no_grad():
        own = net(standardise(to_unit(FACES), Preprocess()))
    torch.testing.assert_close(predict_logits(net, FACES, Preprocess()), own)
    torch.testing.assert_close(predict_logits(net, FACES, Preprocess(), asking=Asking(temperature=4.0)), own / 4)


def test_with_flip_a_face_and_its_mirror_image_are_judged_alike(net):
    there = predict_logits(net, FACES, Preprocess(), asking=Asking("flip"))
    back = predict_logits(net, FACES.flip(-1), Preprocess(), asking=Asking("flip"))
    torch.testing.assert_close(there, back)


def test_an_unknown_name_is_refused_with_the_known_ones(net):
    with pytest.raises(UnknownNameError, match=r"did you mean 'tencrop'.*none, flip, tencrop, multicrop"):
        predict_logits(net, FACES, Preprocess(), asking=Asking("tencorp"))


def test_the_modes_of_all_parts_are_as_before_afterwards():
    """A frozen batch norm in a net that trains stays in its mode."""
    frozen = nn.BatchNorm2d(1).eval()
    net = nn.Sequential(nn.Dropout(), frozen, nn.Flatten(), nn.Linear(48 * 48, 7))
    predict_logits(net, FACES, Preprocess())
    assert [part.training for part in net.modules()] == [True, True, False, True, True]
