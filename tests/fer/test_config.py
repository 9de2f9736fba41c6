from pathlib import Path

import pytest

from fer.cli.train import repeat, resolve
from fer.config import MODES, RunConfig
from fer.errors import ConfigError
from fer.overrides import parse_assignments, read_recipe, recipe_names, with_values


def test_later_layers_win_and_earlier_ones_stay(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("epochs: 7\nlr: 5e-3\n")
    config = with_values(RunConfig(), read_recipe(str(recipe)), "recipe")
    config = with_values(config, parse_assignments(["epochs=9"]), "--set")
    assert (config.epochs, config.optimizer.lr, config.optimizer.momentum) == (9, 0.005, RunConfig().optimizer.momentum)


def test_an_unknown_key_lists_the_known_ones_and_the_nearest():
    with pytest.raises(ConfigError, match=r"--set: unknown key 'epoch' \(did you mean 'epochs'\?\); known keys: model, mode"):
        with_values(RunConfig(), {"epoch": 3}, "--set")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "finetun"}, "unknown mode 'finetun' (did you mean 'finetune'?); known: " + ", ".join(MODES)),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'; known: sgd, adam, adamw"),
        ({"epochs": 0}, "epochs=0 lies outside 1..100000"),
        ({"flip": 1.5}, "flip=1.5 lies outside 0..1"),
        ({"epochs": "many"}, "x: epochs='many' should be a whole number from 1 to 100000"),
        ({"epochs": True}, "x: epochs=True should be a whole number from 1 to 100000"),
        ({"lr": "fast"}, "x: optimizer.lr='fast' should be a number from 1e-09 to 100"),
        ({"lr": float("nan")}, "lr=nan lies outside"),
        ({"small_epochs": 31}, "small_epochs=31 lies outside 0..30"),
    ],
)
def test_impossible_values_say_what_is_allowed(values, message):
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), values, "x")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["epochs", "epochs=[1", ""])
def test_malformed_assignments_are_named(text):
    with pytest.raises(ConfigError, match="--set"):
        parse_assignments([text])


def test_recipes_that_are_missing_or_no_mapping_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown recipe 'custom_cn' .did you mean 'custom_cnn'"):
        read_recipe("custom_cn")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        read_recipe(str(tmp_path / "nowhere.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        read_recipe(str(tmp_path / "list.yaml"))


@pytest.mark.parametrize("name", ["mine.txt", "mine", "baseline.YAML"])
def test_a_file_of_any_name_is_read_as_a_recipe_and_as_a_configuration(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("model: net\nepochs: 7\n")
    assert read_recipe(name) == read_recipe(str(tmp_path / name)) == {"model": "net", "epochs": 7}
    assert repeat(Path(name)).epochs == resolve(None, name, [], {}).epochs == 7


def test_a_shipped_recipe_comes_before_a_file_of_its_name_but_not_as_a_configuration(tmp_path, monkeypatch):
    shipped = read_recipe("baseline")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baseline").write_text("model: net\n")
    assert read_recipe("baseline") == shipped and repeat(Path("baseline")).model == "net"


@pytest.mark.parametrize("classes", ["anger,Happiness, sad", ["sadness", "happy", "angry"]], ids=str)
def test_classes_of_a_configuration_take_the_spellings_of_others(classes):
    assert with_values(RunConfig(), {"classes": classes}, "test").classes == ("angry", "happy", "sad")


def test_another_architecture_than_that_of_the_recipe_is_not_set(tmp_path):
    (tmp_path / "mine.yaml").write_text("model: baseline\n")
    with pytest.raises(ConfigError, match="--set model=net beside baseline"):
        resolve(None, str(tmp_path / "mine.yaml"), ["model=net"], {})


@pytest.mark.parametrize("model", ["baseline", "net"])
def test_an_architecture_may_be_set_where_it_is_the_one_that_is_named(model):
    assert resolve(model, None, [f"model={model}"], {}).model == model


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid(name):
    changed = with_values(RunConfig(), read_recipe(name), name)
    assert changed != RunConfig()


@pytest.mark.parametrize(
    ("assignments", "epochs", "small"),
    [([], None, 22), ([], 10, 4), ([], 1, 0), (["small_epochs=3"], 10, 3), (["epochs=90"], None, 44), (["epochs=90"], 45, 22)],
)
def test_epochs_at_small_size_keep_their_share_where_only_the_epochs_are_changed(assignments, epochs, small):
    config = resolve("custom_cnn", None, assignments, {"epochs": epochs})  # the recipe has 22 of 45
    assert config.small_epochs == small


@pytest.mark.parametrize("mode", ["feature-extract", "gradual"])
def test_an_ensemble_refuses_modes_that_need_one_head(mode):
    with pytest.raises(ConfigError, match="use scratch or finetune"):
        resolve("ensemble", None, [], {"mode": mode})
