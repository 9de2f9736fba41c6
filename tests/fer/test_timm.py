"""timm's models behind ``timm:NAME``, with timm itself; and what is said where it is missing."""

import sys

import pytest
import torch

from analysis.explain import explain
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.emotions import EMOTIONS
from fer.errors import UnknownNameError
from fer.models import MODELS, timm_models

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
