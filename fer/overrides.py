"""Changing a configuration: defaults < recipe file < ``--set group.key=value`` < named options.

A key may be written in full (``optimizer.lr``) or alone where only one group has it (``lr``);
a plain value given to a group sets its first key (``schedule=plateau``).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from fer.config import MODES, RunConfig
from fer.emotions import suggestion
from fer.errors import ConfigError
from fer.words import shortened


def _fields() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for f in dataclasses.fields(RunConfig):
        if dataclasses.is_dataclass(f.type):
            yield from ((f"{f.name}.{inner.name}", inner) for inner in dataclasses.fields(f.type))
        else:
            yield f.name, f


_FIELDS = dict(_fields())
#: Every key in full.
KEYS = tuple(_FIELDS)
_GROUPS = {f.name: f.type for f in dataclasses.fields(RunConfig) if dataclasses.is_dataclass(f.type)}


def _aliases() -> dict[str, str]:
    last = [path.rpartition(".")[2] for path in KEYS]
    short = {name: path for name, path in zip(last, KEYS, strict=True) if last.count(name) == 1}
    first = {name: f"{name}.{dataclasses.fields(group)[0].name}" for name, group in _GROUPS.items()}
    return short | first | {path: path for path in KEYS}


_ALIASES = _aliases()


def with_values(config: RunConfig, values: Mapping[str, Any], source: str) -> RunConfig:
    """Copy of ``config`` with some keys replaced; ``source`` names the file or option in errors.

    Raises:
        ConfigError: a key is unknown, or a value has the wrong type or range.

    >>> with_values(RunConfig(), {"lr": 0.1, "loss": {"label_smoothing": 0}}, "example").optimizer.lr
    0.1
    """
    changes: dict[str, dict[str, Any]] = {}
    for path, value in by_full_key(values, source).items():
        group, _, name = path.rpartition(".")
        changes.setdefault(group, {})[name] = _typed(path, value, source)
    try:
        groups = {group: dataclasses.replace(getattr(config, group), **new) for group, new in changes.items() if group}
        return dataclasses.replace(config, **groups, **changes.get("", {}))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def by_full_key(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The same values by their keys in full; ConfigError, which names ``source``, for an unknown one.

    >>> by_full_key({"lr": 0.1, "loss": {"label_smoothing": 0}, "schedule": "plateau"}, "example")
    {'optimizer.lr': 0.1, 'loss.label_smoothing': 0, 'schedule.name': 'plateau'}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key in _GROUPS and isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            flat[str(key)] = value
    return {_full(key, source): value for key, value in flat.items()}


def _full(key: str, source: str) -> str:
    if key in _ALIASES:
        return _ALIASES[key]
    if several := [path for path in KEYS if path.endswith(f".{key}")]:
        raise ConfigError(f"{source}: key {key!r} is that of several groups; write {' or '.join(several)}")
    hint = suggestion(key, list(_ALIASES)) or suggestion(key.rpartition(".")[2], list(_ALIASES))
    raise ConfigError(f"{source}: unknown key {key!r}{hint}; known keys: {', '.join(KEYS)}")


def _typed(path: str, value: Any, source: str) -> Any:
    kind: Any = _FIELDS[path].type
    if get_origin(kind) is tuple:
        return _texts(path, value, source)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 5e-4 as text
        try:
            return float(value)
        except ValueError:
            raise _misfit(path, value, source) from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(f"{source}: {path} is too large a number") from None
    if kind is str and value is None:  # an empty value in YAML
        return ""
    if type(value) is not kind:
        raise _misfit(path, value, source)
    return value


_WORDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _misfit(path: str, value: Any, source: str) -> ConfigError:
    field = _FIELDS[path]
    bounds, choice = field.metadata.get("range"), field.metadata.get("allowed")
    allowed = f" from {bounds[0]} to {bounds[1]}" if bounds else f": {', '.join(choice)}" if choice else ""
    return ConfigError(f"{source}: {path}={value!r} should be {_WORDS[field.type]}{allowed}")


def _texts(path: str, value: Any, source: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(part, get_args(_FIELDS[path].type)[0]) for part in value):
        raise ConfigError(f"{source}: {path}={value!r} should be texts, separated by commas ([] for none)")
    return tuple(value)


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
        values[key.strip()] = _yaml(value, f"--set {shortened(text, 100)}")
    return values


def read_recipe(name: str) -> dict[str, Any]:
    """Values of a recipe: a path to a YAML file, or the name of one shipped in ``fer/recipes``, which comes first.

    Raises:
        ConfigError: no such recipe, or it is no YAML mapping.
    """
    if name in recipe_names():
        text = resources.files("fer.recipes").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return _mapping(text, f"recipe {name}")
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return read_values(Path(name))
    hint = suggestion(name, recipe_names())
    raise ConfigError(f"unknown recipe {name!r}{hint}; known: {', '.join(recipe_names())}, or a YAML file")


def read_values(path: Path, what: str = "recipe", advice: str = "give a YAML file or a shipped name") -> dict[str, Any]:
    """Values of a YAML file, whatever it is called; ConfigError, which names ``what`` and ``advice``, where it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read ({error.strerror}); {advice}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} {path} is no YAML file; {advice}") from error
    return _mapping(text, f"{what} {path}")


def _mapping(text: str, source: str) -> dict[str, Any]:
    values = _yaml(text, source)
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: a mapping of keys to values is expected")
    return values


def recipe_config(name: str) -> RunConfig:
    """The defaults with a recipe over them; one that names no ``model`` is called after its architecture, and its mode.

    Raises:
        ConfigError: as :func:`read_recipe` and :func:`with_values`.

    >>> config = recipe_config("vit-gradual")
    >>> config.model, config.mode
    ('vit', 'gradual')
    """
    mode = mode_of(name)
    own = {"model": name.removesuffix(f"-{mode}"), "mode": mode} if mode and mode != name else {"model": name}
    return with_values(RunConfig(), own | read_recipe(name), f"recipe {name}")


def mode_of(name: str) -> str | None:
    """The mode that a shipped recipe is for by its name; None where the name tells of none.

    >>> mode_of("vit-gradual"), mode_of("finetune"), mode_of("net-long"), mode_of("mine.yaml")
    ('gradual', 'finetune', None, None)
    """
    own = (mode for mode in MODES if name == mode or name.endswith(f"-{mode}"))
    return next(own, None) if name in recipe_names() else None


def recipe_of(architecture: str, mode: str) -> str | None:
    """The shipped recipe for an architecture in a mode, or for every architecture in it; None where there is neither.

    >>> recipe_of("vit", "gradual"), recipe_of("net", "gradual"), recipe_of("net", "scratch"), recipe_of("timm:x", "scratch")
    ('vit-gradual', 'gradual', 'net', None)
    """
    own = architecture if mode == "scratch" else f"{architecture}-{mode}"
    return next((name for name in (own, mode) if name in recipe_names()), None)


def recipe_names() -> list[str]:
    """Names of the recipes shipped with the package, sorted."""
    files = resources.files("fer.recipes").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: impossible dates, endless digits
        raise ConfigError(f"{source}: no valid YAML ({' '.join(str(error).split())})") from error
