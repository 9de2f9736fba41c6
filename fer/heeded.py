"""Which keys of a run's configuration count for nothing beside what other keys say."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from fer.config import RunConfig
from fer.errors import ConfigError


@dataclass(frozen=True)
class Need:
    """What a key is for: runs in which one of ``keys`` has a value that ``suits``."""

    words: str
    keys: tuple[str, ...]
    suits: Callable[[Any], bool] = bool

    def met(self, config: RunConfig) -> bool:
        """Whether a configuration has what it takes."""
        return any(self.suits(attrgetter(key)(config)) for key in self.keys)

    def state(self, config: RunConfig) -> str:
        """What a configuration has instead, as a person would write it."""
        return " and ".join(f"{key.removesuffix('.name')}={_text(attrgetter(key)(config))}" for key in self.keys)


def _set(key: str, *values: str) -> Need:
    return Need(" and ".join(f"{key.removesuffix('.name')}={value}" for value in values), (key,), set(values).__contains__)


_TEACHERS = Need("runs with a teacher (--teacher)", ("distillation.teachers",))

#: What each key needs; those that are not named here always count.
NEEDS: Mapping[str, Need] = {
    "small_size": Need("runs with small_epochs", ("small_epochs",)),
    "unfreeze_every": _set("mode", "gradual"),
    "settle_norms": _set("mode", "scratch", "finetune"),
    "schedule.factor": _set("schedule.name", "plateau", "step"),
    "schedule.patience": _set("schedule.name", "plateau"),
    "schedule.step_epochs": _set("schedule.name", "step"),
    "schedule.min_lr": _set("schedule.name", "plateau", "step"),
    "loss.focal_gamma": _set("loss.name", "focal"),
    "loss.max_weight_ratio": Need("runs with class weights", ("loss.class_weights",), lambda weights: weights != "none"),
    "distillation.temperature": _TEACHERS,
    "distillation.alpha": _TEACHERS,
    "distillation.ahead": _TEACHERS,
    "augmentation.flip": Need("alternating_flip=false", ("augmentation.alternating_flip",), lambda alternates: not alternates),
    "augmentation.unmixed": Need("runs with mixup or cutmix", ("augmentation.mixup", "augmentation.cutmix")),
}


def unheeded(config: RunConfig, keys: Iterable[str]) -> list[str]:
    """Those of ``keys``, in full, that change nothing in a run of this configuration.

    >>> unheeded(RunConfig(), ["loss.focal_gamma", "loss.label_smoothing"])
    ['loss.focal_gamma']
    """
    return [key for key in keys if key in NEEDS and not NEEDS[key].met(config)]


def refuse_unheeded(configs: Collection[RunConfig], given: Mapping[str, str]) -> None:
    """ConfigError for a key that no run of several heeds; ``given`` tells what a person wrote for each key in full.

    >>> refuse_unheeded([RunConfig(mode="gradual", init="net")], {"unfreeze_every": "--unfreeze-every"})
    """
    for key, written in given.items():
        if configs and all(unheeded(config, [key]) for config in configs):
            states = " or ".join(dict.fromkeys(NEEDS[key].state(config) for config in configs))
            raise ConfigError(f"{written} is for {NEEDS[key].words}, not for {states}; change that, or leave {written} out")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
