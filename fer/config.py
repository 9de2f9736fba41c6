"""The run configuration: every key with its default and its range, in groups. :mod:`fer.overrides` changes it.

Standard library only, so that it loads on a bare training machine.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Self

from fer.emotions import EMOTIONS, canonical, suggestion
from fer.errors import ConfigError, UnknownNameError

MODES: tuple[str, ...] = ("scratch", "finetune", "feature-extract", "gradual")
LABELS: tuple[str, ...] = ("fer", "ferplus-majority", "ferplus-soft")


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"range": (low, high)})


def _choice(*allowed: str) -> Any:
    """A text out of ``allowed``; the first is the default."""
    return field(default=allowed[0], metadata={"allowed": allowed})


@dataclass(frozen=True)
class _Checked:
    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            low, high = f.metadata.get("range", (-math.inf, math.inf))
            allowed = f.metadata.get("allowed")
            if allowed and value not in allowed:
                hint = suggestion(value, allowed)
                raise ConfigError(f"unknown {self._called(f.name)} {value!r}{hint}; known: {', '.join(allowed)}")
            if isinstance(value, int | float) and not low <= value <= high:
                raise ConfigError(f"{f.name}={value} lies outside {low}..{high}")

    def _called(self, key: str) -> str:
        return type(self).__name__.lower() if key == "name" else key


@dataclass(frozen=True)
class Optimizer(_Checked):
    """How weights follow their gradients; norms and biases are never decayed.

    ``momentum`` is Adam's β₁, too. ``grad_clip`` bounds the norm of the whole gradient, 0 turns it off.
    ``layer_decay`` multiplies the rate once for every stage away from the head (1: all alike).
    ``ema`` is the decay of the averaged weights that are evaluated and kept, 0 keeps the plain ones.
    """

    name: str = _choice("sgd", "adam", "adamw")
    lr: float = _number(0.05, 1e-9, 100)
    momentum: float = _number(0.9, 0, 0.9999)
    weight_decay: float = _number(5e-4, 0, 10)
    grad_clip: float = _number(5.0, 0, 1e6)
    layer_decay: float = _number(1.0, 0.01, 1)
    ema: float = _number(0.998, 0, 1)


@dataclass(frozen=True)
class Schedule(_Checked):
    """How the learning rate changes; ``warmup`` is a fraction of all steps.

    ``plateau`` multiplies by ``factor`` after more than ``patience`` epochs without a lower validation loss;
    ``step`` multiplies by it every ``step_epochs`` epochs. Neither goes below ``min_lr``.
    """

    name: str = _choice("cosine", "plateau", "one-cycle", "step", "constant")
    warmup: float = _number(0.1, 0, 1)
    factor: float = _number(0.75, 0.01, 1)
    patience: int = _number(5, 0, 10_000)
    step_epochs: int = _number(10, 1, 10_000)
    min_lr: float = _number(1e-5, 0, 1)


@dataclass(frozen=True)
class Loss(_Checked):
    """What is minimised. ``class_weights`` is none, balanced, or a JSON file of class names to weights.

    ``max_weight_ratio`` bounds largest to smallest class weight. ``focal_gamma`` belongs to ``focal``.
    """

    name: str = _choice("cross-entropy", "focal")
    label_smoothing: float = _number(0.1, 0, 0.999)
    focal_gamma: float = _number(2.0, 0, 10)
    class_weights: str = "none"
    max_weight_ratio: float = _number(100.0, 1, 1e6)


@dataclass(frozen=True)
class Distillation(_Checked):
    """Learning from the probabilities of ``teachers`` (checkpoints; their mean where there are several).

    The loss is ``alpha`` times the teachers' part at ``temperature`` and 1 − ``alpha`` times the labels'.
    With ``ahead`` they are asked once, about every face and its mirror image, and what they said is kept; else at every
    step, about what augmentation made of the faces: better, and as slow as they are.
    """

    teachers: tuple[str, ...] = ()
    temperature: float = _number(3.0, 0.1, 100)
    alpha: float = _number(0.7, 0, 1)
    ahead: bool = False


@dataclass(frozen=True)
class Augmentation(_Checked):
    """Random changes of training faces, one draw an image.

    Half-widths of uniform draws: ``rotate`` in degrees, ``zoom`` and ``shift`` as fractions of the face,
    ``brightness`` and ``contrast`` as fractions of the grey range, and so the largest deviation of Gaussian ``noise``, which
    is drawn from 0 on. ``flip`` and ``erase`` are probabilities;
    ``alternating_flip`` mirrors every face in every other epoch instead. ``crop`` pixels of 48 are kept at a random
    place and enlarged, 0 keeps all. ``mixup`` and ``cutmix`` are the α of their Beta draws, 0 turns them off;
    with both, every batch takes one of them. The last ``unmixed`` fraction of the epochs goes without.
    """

    flip: float = _number(0.5, 0, 1)
    alternating_flip: bool = False
    rotate: float = _number(10.0, 0, 180)
    zoom: float = _number(0.1, 0, 0.9)
    shift: float = _number(0.1, 0, 1)
    crop: int = _number(0, 0, 48)
    brightness: float = _number(0.2, 0, 1)
    contrast: float = _number(0.2, 0, 1)
    noise: float = _number(0.0, 0, 1)
    erase: float = _number(0.0, 0, 1)
    mixup: float = _number(0.0, 0, 100)
    cutmix: float = _number(0.0, 0, 100)
    unmixed: float = _number(0.0, 0, 1)

    @property
    def without_mixing(self) -> Self:
        """The same without mixup and cutmix."""
        return dataclasses.replace(self, mixup=0.0, cutmix=0.0)


@dataclass(frozen=True)
class EarlyStopping(_Checked):
    """Ends a run after ``patience`` epochs without a better ``monitor`` on the validation split; 0 never does."""

    patience: int = _number(0, 0, 10_000)
    monitor: str = _choice("accuracy", "loss", "macro_f1")


@dataclass(frozen=True)
class RunConfig(_Checked):
    """Everything that decides a training run; saved beside its checkpoint.

    ``input_size`` 0 is the architecture's own. The first ``small_epochs`` epochs see faces reduced to ``small_size``
    pixels (progressive resizing). ``unfreeze_every`` epochs, mode ``gradual`` frees one more stage, from the head
    backwards. ``init`` names a file of starting weights or a release; ``votes`` the FER+ votes that ``labels`` other than
    ``fer`` need, ``clean`` an index of training faces to leave out. ``batch_size`` counts the faces of all devices together.
    With ``settle_norms`` batch norms end with the statistics of faces without augmentation, where that lowers the
    validation loss; those of a pretraining where it raises the validation accuracy.
    """

    model: str = "custom_cnn"
    mode: str = _choice(*MODES)
    epochs: int = _number(30, 1, 100_000)
    batch_size: int = _number(128, 2, 65_536)
    dropout: float = _number(0.3, 0, 0.999)
    input_size: int = _number(0, 0, 512)
    small_epochs: int = _number(0, 0, 100_000)
    small_size: int = _number(32, 16, 512)
    unfreeze_every: int = _number(2, 1, 10_000)
    precision: str = _choice("auto", "fp32", "bf16")
    sync_batchnorm: bool = False
    settle_norms: bool = True
    seed: int = _number(1, 0, 2**31 - 1)
    init: str = ""
    classes: tuple[str, ...] = EMOTIONS
    labels: str = _choice(*LABELS)
    votes: str = ""
    clean: str = ""
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    loss: Loss = Loss()
    distillation: Distillation = Distillation()
    augmentation: Augmentation = Augmentation()
    early_stopping: EarlyStopping = EarlyStopping()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.small_epochs > self.epochs:
            raise ConfigError(f"small_epochs={self.small_epochs} lies outside 0..{self.epochs}, the epochs")
        try:
            chosen = [canonical(name) for name in self.classes]
        except UnknownNameError as error:
            raise ConfigError(str(error)) from error
        if len(set(chosen)) < max(2, len(chosen)):
            raise ConfigError(f"classes {', '.join(self.classes)}: name two or more different ones of {', '.join(EMOTIONS)}")
        # one order and one spelling for all, however they were typed
        object.__setattr__(self, "classes", tuple(name for name in EMOTIONS if name in chosen))

    def to_dict(self) -> dict[str, Any]:
        """All keys with their values, groups as mappings, in declaration order."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
