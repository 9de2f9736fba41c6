"""Every explanation method on every architecture: what a heatmap keeps, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import ConvNeXt, VisionTransformer

from analysis.explain import METHODS, attribution, explain
from analysis.explain.stages import stages
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.models import MODELS
from fer.models.ensemble import DEFAULT_MEMBERS, Ensemble
from tests.conftest import unpacked
from tests.contracts.test_explainers import _HOOKS, Failing, in_a_mixed_state, random_faces, state_of

#: Architectures with attention, which rollout follows; the others refuse it.
ATTENTIVE = ("vit",)
PAIRS = [(architecture, method) for architecture in MODELS for method in METHODS]
ANSWERED = [(architecture, method) for architecture, method in PAIRS if method != "rollout" or architecture in ATTENTIVE]

#: Two classes that are explained of one face.
TARGETS = ("happy", "sad")
#: Sides of the smallest input that leaves maps of more than one place; a network that takes one size only keeps it.
SMALL, SIZES = 32, {"vgg8": 40}
#: Methods whose map is not flat wherever a layer is: of these a gradient differs from place to place, others read no layer.
PLACE_BY_PLACE = ("layercam", "hirescam")
FROM_PIXELS = ("integrated-gradients", "occlusion")


@pytest.fixture(autouse=True)
def _few_passes(monkeypatch):
    """Two steps of a path and squares of half a face: the contracts do not depend on how fine the methods look."""
    monkeypatch.setattr(attribution, "_STEPS", 2)
    monkeypatch.setattr(attribution, "_SQUARE", 1 / 2)
    monkeypatch.setattr(attribution, "_STRIDE", 1 / 2)


def shortened(net: nn.Module) -> nn.Module:
    """Fewer of the blocks that only repeat: a transformer's first and last, one of ConvNeXt's third stage."""
    if isinstance(net, VisionTransformer):
        for name in list(net.encoder.layers._modules)[1:-1]:
            del net.encoder.layers._modules[name]
    if isinstance(net, ConvNeXt):
        net.features[5] = net.features[5][:1]
    return net


@cache
@torch.no_grad()
def checkpoint_of(architecture: str) -> Checkpoint:
    """Random weights; batch norms that have met faces, so that deep networks do not fade to 0."""
    torch.manual_seed(0)
    spec = MODELS[architecture].variants["small"]
    size = spec.preprocess.size if spec.fixed_size else SIZES.get(architecture, SMALL)
    preprocess = replace(spec.preprocess, size=size)
    net = shortened(spec.build(len(EMOTIONS), 0.0))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()(model_input(random_faces(8), preprocess))
    return unpacked(Checkpoint(net.eval(), Card(architecture, "small", EMOTIONS, preprocess), architecture))


@contextmanager
def lent(architecture: str) -> Iterator[Checkpoint]:
    """The checkpoint, brought back afterwards to evaluation mode, without hooks."""
    checkpoint = checkpoint_of(architecture)
    try:
        yield checkpoint
    finally:
        checkpoint.model.eval().requires_grad_(True)
        for module in checkpoint.model.modules():
            for kind in _HOOKS:
                getattr(module, kind).clear()


def mixed(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Some of it in training mode, some frozen, with hooks of others; returns the state, to be found again."""
    in_a_mixed_state(checkpoint.model.members if isinstance(checkpoint.model, Ensemble) else checkpoint.model)
    return seen(checkpoint)


def seen(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Modes, flags, hooks, gradients, and how often each tensor was written to."""
    model = checkpoint.model
    tensors = [*model.parameters(), *model.buffers()]
    return *state_of(model), [p.grad for p in model.parameters()], [(t.data_ptr(), t._version) for t in tensors]


def layers_for(checkpoint: Checkpoint, method: str) -> tuple[str, ...]:
    """The declared ones; for a pass a channel the first stage of a network of convolutions, which has the fewest channels."""
    return stages(checkpoint)[:1] if METHODS[method].passes == "1 a channel" and not blocks_of(checkpoint) else ()


def lacking(checkpoint: Checkpoint) -> str:
    if not isinstance(checkpoint.model, Ensemble):
        return "this network has"
    return f"of the members of this ensemble {', '.join(member['architecture'] for member in DEFAULT_MEMBERS)} have"


@pytest.mark.parametrize("architecture, method", PAIRS)
def test_two_classes_of_one_face_and_the_network_stays_as_it_was(architecture, method):
    with lent(architecture) as checkpoint:
        layers, before = layers_for(checkpoint, method), mixed(checkpoint)
        faces = random_faces(1).repeat(2, 1, 1, 1)
        if (architecture, method) not in ANSWERED:
            with pytest.raises(
                ConfigError,
                match=rf"rollout follows attention of the kind torch\.nn\.MultiheadAttention, and {lacking(checkpoint)} none",
            ):
                explain(checkpoint, faces, TARGETS, method, layers=layers)
            assert seen(checkpoint) == before
            return
        one, two = explain(checkpoint, faces, TARGETS, method, layers=layers)
        assert seen(checkpoint) == before
    size = checkpoint.card.preprocess.size
    for heatmap, target in ((one, TARGETS[0]), (two, TARGETS[1])):
        assert (heatmap.target, heatmap.method) == (target, method)
        assert heatmap.values.shape == (size, size) and heatmap.values.dtype == np.float32
        assert heatmap.values.min() >= 0 and heatmap.values.max() <= 1
        assert np.isfinite(heatmap.peak) and heatmap.peak >= 0
    assert max(one.peak, two.peak) > 0  # two empty maps would be equal for no reason
    # values and peaks together: where one place has all the weight, only its peak tells the classes apart
    same = np.allclose(one.values, two.values, atol=1e-4) and one.peak == pytest.approx(two.peak, rel=1e-3)
    assert same != METHODS[method].follows_target


@pytest.mark.parametrize("architecture, method", ANSWERED)
def test_after_an_error_inside_the_forward_pass_nothing_is_left_behind(architecture, method):
    with lent(architecture) as checkpoint:
        layers, before = layers_for(checkpoint, method), mixed(checkpoint)
        parent, _, leaf = checkpoint.card.spec.head.rpartition(".")
        holder, head = checkpoint.model.get_submodule(parent), checkpoint.model.get_submodule(checkpoint.card.spec.head)
        setattr(holder, leaf, Failing(head, 0, RuntimeError("the forward pass broke")))
        try:
            with pytest.raises(RuntimeError, match="the forward pass broke"):
                explain(checkpoint, random_faces(1), TARGETS[0], method, layers=layers)
        finally:
            setattr(holder, leaf, head)
        assert seen(checkpoint) == before


def made_flat(checkpoint: Checkpoint, layers: tuple[str, ...], method: str) -> None:
    """All places alike: of every channel 0 for the place-by-place methods, else 0.1 to 1; for pixels the scores themselves."""

    def flat(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        axis = 1 if output.ndim == 4 and output.shape[2] == output.shape[3] else -1
        shape = [1] * output.ndim
        shape[axis] = -1
        level = torch.linspace(0.1, 1, output.shape[axis]).view(shape)
        return 0 * output + (0 if method in PLACE_BY_PLACE else level)

    for name in ("",) if method in FROM_PIXELS else layers:
        checkpoint.model.get_submodule(name).register_forward_hook(flat)


def blocks_of(checkpoint: Checkpoint) -> list[nn.MultiheadAttention]:
    return [module for module in checkpoint.model.modules() if isinstance(module, nn.MultiheadAttention)]


def expected_peak(checkpoint: Checkpoint, layers: tuple[str, ...], method: str) -> float | None:
    """What the raw map is everywhere, worked out otherwise; None where that is as much work as the method."""
    if method in (*PLACE_BY_PLACE, *FROM_PIXELS):
        return 0.0
    if method != "gradcam":
        return None
    kept: list[torch.Tensor] = []
    for name in layers:
        checkpoint.model.get_submodule(name).register_forward_hook(lambda _m, _i, output: kept.append(output))
    inputs = model_input(random_faces(1), checkpoint.card.preprocess).requires_grad_()
    gradients = torch.autograd.grad(checkpoint.model(inputs)[0, EMOTIONS.index(TARGETS[0])], kept)
    reshape = checkpoint.card.spec.reshape or (lambda output: output)
    pairs = [(reshape(a.detach())[0, :, 0, 0], reshape(g)[0].mean(dim=(1, 2))) for a, g in zip(kept, gradients, strict=True)]
    return float(np.mean([max(0.0, float(level @ weight)) for level, weight in pairs]))


# no activation decides on the map of rollout, see below
@pytest.mark.parametrize("architecture, method", [pair for pair in PAIRS if pair[1] != "rollout"])
def test_a_flat_map_stays_flat_and_keeps_its_raw_peak(architecture, method):
    with lent(architecture) as checkpoint:
        layers = layers_for(checkpoint, method) or checkpoint.card.spec.cam_layers
        made_flat(checkpoint, layers, method)
        named = layers if METHODS[method].reads == "layers" else ()
        (heatmap,) = explain(checkpoint, random_faces(1), TARGETS[0], method, layers=named)
        expected = expected_peak(checkpoint, layers, method)
    assert np.ptp(heatmap.values) == 0
    assert np.isfinite(heatmap.peak) and heatmap.peak >= 0
    if expected is not None:
        assert heatmap.peak == pytest.approx(expected, rel=1e-3, abs=1e-7)


@torch.no_grad()
def test_even_attention_rolls_out_to_a_flat_map_with_its_raw_peak():
    """Half of what a token has stays with it, half is spread over all, block after block."""
    checkpoint = checkpoint_of.__wrapped__("vit")  # one of its own, since it is changed
    blocks = blocks_of(checkpoint)
    for block in blocks:
        block.in_proj_weight.zero_()
    (heatmap,) = explain(checkpoint, random_faces(1), TARGETS[0], "rollout")
    tokens = 8 * 8 + 1
    assert np.ptp(heatmap.values) == 0
    assert heatmap.peak == pytest.approx((1 - 0.5 ** len(blocks)) / tokens, rel=1e-5)


def test_an_ensemble_says_which_of_its_members_have_no_attention():
    members = ({"architecture": "vit", "variant": "small"}, {"architecture": "custom_cnn", "variant": "small"})
    card = Card("ensemble", "small", EMOTIONS, MODELS["ensemble"].form("small", members).preprocess, members=members)
    both = Checkpoint(card.spec.build(7, 0.0).eval(), card, "both")
    with pytest.raises(ConfigError, match="and of the members of this ensemble custom_cnn has none"):
        explain(both, random_faces(1), "happy", "rollout")
