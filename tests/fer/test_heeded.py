"""Which keys count for nothing beside others: said of real runs, in both directions, and to who gives such a key."""

import json
from pathlib import Path

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.heeded import NEEDS, unheeded
from fer.overrides import KEYS, by_full_key, read_recipe, recipe_config, recipe_names, with_values
from fer.training.run import Watch, train
from tests.conftest import save_random

BASE = {"model": "baseline", "epochs": 2, "batch_size": 21, "precision": "fp32", "settle_norms": False, "ema": 0.0}

#: For every key that needs another: what makes it count, a value of it, and another.
CASES: dict[str, tuple[dict[str, object], object, object]] = {
    "small_size": ({"model": "custom_cnn", "small_epochs": 1}, 32, 40),
    "unfreeze_every": ({"mode": "gradual", "init": "START"}, 1, 2),
    "settle_norms": ({"model": "custom_cnn"}, True, False),
    "schedule.factor": ({"schedule": "step", "step_epochs": 1}, 0.75, 0.1),
    "schedule.patience": ({"schedule": "plateau", "factor": 0.01, "lr": 1.0, "epochs": 4}, 0, 5),
    "schedule.step_epochs": ({"schedule": "step"}, 1, 2),
    "schedule.min_lr": ({"schedule": "step", "step_epochs": 1, "factor": 0.01}, 1e-5, 0.03),
    "loss.focal_gamma": ({"loss": "focal"}, 2.0, 0.0),
    "loss.max_weight_ratio": ({"class_weights": "WEIGHTS"}, 7.0, 6.0),
    "distillation.temperature": ({"teachers": ["START"]}, 3.0, 1.0),
    "distillation.alpha": ({"teachers": ["START"]}, 0.7, 0.2),
    "distillation.ahead": ({"teachers": ["START"]}, False, True),
    "augmentation.flip": ({}, 0.5, 0.0),
    "augmentation.unmixed": ({"mixup": 0.4}, 0.0, 1.0),
}


@pytest.fixture
def weights_after(fake_folder, tmp_path):
    """What a small run of some values learns; START stands for a checkpoint, WEIGHTS for those of seven classes."""
    files = {"START": save_random(tmp_path / "start.pth", "baseline"), "WEIGHTS": tmp_path / "weights.json"}
    files["WEIGHTS"].write_text(json.dumps({name: 1 + place for place, name in enumerate(EMOTIONS)}))
    corpus, count = load(fake_folder), iter(range(9))

    def run(values: dict[str, object]) -> dict[str, torch.Tensor]:
        filled = {key: files["START"] if value == ["START"] else files.get(str(value), value) for key, value in values.items()}
        texts = {key: str(value) if isinstance(value, Path) else value for key, value in filled.items()}
        folder = tmp_path / f"run{next(count)}"
        try:
            train(with_values(RunConfig(), BASE | texts, "test"), corpus, folder, Watch())
        except ConfigError as error:
            return {str(error): torch.zeros(())}
        states = {name: checkpoints.load(folder / name).model.state_dict() for name in ("last.pth", "best.pth")}
        return {f"{name} {key}": value for name, state in states.items() for key, value in state.items()}

    return run


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_every_key_with_a_need_has_a_case():
    assert set(CASES) == set(NEEDS) and set(NEEDS) <= set(KEYS)


@pytest.mark.parametrize("key", CASES)
def test_with_what_it_needs_a_key_changes_what_is_learnt(key, weights_after):
    base, one, other = CASES[key]
    assert unheeded(with_values(RunConfig(), BASE | base, "test"), [key]) == []
    assert not same(weights_after(base | {key: one}), weights_after(base | {key: other}))


@pytest.mark.parametrize(
    "base",
    [
        {},
        {"alternating_flip": True},
        {"mode": "feature-extract", "init": "START"},
        *({"schedule": name} for name in ("constant", "one-cycle", "step", "plateau")),
    ],
    ids=["defaults", "alternating flips", "a frozen trunk", "constant", "one-cycle", "step", "plateau"],
)
def test_without_it_none_of_them_changes_anything(base, weights_after):
    idle = unheeded(with_values(RunConfig(), BASE | base, "test"), CASES)
    assert len(idle) >= 8
    assert same(
        weights_after(base | {key: CASES[key][1] for key in idle}), weights_after(base | {key: CASES[key][2] for key in idle})
    )


def test_every_key_is_idle_somewhere():
    bases = [{"schedule": "cosine"}, {"schedule": "step"}, {"alternating_flip": True}, {"mode": "feature-extract"}]
    idle = {key for base in bases for key in unheeded(with_values(RunConfig(), base, "test"), CASES)}
    assert idle == set(CASES)


@pytest.mark.parametrize("name", recipe_names())
def test_no_shipped_recipe_says_what_does_not_count(name):
    assert unheeded(recipe_config(name), by_full_key(read_recipe(name), name)) == []


#: A command without its data, and what it says of the key.
REFUSED = {
    "train baseline --set focal_gamma=3": "--set loss.focal_gamma is for loss=focal, not for loss=cross-entropy;",
    "train baseline --set schedule.patience=3": "--set schedule.patience is for schedule=plateau, not for schedule=cosine;",
    "train baseline --set temperature=3": "is for runs with a teacher (--teacher), not for distillation.teachers=none;",
    "train baseline --set alternating_flip=true --set flip=0": "is for alternating_flip=false, not for",
    "train baseline --set unmixed=.2": "not for augmentation.mixup=0.0 and augmentation.cutmix=0.0;",
    "train baseline --unfreeze-every 2": "; change that, or leave --unfreeze-every out",
    "train baseline --set max_weight_ratio=3": "is for runs with class weights, not for loss.class_weights=none;",
    "zoo train fast_cnn --out out --set patience=3 --set schedule=step": "key 'patience' is that of several groups",
    "zoo train fast_cnn --out out --set schedule.patience=3 --set schedule=step": "not for schedule=step;",
    "tune baseline --set schedule=step --set schedule.patience=3": "is for schedule=plateau, not for schedule=step;",
    "distill --teacher baseline --student baseline --set unfreeze_every=3": "is for mode=gradual, not for mode=scratch;",
    "labels audit --architecture baseline --set small_size=40": "is for runs with small_epochs, not for small_epochs=0;",
    "compare-modes custom_cnn --init fast_cnn --modes scratch,finetune --set unfreeze_every=3": "mode=scratch or mode=finetune",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_key_that_would_not_count_is_refused(command, fer, fake_zip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = fer(*command.split(), "--data", fake_zip)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and REFUSED[command] in line
    assert list(tmp_path.iterdir()) == []


def test_what_one_of_several_modes_heeds_may_be_given_beside_others(fer, fake_folder, tmp_path):
    init = save_random(tmp_path / "start.pth", "baseline")
    words = (
        "--modes",
        "gradual,finetune",
        "--init",
        init,
        "--epochs",
        1,
        "--set",
        "unfreeze_every=1",
        "--set",
        "batch_size=21",
    )
    outcome = fer("compare-modes", "baseline", *words, "--data", fake_folder, "--runs", tmp_path / "runs")
    assert outcome.code == 0 and len(list(Path(tmp_path / "runs").iterdir())) == 2
