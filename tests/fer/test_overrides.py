"""Changing a configuration: every spelling of every key, what is refused, and which layer wins."""

import dataclasses
import json
import types
from typing import Any

import pytest
import yaml

from fer.cli.train import repeat, resolve
from fer.config import LABELS, MODES, RunConfig
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.models import MODELS
from fer.overrides import KEYS, by_full_key, parse_assignments, read_recipe, recipe_config, recipe_names, with_values
from fer.released import RELEASED

GROUPS = {f.name: f.type for f in dataclasses.fields(RunConfig) if dataclasses.is_dataclass(f.type)}
SHORT = [key for key in KEYS if "." in key and sum(other.endswith(f".{key.rpartition('.')[2]}") for other in KEYS) == 1]


def field_of(key: str) -> tuple[dataclasses.Field, Any]:
    """A key's field and its default, found by walking the classes."""
    group, _, name = key.rpartition(".")
    owner = getattr(RunConfig(), group) if group else RunConfig()
    return next(f for f in dataclasses.fields(owner) if f.name == name), getattr(owner, name)


def other_value(key: str) -> Any:
    """An allowed value that is not the default."""
    field, default = field_of(key)
    if key == "classes":
        return ["happy", "sad"]
    if isinstance(default, bool):
        return not default
    if "allowed" in field.metadata:
        return field.metadata["allowed"][-1]
    if isinstance(default, str):
        return "some.file"
    if isinstance(default, tuple):
        return ["a.pth", "b.pth"]
    low, high = field.metadata["range"]
    # half the epochs of the default are enough for small_epochs
    return next(type(default)(v) for v in (low, default / 2, default + 1, high) if v != default and low <= v <= high)


def value_at(config: RunConfig, key: str) -> Any:
    group, _, name = key.rpartition(".")
    value = getattr(getattr(config, group) if group else config, name)
    return list(value) if isinstance(value, tuple) else value


# every key


def test_every_field_of_every_group_is_a_key():
    nested = {f"{group}.{f.name}" for group, kind in GROUPS.items() for f in dataclasses.fields(kind)}
    assert set(KEYS) == nested | {f.name for f in dataclasses.fields(RunConfig)} - set(GROUPS)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_set_by_its_full_name_and_nothing_else_changes(key):
    value = other_value(key)
    changed = with_values(RunConfig(), {key: value}, "test")
    assert value_at(changed, key) == value != value_at(RunConfig(), key)
    assert [other for other in KEYS if other != key and value_at(changed, other) != value_at(RunConfig(), other)] == []


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_set_from_the_command_line_and_from_a_nested_file(key):
    value = other_value(key)
    expected = with_values(RunConfig(), {key: value}, "test")
    typed = ",".join(value) if isinstance(value, list) else json.dumps(value)
    assert with_values(RunConfig(), parse_assignments([f"{key}={typed}"]), "--set") == expected
    group, _, name = key.rpartition(".")
    nested = {group: {name: value}} if group else {name: value}
    assert with_values(RunConfig(), yaml.safe_load(yaml.safe_dump(nested)), "file") == expected


@pytest.mark.parametrize("key", SHORT)
def test_a_name_that_only_one_group_has_may_stand_alone(key):
    value = other_value(key)
    assert with_values(RunConfig(), {key.rpartition(".")[2]: value}, "test") == with_values(RunConfig(), {key: value}, "test")


def test_most_keys_have_a_short_name_and_shared_ones_do_not():
    assert {"optimizer.lr", "loss.class_weights", "augmentation.mixup", "early_stopping.monitor"} <= set(SHORT)
    assert {"optimizer.name", "schedule.patience", "early_stopping.patience"}.isdisjoint(SHORT)


@pytest.mark.parametrize("group", GROUPS)
def test_a_plain_value_given_to_a_group_sets_its_first_key(group):
    first = f"{group}.{dataclasses.fields(GROUPS[group])[0].name}"
    value = other_value(first)
    assert with_values(RunConfig(), {group: value}, "test") == with_values(RunConfig(), {first: value}, "test")


def test_nested_dotted_and_short_keys_may_stand_together():
    values = {"optimizer": {"name": "adamw", "lr": 0.2}, "schedule.name": "step", "mixup": 0.3, "loss": "focal", "epochs": 3}
    config = with_values(RunConfig(), values, "test")
    assert (config.optimizer.name, config.optimizer.lr, config.schedule.name) == ("adamw", 0.2, "step")
    assert (config.augmentation.mixup, config.loss.name, config.epochs) == (0.3, "focal", 3)
    assert config.optimizer.momentum == RunConfig().optimizer.momentum


def test_a_configuration_is_read_back_from_its_plain_form():
    config = with_values(RunConfig(), {key: other_value(key) for key in KEYS}, "test")
    plain = config.to_dict()
    for form in (plain, yaml.safe_load(yaml.safe_dump(plain)), json.loads(json.dumps(plain))):
        assert with_values(RunConfig(), form, "file") == config
    assert list(plain) == [f.name for f in dataclasses.fields(RunConfig)]
    assert all(list(plain[group]) == [f.name for f in dataclasses.fields(kind)] for group, kind in GROUPS.items())


#: What the first versions wrote: every setting under its own name, without groups.
FLAT = {
    "model": "custom_cnn", "mode": "scratch", "epochs": 45, "batch_size": 128, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9,
    "weight_decay": 0.0005, "schedule": "cosine", "warmup": 0.08, "grad_clip": 5.0, "label_smoothing": 0.1, "mixup": 0.0,
    "class_weights": "none", "ema": 0.998, "dropout": 0.3, "input_size": 0, "small_epochs": 22, "small_size": 32, "flip": 0.5,
    "rotate": 10.0, "zoom": 0.1, "shift": 0.1, "brightness": 0.2, "contrast": 0.2, "erase": 0.0, "early_stopping": 0,
    "precision": "auto", "seed": 1, "init": "",
}  # fmt: skip


def place_of(key: str) -> str:
    """Where a setting of the first versions stands today."""
    named = {"optimizer": "optimizer.name", "schedule": "schedule.name", "early_stopping": "early_stopping.patience"}
    return named.get(key) or next(full for full in KEYS if full.rpartition(".")[2] == key)


@pytest.mark.parametrize("flat", [FLAT, {key: other_value(place_of(key)) for key in FLAT}], ids=["written", "no default"])
def test_flat_configurations_of_earlier_versions_are_still_read(flat, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(flat), encoding="utf-8")
    config = repeat(tmp_path / "config.yaml")
    assert {key: value_at(config, place_of(key)) for key in flat} == flat


def written_by_groups() -> list[Any]:
    """Configurations in the released cards; one of the first versions is flat, as above."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8"))["config"] for path in sorted(RELEASED.glob("*.json"))}
    return [pytest.param(written, id=stem) for stem, written in found.items() if isinstance(written["optimizer"], dict)]


@pytest.mark.parametrize("written", written_by_groups())
def test_the_configurations_of_the_released_are_read(written, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    config = repeat(tmp_path / "config.yaml")
    for key, value in written.items():
        inner = value if isinstance(value, dict) else {}
        assert {name: value_at(config, f"{key}.{name}") for name in inner} == inner
        assert inner or value_at(config, key) == value


# what is refused


@pytest.mark.parametrize(
    "values, near",
    [
        ({"epoch": 1}, "epochs"),
        ({"optimizer.lrr": 1}, "optimizer.lr"),
        ({"optimizer": {"lrr": 1}}, "optimizer.lr"),
        ({"learn.mixupp": 1}, "mixup"),
        ({"optimiser": "adam"}, "optimizer"),
        ({"augmentation": {"cut_mix": 1}}, "augmentation.cutmix"),
        ({"early_stoping": 3}, "early_stopping"),
        ({"loss": {"focal_gama": 1}}, "loss.focal_gamma"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_and_all_known_ones(values, near):
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), values, "mine.yaml")
    message = str(caught.value)
    assert message.startswith("mine.yaml: unknown key ") and f"did you mean '{near}'?" in message
    assert message.endswith(f"known keys: {', '.join(KEYS)}")


@pytest.mark.parametrize(
    "values, words",
    [
        ({"optimizer": {"lr": {"start": 1}}}, ["optimizer.lr"]),
        ({"optimizer": ["adam"]}, ["optimizer.name"]),
        ({"name": "adam"}, ["key 'name' is that of several groups", "write optimizer.name or schedule.name or loss.name"]),
        ({"patience": 3}, ["key 'patience' is that of several groups; write schedule.patience or early_stopping.patience"]),
        ({"": 3}, ["unknown key ''"]),
        ({3: 3}, ["unknown key '3'"]),
        ({"alternating_flip": 1}, ["augmentation.alternating_flip=1 should be true or false"]),
        ({"epochs": 2.5}, ["epochs=2.5 should be a whole number from 1 to 100000"]),
        ({"epochs": None}, ["epochs=None"]),
        ({"lr": None}, ["optimizer.lr=None"]),
        ({"lr": True}, ["optimizer.lr=True"]),
        ({"lr": float("inf")}, ["lr=inf lies outside"]),
        ({"lr": 10**400}, ["lr"]),
        ({"init": 3}, ["init=3 should be a text"]),
        ({"classes": "happy"}, ["two or more"]),
        ({"classes": "happy,happy"}, ["two or more"]),
        ({"classes": ["happy", 3]}, ["classes"]),
        ({"classes": "happy,contempt"}, ["contempt", *EMOTIONS]),
        ({"teachers": {"a": 1}}, ["distillation.teachers", "[] for none"]),
        ({"flip": True}, ["augmentation.flip=True should be a number from 0 to 1"]),
        ({"optimizer": 3}, ["optimizer.name=3 should be a text: sgd, adam, adamw"]),
        ({"monitor": "f1"}, ["unknown monitor 'f1'", "accuracy, loss, macro_f1"]),
        ({"schedule": "one-cycl"}, ["did you mean 'one-cycle'?"]),
        ({"labels": "ferplus"}, LABELS),
        ({"mode": "gradually"}, ["did you mean 'gradual'?", *MODES]),
    ],
)
def test_an_impossible_value_is_refused_in_words(values, words):
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), values, "test")
    assert [word for word in words if word not in str(caught.value)] == [] and str(caught.value).startswith("test: ")


@pytest.mark.parametrize(
    "text",
    ["lr=2024-13-45", "epochs=" + "1" * 5000, "lr=[1", "lr=!!python/object:x", "lr=*a", "lr=\x00"],
    ids=["date", "digits", "bracket", "object", "alias", "nul"],
)
def test_values_that_yaml_cannot_read_are_refused(text):
    with pytest.raises(ConfigError, match="--set"):
        parse_assignments([text])


# which layer wins


@pytest.fixture
def recipe(tmp_path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 5\nseed: 5\noptimizer: {lr: 0.5}\nloss: {class_weights: balanced}\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "assignments, options, expected",
    [
        ([], {}, (5, 5, 0.5, "balanced", 0.9)),
        (["epochs=6"], {}, (6, 5, 0.5, "balanced", 0.9)),
        (["epochs=6", "momentum=0.6"], {"epochs": 7}, (7, 5, 0.5, "balanced", 0.6)),
        (["optimizer.lr=0.6"], {"epochs": 7, "seed": 7, "loss.class_weights": "none"}, (7, 7, 0.6, "none", 0.9)),
        (["lr=0.1", "optimizer.lr=0.6"], {"epochs": None}, (5, 5, 0.6, "balanced", 0.9)),
    ],
)
def test_defaults_give_way_to_the_recipe_that_to_set_and_that_to_named_options(assignments, options, expected, recipe):
    config = resolve("baseline", recipe, assignments, options)
    found = (config.epochs, config.seed, config.optimizer.lr, config.loss.class_weights, config.optimizer.momentum)
    assert found == expected and config.model == "baseline"


#: Recipes that are named after an architecture, or after one and a mode, are taken by themselves.
OWN = [name for name in recipe_names() if name in MODELS or name.partition("-")[2] in MODES]


def test_other_recipes_say_which_architecture_they_are_for():
    others = set(recipe_names()) - set(OWN) - {"pretrain", *MODES}  # those for every architecture
    assert others == {
        "custom_cnn-distilled",
        "fast_cnn-ferplus",
        "fast_cnn-four",
        "fast_cnn-robust",
        "mobilenet_v3_small-distilled",
        "net-distilled",
        "net-long",
        "resnet18-distilled",
        "resnet18-ferplus",
        "resnet18-four",
        "speedrun",
        "speedrun-cpu",
    }
    assert {name: read_recipe(name)["model"] in MODELS for name in others} == dict.fromkeys(others, True)


@pytest.mark.parametrize("name", sorted({"resnet18-four", "speedrun"}))
def test_a_recipe_that_is_named_names_the_architecture(name):
    assert resolve(None, name, [], {}) == recipe_config(name)
    assert resolve(None, name, [], {}).model == read_recipe(name)["model"]


@pytest.mark.parametrize("name", OWN)
def test_a_shipped_recipe_is_taken_where_none_is_named(name):
    architecture, _, mode = name.partition("-")
    expected = with_values(RunConfig(), {**read_recipe(name), "model": architecture, "mode": mode or "scratch"}, name)
    assert resolve(architecture, None, [], {"mode": mode or None}) == expected


@pytest.mark.parametrize("mode", MODES[1:])
def test_an_architecture_without_a_recipe_for_a_mode_takes_that_of_the_mode(mode):
    expected = with_values(RunConfig(), {**read_recipe(mode), "model": "net", "mode": mode, "init": "net"}, mode)
    assert resolve("net", None, [], {"mode": mode, "init": "net"}) == expected
    assert expected.optimizer.layer_decay < 1 or mode != "gradual"
    assert resolve("net", mode, [], {"mode": mode, "init": "net"}) == expected


def test_an_architecture_without_any_recipe_takes_the_defaults():
    assert resolve("timm:resnet10t", None, [], {}) == RunConfig(model="timm:resnet10t")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_holds_only_what_differs_from_the_defaults(name):
    given, config = by_full_key(read_recipe(name), name), recipe_config(name)
    assert [key for key in given if key != "model" and value_at(config, key) == value_at(RunConfig(), key)] == []


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("net-long", "fer train --recipe net-long"),
        ("vit-gradual", "fer train vit --mode gradual"),
        ("finetune", "fer train NAME --recipe finetune"),
    ],
)
def test_a_recipe_in_an_architectures_place_is_told_where_it_belongs(name, command):
    with pytest.raises(ConfigError, match=f"^{name} is no architecture but a recipe: {command}$"):
        resolve(name, None, [], {})


@pytest.mark.parametrize(
    ("recipe", "mode", "expected"),
    [("resnet18-gradual", None, "gradual"), ("finetune", None, "finetune"), ("finetune", "gradual", "gradual")],
)
def test_a_recipe_that_is_named_after_a_mode_is_for_that_mode_unless_told(recipe, mode, expected):
    config = resolve("resnet18", recipe, [], {"mode": mode})
    assert config.mode == expected
    assert (config.epochs, config.optimizer.lr) == (recipe_config(recipe).epochs, recipe_config(recipe).optimizer.lr)


def test_a_recipe_that_names_no_architecture_asks_for_one(recipe):
    with pytest.raises(ConfigError, match=r"names no architecture: fer train NAME --recipe .*; known: baseline, "):
        resolve(None, recipe, [], {})


def test_settings_that_only_fit_together_are_judged_together():
    config = resolve("baseline", None, ["small_epochs=45"], {"epochs": 50})
    assert (config.small_epochs, config.epochs) == (45, 50)


def test_the_architecture_that_is_named_is_the_one_that_is_trained(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("model: custom_cnn\n", encoding="utf-8")
    assert resolve("baseline", str(path), [], {}).model == "baseline"


def test_defaults_are_shared_but_cannot_be_changed():
    assert isinstance(RunConfig.__dataclass_fields__, dict | types.MappingProxyType)
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().optimizer.lr = 1.0
