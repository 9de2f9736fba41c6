"""timm's models behind ``timm:NAME``, with timm itself; and what is said where it is missing."""

import sys
from dataclasses import replace

import pytest
import torch

from analysis.explain import explain
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.config import RunConfig
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import UnknownNameError
from fer.models import MODELS, map_layer, timm_models
from fer.models.head import last_linear
from fer.training.freezing import stages
from fer.training.plan import make_model, make_plan

NAMES = ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050", "swin_tiny_patch4_window7_224", "convnext_atto"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_every_kind_answers_and_is_explained(name):
    spec = MODELS[f"timm:{name}"].variants["small"]
    torch.manual_seed(0)
    model = spec.build(len(EMOTIONS), 0.1).eval()
    assert spec.preprocess.channels == 1
    checkpoint = Checkpoint(model, Card(f"timm:{name}", "small", EMOTIONS, spec.preprocess), name)
    maps, handle = [], model.get_submodule(spec.cam_layers[0]).register_forward_hook(lambda _m, _i, out: maps.append(out))
    (heatmap,) = explain(checkpoint, torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8), "sad")
    handle.remove()
    assert min(spec.reshape(maps[0]).shape[-2:]) >= 5
    assert heatmap.values.shape == (spec.preprocess.size,) * 2
    linear = [m for m in model.get_submodule(spec.head).modules() if isinstance(m, torch.nn.Linear)]
    assert linear[-1].out_features == len(EMOTIONS)


#: Nets that keep no list of blocks as a plain vision transformer does: name → side of the map.
TRANSFORMERS = {
    "coat_tiny": 7,
    "convit_tiny": 14,
    "crossvit_tiny_240": 14,
    "eva02_tiny_patch14_224": 16,
    "mvitv2_tiny": 7,
    "pit_ti_224": 7,
    "tnt_s_legacy_patch16_224": 14,
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_places_of_a_map_are_places_of_the_face(name):
    """A corner that changes shows in that corner of the map, and every place counts for a class."""
    spec, side = MODELS[f"timm:{name}"].variants["small"], TRANSFORMERS[name]
    torch.manual_seed(0)
    model, kept = spec.build(len(EMOTIONS), 0.0).eval(), []
    model.get_submodule(spec.cam_layers[0]).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    size, quarter = spec.preprocess.size, slice(0, max(1, side // 4))
    faces = torch.randn(1, 1, size, size)
    score = model(faces)[0, 0]
    before = spec.reshape(kept[0])
    assert before.shape[-2:] == (side, side)
    assert (spec.reshape(torch.autograd.grad(score, kept[0])[0]).abs().sum(1) > 0).all()
    for turns in range(4):
        corner = torch.zeros_like(faces)
        corner[..., : size // 4, : size // 4] = 3
        with torch.no_grad():
            model(faces + corner.rot90(turns, (2, 3)))
        change = (spec.reshape(kept[-1]) - before).detach().abs().sum(1)[0].rot90(-turns)
        assert change[quarter, quarter].mean() > 2 * change.mean()


@pytest.mark.parametrize(
    "name, layer",
    [
        ("deit_tiny_distilled_patch16_224", "blocks.11.norm1"),
        ("efficientformer_l1", "stages.3.blocks.4.norm1"),  # a class is decided by its last tokens, not its last map
        ("efficientvim_m1", "stages.1.downsample.conv.0"),  # rows of features are no tokens, of whatever length
        ("hiera_tiny_224", "blocks.11.norm1"),
        ("mobilevit_xxs", "final_conv"),
        ("resmlp_12_224", "norm"),
    ],
)
def test_the_layer_of_other_families(name, layer):
    assert MODELS[f"timm:{name}"].variants["small"].cam_layers == (layer,)


def test_a_net_without_maps_is_refused(monkeypatch):
    monkeypatch.setattr(map_layer, "SMALLEST_MAP", 300)
    timm_models.find.cache_clear()
    with pytest.raises(UnknownNameError, match="no layer of this timm model has a map of 300×300"):
        MODELS["timm:resnet10t"]
    timm_models.find.cache_clear()


def test_a_net_without_classes_is_refused(fer, tmp_path):
    outcome = fer("train", "timm:deepseek_vit_412m_enc", "--runs", tmp_path)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and "deepseek_vit_412m_enc has no layer that gives classes; choose another" in line


@pytest.mark.parametrize("name, heads", [("deit_tiny_distilled_patch16_224", 2), ("efficientvim_m1", 4)])
def test_all_heads_of_a_net_are_new_where_it_starts_from_imagenet(name, heads, fake_zip, monkeypatch):
    """Weights of a thousand classes, under the names that timm gives them."""
    variants = MODELS[f"timm:{name}"].variants
    state = variants["imagenet"].build(1000, 0.0).state_dict()
    monkeypatch.setitem(variants, "imagenet", replace(variants["imagenet"], weights=lambda: state))
    config = RunConfig(model=f"timm:{name}", mode="finetune", batch_size=2, small_epochs=0)
    plan = make_plan(config, load(fake_zip).split("train"))
    model = make_model(plan)
    last = [last_linear(model, head) for head in plan.spec.heads]
    assert [layer.out_features for layer in last] == [len(EMOTIONS)] * heads
    trunk = [key for key in state if not key.startswith(tuple(f"{head}." for head in plan.spec.heads))]
    assert all(torch.equal(model.state_dict()[key], state[key]) for key in trunk)
    weights = {key for key, p in model.named_parameters() if any(p is layer.weight for layer in last)}
    assert weights <= set(stages(model, *plan.spec.heads)[-1])


def test_the_colour_form_takes_timms_own_normalisation():
    spec = MODELS["timm:resnet10t"].variants["imagenet"]
    assert spec.preprocess.mean == (0.485, 0.456, 0.406) and spec.preprocess.channels == 3


def test_it_trains_from_the_command_line(fer, fake_zip, tmp_path):
    outcome = fer(
        "train", "timm:resnet10t", "--data", fake_zip, "--epochs", 1, "--set", "batch_size=21", "--set", "input_size=48",
        "--runs", tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    judged = fer("evaluate", "-c", f"{outcome.out.strip()}/best.pth", "--data", fake_zip)
    assert judged.code == 0


def test_an_unknown_name_is_one_line_with_the_nearest(fer, tmp_path):
    outcome = fer("train", "timm:resnet10", "--runs", tmp_path)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and "has no model 'resnet10'" in line and "did you mean 'resnet10" in line


def test_without_timm_a_line_says_how_to_get_it(monkeypatch):
    timm_models.find.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UnknownNameError, match=r"pip install 'ferscope\[timm\]'"):
        MODELS["timm:resnet10t"]
