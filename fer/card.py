"""What a model file says of itself; the same card travels in a checkpoint and in what was exported from it.

Reading a card loads no torch: an exported model is used where there is none.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from fer.config import LABELS
from fer.emotions import EMOTIONS
from fer.types import Preprocess

if TYPE_CHECKING:
    from fer.models import Variant

#: Raised by one whenever older programs could misread a new checkpoint.
SCHEMA = 1
#: Where a card has its figures by FER+'s majority rule; others stand behind it, after a slash, as behind "validation".
MAJORITY = "validation/ferplus-majority"


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself.

    Attributes:
        architecture: name in :data:`fer.models.MODELS`.
        variant: form of the architecture, ``small`` or ``imagenet``.
        classes: class names in the order of the logits.
        preprocess: how a face becomes the input.
        config: the resolved run configuration.
        seed: of initialisation, order and augmentation.
        class_weights: weight of every class in the loss.
        best_epoch: the epoch (from 1) whose weights these are, chosen on the validation split.
        train_accuracy: 0..1, without augmentation.
        validation_accuracy: 0..1.
        metrics: split → all figures with n and 95 % interval.
        data: origin, fingerprint, and per split count and fingerprint; what it was pretrained on and taught by.
        versions: of Python and the packages that matter.
        hardware: device and minutes of the training.
        members: for an ensemble, its networks: architecture, variant, preprocess, weight, and what they were measured at.
        temperature: logits are divided by it wherever the checkpoint answers; fitted on a part of the validation split.
        biases: what calibration has added to the last layer's bias of each class; empty where nothing.
        settled_norms: whether batch norms hold the statistics of training faces as they are, not as augmented.
        weights_sha256: over the stored tensors, and of an ensemble over its members' shares and inputs, too.
        schema: version of this layout.
    """

    architecture: str
    variant: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    class_weights: tuple[float, ...] = ()
    best_epoch: int = 0
    train_accuracy: float = 0.0
    validation_accuracy: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[Mapping[str, Any], ...] = ()
    temperature: float = 1.0
    biases: tuple[float, ...] = ()
    settled_norms: bool = False
    weights_sha256: str = ""
    schema: int = SCHEMA

    @property
    def spec(self) -> "Variant":
        """The registered form of the architecture; UnknownNameError where this program has none."""
        from fer.models import MODELS

        return MODELS[self.architecture].form(self.variant, self.members)

    @property
    def labels(self) -> str:
        """Which labels it learnt and is judged by: the data set's own, ``"fer"``, where its configuration names none."""
        return str(self.config.get("labels", LABELS[0]))

    @property
    def marks(self) -> tuple[str, ...]:
        """What sets it apart from one trained from scratch on all classes with the data set's own labels.

        What applies to its members, its teachers or what it started from applies to it, too.
        """
        own = {
            f"{len(self.classes)} classes": len(self.classes) < len(EMOTIONS),
            f"labels {self.labels}: another task": self.labels != LABELS[0],
            f"pretrained on {self.data.get('pretrained', {}).get('data')}": "pretrained" in self.data,
            "distilled": bool(self.config.get("distillation", {}).get("teachers")),
        }
        sources = (*self.members, *self.data.get("teachers", ()), self.data.get("started_from", {}))
        inherited = [mark for source in sources for mark in source.get("marks", ())]
        return tuple(dict.fromkeys([*(mark for mark, applies in own.items() if applies), *inherited]))

    @property
    def judged_faces(self) -> str:
        """Fingerprint of the validation faces whose figures it holds; empty where it does not say."""
        return str(self.data.get("splits", {}).get("validation", {}).get("fingerprint", ""))

    def to_json(self) -> str:
        """Readable JSON, one key a line."""
        data = {f.name: getattr(self, f.name) for f in fields(self)} | {"preprocess": self.preprocess.to_dict()}
        return json.dumps(data, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`; ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise TypeError("a card is a JSON object")
        known = {f.name for f in fields(cls)}
        card = cls(**{key: value for key, value in data.items() if key in known})
        card = replace(
            card,
            preprocess=Preprocess.from_dict(data["preprocess"]),
            classes=tuple(card.classes),
            class_weights=tuple(card.class_weights),
            members=tuple(card.members),
            biases=tuple(card.biases),
        )
        card.validate()
        return card

    def validate(self) -> None:
        """ValueError or TypeError where a value is of the wrong kind or impossible."""
        texts = (self.architecture, self.variant, self.weights_sha256)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("architecture, variant and weights_sha256 are texts")
        self._check_mappings()
        self._check_members()
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes) or not set(self.classes) <= set(EMOTIONS):
            raise ValueError(f"classes {list(self.classes)}, different ones of {', '.join(EMOTIONS)} are read here")
        dropout = self.config.get("dropout", 0.0)
        if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout {dropout!r} is no number in 0..1")
        if not isinstance(self.temperature, int | float) or not 0.01 <= self.temperature <= 100:
            raise ValueError(f"temperature {self.temperature!r} is no number in 0.01..100")
        if len(self.biases) not in (0, len(self.classes)) or not all(isinstance(bias, int | float) for bias in self.biases):
            raise ValueError(f"biases {list(self.biases)!r} are not one number for each of {len(self.classes)} classes")

    def _check_mappings(self) -> None:
        for name in ("config", "metrics", "data", "versions", "hardware"):
            if not isinstance(getattr(self, name), Mapping):
                raise TypeError(f"{name} is a mapping")
        splits = self.data.get("splits", {})
        inner = (self.config.get("distillation", {}), self.data.get("pretrained", {}), *self.metrics.values(), splits)
        inner += tuple(splits.values()) if isinstance(splits, Mapping) else ()
        teachers = self.data.get("teachers", ())
        if not isinstance(teachers, list | tuple) or not all(isinstance(each, Mapping) for each in (*inner, *teachers)):
            raise TypeError("teachers, splits, metrics of a split, distillation and pretrained are mappings")
        for source in (*teachers, *self.members, self.data.get("started_from", {})):
            marks = source.get("marks", ()) if isinstance(source, Mapping) else None
            if not isinstance(marks, list | tuple) or not all(isinstance(mark, str) for mark in marks):
                raise TypeError("members, teachers and what it started from are mappings, their marks lists of texts")

    def _check_members(self) -> None:
        for member in self.members:
            if not all(isinstance(member.get(key, ""), str) for key in ("architecture", "variant")):
                raise TypeError("architecture and variant of a member are texts")
            for key, value in ((key, member.get(key, 1.0)) for key in ("weight", "temperature")):
                if not isinstance(value, int | float) or not 0 < value < math.inf:
                    raise ValueError(f"a member's {key} {value!r} is no positive number")
