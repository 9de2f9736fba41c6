"""The run configuration: defaults < recipe file < ``--set key=value``; unknown keys are errors.

Standard library and PyYAML only, so that it loads on a bare training machine.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml

from fer.emotions import suggestion
from fer.errors import ConfigError

MODES: tuple[str, ...] = ("scratch", "finetune", "feature-extract")
_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": MODES,
    "optimizer": ("sgd", "adamw"),
    "schedule": ("cosine", "plateau", "constant"),
    "class_weights": ("none", "balanced"),
    "precision": ("auto", "fp32", "bf16"),
}
_FRACTIONS = ("label_smoothing", "dropout", "flip", "erase", "zoom", "shift", "brightness", "contrast", "ema", "warmup")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a training run; saved beside its checkpoint.

    Augmentation strengths are half-widths of uniform draws: ``rotate`` in degrees, ``zoom`` and ``shift``
    as fractions of the face, ``brightness`` and ``contrast`` as fractions of the grey range;
    ``flip`` and ``erase`` are probabilities. ``small_epochs`` first epochs see faces reduced to
    ``small_size`` pixels (progressive resizing). ``warmup`` is a fraction of all steps.
    """

    model: str = "custom_cnn"
    mode: str = "scratch"
    epochs: int = 30
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.1
    grad_clip: float = 5.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    class_weights: str = "none"
    ema: float = 0.998
    dropout: float = 0.3
    input_size: int = 0
    small_epochs: int = 0
    small_size: int = 32
    flip: float = 0.5
    rotate: float = 10.0
    zoom: float = 0.1
    shift: float = 0.1
    brightness: float = 0.2
    contrast: float = 0.2
    erase: float = 0.0
    early_stopping: int = 0
    precision: str = "auto"
    seed: int = 1
    init: str = ""

    def __post_init__(self) -> None:
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                hint = suggestion(getattr(self, key), allowed)
                raise ConfigError(f"unknown {key} {getattr(self, key)!r}{hint}; known: {', '.join(allowed)}")
        for key in _FRACTIONS:
            _check(key, getattr(self, key), 0, 1)
        _check("epochs", self.epochs, 1, 100_000)
        _check("batch_size", self.batch_size, 2, 65_536)
        _check("lr", self.lr, 1e-9, 100)
        _check("input_size", self.input_size, 0, 512)
        _check("small_size", self.small_size, 16, 512)
        _check("small_epochs", self.small_epochs, 0, self.epochs)
        _check("seed", self.seed, 0, 2**31 - 1)
        for key in ("momentum", "weight_decay", "grad_clip", "mixup", "rotate", "early_stopping"):
            _check(key, getattr(self, key), 0, 360)

    def to_dict(self) -> dict[str, Any]:
        """All keys with their values, in declaration order."""
        return dataclasses.asdict(self)


def _check(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{key}={value} lies outside {low}..{high}")


def with_values(config: RunConfig, values: Mapping[str, Any], source: str) -> RunConfig:
    """Copy of ``config`` with some keys replaced; ``source`` names the file or option in errors.

    Raises:
        ConfigError: a key is unknown, or a value has the wrong type or range.
    """
    types = {f.name: f.type for f in dataclasses.fields(RunConfig)}
    for key in values:
        if key not in types:
            raise ConfigError(f"{source}: unknown key {key!r}{suggestion(key, list(types))}; known keys: {', '.join(types)}")
    typed = {key: _typed(key, value, types[key], source) for key, value in values.items()}
    return dataclasses.replace(config, **typed)


def _typed(key: str, value: Any, kind: Any, source: str) -> Any:
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 5e-4 as text
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{source}: {key}={value!r} is no number") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind and type(value) not in get_args(kind):
        raise ConfigError(f"{source}: {key}={value!r} should be of type {kind.__name__}")
    return value


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Values of ``key=value`` texts as given to ``--set``; values are read as YAML.

    Raises:
        ConfigError: a text has no ``=`` or no valid value.

    >>> parse_assignments(["lr=0.1", "schedule=plateau"])
    {'lr': 0.1, 'schedule': 'plateau'}
    """
    values: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: write it as key=value")
        values[key.strip()] = _yaml(value, f"--set {text}")
    return values


def read_recipe(name: str) -> dict[str, Any]:
    """Values of a recipe: a path to a YAML file, or the name of one shipped in ``fer/recipes``.

    Raises:
        ConfigError: no such recipe, or it is no YAML mapping.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read recipe {name}: {error}; give a YAML file or a shipped name") from error
    elif name in recipe_names():
        text = resources.files("fer.recipes").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    else:
        hint = suggestion(name, recipe_names())
        raise ConfigError(f"unknown recipe {name!r}{hint}; known: {', '.join(recipe_names())}, or a .yaml file")
    values = _yaml(text, f"recipe {name}")
    if not isinstance(values, dict):
        raise ConfigError(f"recipe {name}: a mapping of keys to values is expected")
    return values


def recipe_names() -> list[str]:
    """Names of the recipes shipped with the package, sorted."""
    files = resources.files("fer.recipes").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: no valid YAML ({' '.join(str(error).split())})") from error
