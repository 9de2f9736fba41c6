"""The search: a study on disk that goes on where it stopped, and a recipe that trains."""

import sys
from pathlib import Path

import optuna
import pytest
import yaml

from fer.config import RunConfig
from fer.overrides import TYPES, read_recipe, with_values
from fer.training.tune import RATES, SPACE, differences, suggest

SMALL = ("--epochs", "1", "--set", "batch_size=21", "--set", "precision=fp32")


def test_every_searched_key_exists_and_its_range_is_allowed():
    for key, (low, high, _log) in SPACE.items():
        assert TYPES[key] is float
        for value in (low, high):
            with_values(RunConfig(), {key: value}, "test")
    assert set(RATES) == {"sgd", "adam", "adamw"}


def test_a_suggestion_names_the_rate_and_every_key():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    values = suggest(study.ask(), RunConfig())
    assert set(values) == {*SPACE, "optimizer.lr"}
    assert RATES["sgd"][0] <= values["optimizer.lr"] <= RATES["sgd"][1]


def test_differences_are_what_a_recipe_holds():
    changed = with_values(RunConfig(), {"lr": 0.2, "epochs": 7, "teachers": "a,b"}, "test")
    assert differences(changed) == {"epochs": 7, "optimizer": {"lr": 0.2}, "distillation": {"teachers": ["a", "b"]}}
    assert with_values(RunConfig(), differences(changed), "test") == changed


def test_a_study_goes_on_and_its_recipe_trains(fer, fake_zip, tmp_path):
    study = tmp_path / "study"
    for trials, folders in ((1, 1), (3, 3), (2, 3)):
        outcome = fer("tune", "baseline", "--trials", trials, "--data", fake_zip, "--study", study, *SMALL)
        assert outcome.code == 0, outcome.err
        assert outcome.out.strip() == str(study / "best.yaml")
        assert len(list(study.glob("trial-*"))) == folders
    stored = optuna.load_study(study_name="baseline", storage=f"sqlite:///{study / 'study.db'}")
    recipe = with_values(RunConfig(), {"model": "baseline", **read_recipe(str(study / "best.yaml"))}, "test")
    assert recipe.optimizer.lr == pytest.approx(stored.best_params["optimizer.lr"])
    assert f"{100 * stored.best_value:.2f} %" in (study / "best.yaml").read_text(encoding="utf-8")
    trained = fer("train", "baseline", "--recipe", study / "best.yaml", "--data", fake_zip, "--runs", tmp_path / "runs")
    assert trained.code == 0, trained.err
    config = yaml.safe_load((Path(trained.out.strip()) / "config.yaml").read_text(encoding="utf-8"))
    assert config["optimizer"]["lr"] == pytest.approx(stored.best_params["optimizer.lr"])


def test_without_optuna_a_line_says_how_to_get_it(fer, fake_zip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    outcome = fer("tune", "baseline", "--data", fake_zip, "--study", tmp_path / "study", *SMALL)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and "pip install 'ferscope[tune]'" in line


def test_modes_are_compared_from_the_same_weights(fer, fake_zip, checkpoint_file, tmp_path):
    arguments = ["--init", checkpoint_file, "--modes", "feature-extract,finetune", "--data", fake_zip, "--json", *SMALL]
    outcome = fer("compare-modes", "custom_cnn", *arguments, "--set", "input_size=32", "--runs", tmp_path)
    assert outcome.code == 0, outcome.err
    rows = yaml.safe_load(outcome.out)
    assert [row["mode"] for row in rows] == ["feature-extract", "finetune"]
    assert all(row["n"] == 21 and (Path(row["run"]) / "best.pth").exists() for row in rows)
