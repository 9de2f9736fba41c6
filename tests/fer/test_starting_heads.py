"""Which starting weights bring their heads: those of the same classes."""

from dataclasses import replace

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.card import Card
from fer.config import RunConfig
from fer.data import load
from fer.models import MODELS
from fer.models.trunk import save_trunk
from fer.models.weights import start_from
from fer.training.plan import make_model, make_plan
from tests.fer.strange import torch_saved

HAPPY, SAD = ("angry", "happy", "neutral"), ("disgust", "fear", "sad")
KNOWN = {
    "the same": (HAPPY, True),
    "others, as many": (SAD, False),
    "the same in another order": (HAPPY[::-1], False),
    "fewer": (HAPPY[:2], False),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_the_head_is_taken_over_for_the_same_classes_alone(kind, fake_zip, tmp_path):
    classes, taken = KNOWN[kind]
    spec = MODELS["baseline"].variants["small"]
    state = spec.build(len(classes), 0.2).state_dict()
    checkpoints.save(tmp_path / "start.pth", state, Card("baseline", "small", classes, spec.preprocess))
    faces = load(fake_zip).split("train").only(HAPPY)
    config = RunConfig(model="baseline", mode="finetune", init=str(tmp_path / "start.pth"), classes=HAPPY, batch_size=2)
    plan = make_plan(replace(config, small_epochs=0), faces)
    found = make_model(plan).state_dict()
    trunk = {name for name in state if not name.startswith("head.")}
    assert all(torch.equal(found[name], state[name]) for name in trunk)
    assert torch.equal(found["head.1.weight"], state["head.1.weight"]) == taken


def test_seven_classes_of_natural_images_are_not_the_seven_expressions(fake_zip, tmp_path):
    spec = MODELS["baseline"].variants["small"]
    state = {name: value.half().float() for name, value in spec.build(7, 0.2).state_dict().items()}
    save_trunk(tmp_path / "trunk.pth", state, "baseline", "small", {"classes": 7})
    config = RunConfig(model="baseline", mode="finetune", init=str(tmp_path / "trunk.pth"), batch_size=2, small_epochs=0)
    found = make_model(make_plan(config, load(fake_zip).split("train"))).state_dict()
    assert torch.equal(found["conv1.0.weight"], state["conv1.0.weight"])
    assert not torch.equal(found["head.1.weight"], state["head.1.weight"])


def test_a_plain_file_says_nothing_of_its_classes(fake_zip, tmp_path):
    state = MODELS["baseline"].variants["small"].build(7, 0.2).state_dict()
    (tmp_path / "plain.pth").write_bytes(torch_saved(state))
    config = RunConfig(model="baseline", mode="finetune", init=str(tmp_path / "plain.pth"), batch_size=2, small_epochs=0)
    found = make_model(make_plan(config, load(fake_zip).split("train"))).state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_an_ensemble_of_other_classes_is_refused(fer, fake_zip, tmp_path):
    """Every member has a head; all but the last would be taken over with the trunk."""
    spec = MODELS["baseline"].variants["small"]
    for name in "ab":
        card = Card("baseline", "small", SAD, spec.preprocess)
        checkpoints.save(tmp_path / f"{name}.pth", spec.build(len(SAD), 0.2).state_dict(), card)
    made = fer("ensemble", tmp_path / "a.pth", tmp_path / "b.pth", "--data", fake_zip, "--out", tmp_path / "both.pth")
    assert made.code == 0, made.err
    words = ["train", "ensemble", "--mode", "finetune", "--init", tmp_path / "both.pth", "--data", fake_zip]
    outcome = fer(*words, "--classes", ",".join(HAPPY), "--set", "batch_size=2", "--runs", tmp_path / "runs")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and not (tmp_path / "runs").exists()
    assert "both.pth answers disgust, fear, sad" in line and "--classes disgust,fear,sad" in line


def test_all_heads_stay_new_or_none_does():
    """A head of a thousand classes beside another, as distilled networks have them."""
    torch.manual_seed(0)
    model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("trunk", "one", "other")})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    start_from(model, {**state, "other.weight": torch.ones(1000, 2), "other.bias": torch.ones(1000)}, ("one", "other"), "a.pth")
    assert torch.equal(model["trunk"].weight, state["trunk.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if not name.startswith("trunk."))
    start_from(model, state, ("one", "other"), "a.pth")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
