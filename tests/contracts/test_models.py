"""What every registered form of every architecture keeps."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.explain import explain
from fer import checkpoint as checkpoints
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.config import MODES
from fer.emotions import EMOTIONS
from fer.errors import UnknownNameError
from fer.models import MODELS, Variant, register_model
from fer.overrides import recipe_of

FORMS = [(name, variant) for name in MODELS for variant in MODELS[name].variants]
every_form = pytest.mark.parametrize("name, variant", FORMS, ids=["-".join(form) for form in FORMS])


def spec_of(name: str, variant: str) -> Variant:
    return MODELS[name].variants[variant]


def built(spec: Variant, seed: int = 0, dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(seed)
    return spec.build(len(EMOTIONS), dropout)


def random_input(spec: Variant, n: int) -> torch.Tensor:
    p = spec.preprocess
    return torch.randn(n, p.channels, p.size, p.size, generator=torch.Generator().manual_seed(5))


def as_checkpoint(name: str, variant: str) -> Checkpoint:
    spec = spec_of(name, variant)
    return Checkpoint(built(spec).eval(), Card(name, variant, EMOTIONS, spec.preprocess, config={"dropout": 0.2}), name)


def test_the_registry_holds_the_three_architectures_and_both_forms_of_the_residual_net():
    assert {"baseline", "custom_cnn", "resnet18"} <= set(MODELS)
    assert set(MODELS["resnet18"].variants) == {"small", "imagenet"}


@every_form
@torch.no_grad()
def test_a_batch_of_its_preprocess_gives_one_logit_a_class(name, variant):
    spec = spec_of(name, variant)
    logits = built(spec).eval()(random_input(spec, 2))
    assert logits.shape == (2, len(EMOTIONS))
    assert torch.isfinite(logits).all()


@every_form
@torch.no_grad()
def test_a_single_face_works_in_evaluation_and_scores_as_in_a_batch(name, variant):
    spec = spec_of(name, variant)
    model, faces = built(spec).eval(), random_input(spec, 2)
    torch.testing.assert_close(model(faces[:1]), model(faces)[:1], rtol=1e-4, atol=1e-5)


@every_form
def test_the_gradient_reaches_every_parameter(name, variant):
    spec = spec_of(name, variant)
    model = built(spec, dropout=0.0).train()
    nn.functional.cross_entropy(model(random_input(spec, 4)), torch.tensor([0, 2, 4, 6])).backward()
    unreached = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []


@every_form
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name, variant):
    spec = spec_of(name, variant)
    one, same, other = built(spec, 3).state_dict(), built(spec, 3).state_dict(), built(spec, 4).state_dict()
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@every_form
def test_dropout_is_the_one_asked_for(name, variant):
    shares = [m.p for m in built(spec_of(name, variant), dropout=0.37).modules() if isinstance(m, nn.Dropout)]
    assert shares and set(shares) == {0.37}


@every_form
@torch.no_grad()
def test_the_cam_layer_gives_a_map_of_at_least_five_by_five(name, variant):
    spec = spec_of(name, variant)
    model, maps = built(spec).eval(), []
    reshape = spec.reshape or (lambda output: output)
    for layer in spec.cam_layers:
        model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: maps.append(reshape(output)))
    model(random_input(spec, 1))
    assert len(maps) == len(spec.cam_layers) > 0
    assert all(m.ndim == 4 and min(m.shape[2:]) >= 5 for m in maps)


@every_form
def test_the_head_is_a_module_that_ends_in_the_classes(name, variant):
    spec = spec_of(name, variant)
    head = built(spec).get_submodule(spec.head)
    assert [m.out_features for m in head.modules() if isinstance(m, nn.Linear)][-1] == len(EMOTIONS)


@every_form
@torch.no_grad()
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "half"])
def test_a_saved_checkpoint_scores_as_before(name, variant, half, tmp_path):
    original, spec = as_checkpoint(name, variant), spec_of(name, variant)
    state = original.model.state_dict()
    checkpoints.save(tmp_path / "model.pth", state, original.card, half=state if half else ())
    loaded = checkpoints.load(tmp_path / "model.pth")
    faces = random_input(spec, 2)
    before, after = original.model(faces), loaded.model(faces)
    assert after.dtype == torch.float32 and not loaded.model.training
    if half:
        torch.testing.assert_close(after, before, rtol=0.02, atol=0.02)
    else:
        assert torch.equal(after, before)


@every_form
def test_it_is_explained_at_the_size_of_its_input(name, variant):
    faces = torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    (heatmap,) = explain(as_checkpoint(name, variant), faces, "happy")
    size = spec_of(name, variant).preprocess.size
    assert heatmap.values.shape == (size, size)
    assert heatmap.values.min() >= 0 and heatmap.values.max() <= 1
    assert heatmap.target == "happy" and np.isfinite(heatmap.peak)


def test_registering_a_name_twice_raises_and_keeps_the_first():
    first = MODELS["baseline"]
    with pytest.raises(ValueError, match="'baseline' is registered twice"):
        register_model("baseline", summary="", reference="", small=first.variants["small"])
    assert MODELS["baseline"] is first


def test_an_unknown_architecture_lists_the_known_ones_and_suggests_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        MODELS["resnet81"]
    assert all(name in str(caught.value) for name in MODELS)
    assert "did you mean 'resnet18'?" in str(caught.value)


# What the architectures are said to be


def test_baseline_is_three_convolutions_and_a_dense_layer_of_512():
    layers = list(built(spec_of("baseline", "small"), dropout=0.5).modules())
    assert [m.out_channels for m in layers if isinstance(m, nn.Conv2d)] == [32, 64, 128]
    assert [m.out_features for m in layers if isinstance(m, nn.Linear)] == [512, len(EMOTIONS)]
    assert sum(isinstance(m, nn.Dropout) for m in layers) == 2


def test_custom_cnn_is_three_blocks_of_twice_convolution_and_batch_norm():
    model = built(spec_of("custom_cnn", "small"))
    for block in (model.block1, model.block2, model.block3):
        assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.head)
    assert any(isinstance(m, nn.Dropout) for m in model.head)


def test_resnet18_has_a_small_stem_from_scratch_and_the_stock_one_with_pretrained_weights():
    small, stock = (built(spec_of("resnet18", variant)).conv1 for variant in ("small", "imagenet"))
    assert (small.in_channels, small.kernel_size, small.stride) == (1, (3, 3), (1, 1))
    assert (stock.in_channels, stock.kernel_size, stock.stride) == (3, (7, 7), (2, 2))


@pytest.mark.parametrize("name", list(MODELS))
def test_every_architecture_has_a_recipe_for_every_mode(name):
    assert [mode for mode in MODES if not recipe_of(name, mode)] == []
