"""A labelled data set in memory: each split one uint8 tensor, decoded once, moved whole to the device."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch

from fer.data.photos import photo_keys
from fer.emotions import EMOTIONS
from fer.errors import DataError, OutputError
from fer.files import ESCAPED
from fer.types import FACE_SIZE, ByteArray

#: The splits and the challenge's own names for them.
OFFICIAL_SPLITS: dict[str, str] = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
SPLITS: tuple[str, ...] = ("train", "validation", "test")

#: The way out where the split for training is missing.
TO_TRAIN_ON = "name data to train on"


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces and labels of one split.

    Attributes:
        images: uint8 (N, 1, 48, 48), grey.
        labels: int64 (N,), index into ``classes``.
        names: N file names inside the data set, or ``row N`` of a csv.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        classes: names of the classes that occur, in the order of :data:`fer.emotions.EMOTIONS`.
        targets: float32 (N, C), rows summing to 1, where the annotators disagree in part; None where labels say all.
    """

    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]
    split: str
    classes: tuple[str, ...] = EMOTIONS
    targets: torch.Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != torch.uint8 or self.images.shape != (n, 1, FACE_SIZE, FACE_SIZE):
            raise ValueError(f"images are {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.dtype != torch.int64 or len(self.labels) != n or len(self.names) != n:
            raise ValueError(f"{n} images, {len(self.labels)} labels of {self.labels.dtype}, {len(self.names)} names")
        if self.targets is not None and self.targets.shape != (n, len(self.classes)):
            raise ValueError(f"targets {tuple(self.targets.shape)} for {n} images of {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def counts(self) -> dict[str, int]:
        """Images of every class, in class order."""
        numbers = torch.bincount(self.labels.cpu(), minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, numbers, strict=True))

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over all (label, pixels) pairs and soft targets, whatever their order, names or packing."""
        pixels, places = self.images.cpu().numpy(), [EMOTIONS.index(name) for name in self.classes]
        soft = [b""] * len(self) if self.targets is None else [row.tobytes() for row in self.targets.cpu().numpy()]
        digests = sorted(
            hashlib.sha256(bytes([places[label]]) + image.tobytes() + target).digest()
            for label, image, target in zip(self.labels.tolist(), pixels, soft, strict=True)
        )
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def to(self, device: torch.device | str) -> Self:
        """The same set with its tensors on ``device``."""
        targets = None if self.targets is None else self.targets.to(device)
        return replace(self, images=self.images.to(device), labels=self.labels.to(device), targets=targets)

    def select(self, index: torch.Tensor) -> Self:
        """Subset by int64 positions or a boolean mask."""
        where = index.nonzero().flatten() if index.dtype == torch.bool else index
        names = tuple(self.names[i] for i in where.tolist())
        targets = None if self.targets is None else self.targets[where]
        return replace(self, images=self.images[where], labels=self.labels[where], names=names, targets=targets)

    def only(self, classes: Sequence[str]) -> Self:
        """The faces of some classes, their labels counted anew; soft targets share out what other classes had.

        Raises:
            DataError: none of them is left.
        """
        kept = [name for name in self.classes if name in classes]
        if tuple(kept) == self.classes:
            return self
        places = torch.full((len(self.classes),), -1)
        places[[self.classes.index(name) for name in kept]] = torch.arange(len(kept))
        labels = places.to(self.labels.device)[self.labels]
        if not (labels >= 0).any():
            raise DataError(f"the {self.split} split has no image of {', '.join(classes)}; choose other classes")
        chosen = replace(self, targets=None).select(labels >= 0)
        targets = None
        if self.targets is not None:
            share = self.targets[labels >= 0][:, [self.classes.index(name) for name in kept]]
            targets = share / share.sum(dim=1, keepdim=True)
        return replace(chosen, labels=labels[labels >= 0], classes=tuple(kept), targets=targets)


@dataclass(frozen=True, eq=False)
class Row:
    """One labelled face as a source delivers it: uint8 (48, 48) pixels, class index, split, name."""

    pixels: ByteArray
    label: int
    split: str
    name: str


@dataclass(frozen=True)
class Skipped:
    """Files of one kind that were passed over, and why."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """A whole data set: its splits, where it came from, what was passed over, what its labels and its cleaning rest on.

    ``photo_note`` says which of its pictures are no faces cut out; empty where all are.
    """

    origin: Path
    splits: Mapping[str, FaceSet]
    skipped: tuple[Skipped, ...] = ()
    labels_note: str = ""
    clean_note: str = ""
    photo_note: str = ""

    def split(self, name: str, way_out: str = "choose one of these (--split), or name other data") -> FaceSet:
        """The faces of one split.

        Args:
            name: of :data:`SPLITS`.
            way_out: what to do where the data lacks it, for callers that leave no choice.

        Raises:
            DataError: the data set has no such split.
        """
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}; known splits: {', '.join(SPLITS)}")
        if name not in self.splits:
            raise DataError(f"{self.origin} has no {name} split (it has: {', '.join(self.splits)}); {way_out}")
        return self.splits[name]

    def refuse_inside(self, out: Path) -> None:
        """OutputError where a folder to be written lies in the data set, whose faces what it holds would be taken for."""
        if out.resolve().is_relative_to(self.origin.resolve()):
            raise OutputError(f"{out} lies in the data set {self.origin}, which stays as it is; name a folder outside")

    @property
    def fingerprint(self) -> str:
        """Hex sha256 over the fingerprints of all splits."""
        parts = "".join(f"{name}:{self.splits[name].fingerprint}\n" for name in sorted(self.splits))
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def named_fingerprint(self) -> str:
        """Like :attr:`fingerprint`, and other where a face has another name: for what speaks of faces by their names."""
        parts = [
            f"{split}/{name}\0".encode(errors=ESCAPED) + hashlib.sha256(image.tobytes()).digest()
            for split, faces in self.splits.items()
            for name, image in zip(faces.names, faces.images.cpu().numpy(), strict=True)
        ]
        return hashlib.sha256(self.fingerprint.encode() + b"".join(sorted(parts))).hexdigest()

    def only(self, classes: Sequence[str]) -> Self:
        """The faces of some classes in every split; DataError where a split has none."""
        return replace(self, splits={name: faces.only(classes) for name, faces in self.splits.items()})

    def for_training(self) -> tuple[FaceSet, FaceSet]:
        """Train and validation faces; where there is no validation split, a tenth of train is held out.

        The tenth is chosen by the hash of the pixels, so that copies of one photo, mirrored ones included, stay on one side
        and the choice does not depend on file names.

        Raises:
            DataError: no train split, or a class of it is empty.
        """
        train = self.split("train", TO_TRAIN_ON)
        missing = [name for name, count in train.counts.items() if count == 0]
        if missing:
            raise DataError(f"{self.origin}: the train split has no image of {', '.join(missing)}; add some")
        if "validation" in self.splits:
            return train, self.splits["validation"]
        held_out = torch.tensor([hashlib.sha256(key).digest()[0] < 26 for key in photo_keys(train.images)])
        if not held_out.any() or held_out.all():
            raise DataError(f"{self.origin}: {len(train)} train images are too few to hold out a validation split")
        return train.select(~held_out), replace(train.select(held_out), split="validation")
