"""What a network hands to its last layer: one pass over faces that keeps these features beside the predictions."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from analysis.explain.method import untouched
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.errors import ConfigError, DataError
from fer.evaluation import judge, make_table
from fer.files import DAMAGED_NPZ, write_whole
from fer.models.ensemble import DEFAULT_MEMBERS, Ensemble, member_form
from fer.models.head import last_linear
from fer.types import FloatArray, PredictionTable, Progress


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The features of N faces, row by row with the predictions of the same pass.

    Attributes:
        values: float32 (N, D), the input of the last linear layer; of an ensemble, those of its members side by side.
        table: what the network said of the faces.
    """

    values: FloatArray
    table: PredictionTable

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float32)
        if values.ndim != 2 or len(values) != len(self.table) or not np.isfinite(values).all():
            raise ValueError(f"features {values.shape} of {len(self.table)} faces: one row of finite values for each is needed")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    def save(self, path: Path) -> None:
        """Write one .npz; OutputError where the folder is missing or not writable."""
        table = self.table
        about = {"names": table.names, "classes": table.classes, "split": table.split, "source": dict(table.source)}
        content = io.BytesIO()
        np.savez_compressed(
            content, values=self.values, logits=table.logits, labels=table.labels, about=np.array(json.dumps(about))
        )
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; DataError where that is not possible."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                about: dict[str, Any] = json.loads(str(arrays["about"]))
                values, logits, labels = (arrays[name] for name in ("values", "logits", "labels"))
            names, classes = tuple(about["names"]), tuple(about["classes"])
            return cls(values, PredictionTable(logits, labels, names, classes, about["split"], dict(about["source"])))
        except DAMAGED_NPZ as error:
            raise DataError(f"{path} holds no features of fer: {error}; write them anew with fer features") from error


def extract(checkpoint: Checkpoint, faces: FaceSet, progress: Progress | None = None) -> FeatureTable:
    """Features and predictions of all faces from one pass; the model is left as it was, also after an error.

    Faces of classes that the checkpoint does not know are left out.

    Raises:
        DataError: no face is left.
        ConfigError: the head of the network has no linear layer, or does not use it once a face.

    >>> from fer.checkpoint import load
    >>> images = torch.zeros(2, 1, 48, 48, dtype=torch.uint8)
    >>> extract(load("baseline"), FaceSet(images, torch.tensor([0, 1]), ("a", "b"), "validation")).values.shape
    (2, 512)
    """
    faces = faces.only(checkpoint.card.classes)
    layers = last_layers(checkpoint)
    with untouched(checkpoint.runner), _inputs_kept(layers) as kept:
        table = make_table(checkpoint, faces, judge(checkpoint, faces.images, progress=progress))
    if any(sum(map(len, parts)) != len(faces) for parts in kept):
        raise ConfigError(f"the last layer of {checkpoint.name} is not used once a face; choose another checkpoint")
    return FeatureTable(torch.cat([torch.cat(parts) for parts in kept], dim=1).numpy(), table)


def last_layers(checkpoint: Checkpoint) -> tuple[nn.Linear, ...]:
    """The layers that give the logits, one a head; ConfigError where a head has no linear layer."""
    return tuple(_last_linear(checkpoint, name) for name in heads(checkpoint))


def heads(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Dotted names of the modules that give the logits: one, several in some networks of timm, or those of all members."""
    if not isinstance(checkpoint.model, Ensemble):
        return checkpoint.card.spec.heads
    members = checkpoint.card.members or DEFAULT_MEMBERS
    return tuple(f"members.{i}.{head}" for i, member in enumerate(members) for head in member_form(member).heads)


def _last_linear(checkpoint: Checkpoint, head: str) -> nn.Linear:
    found = last_linear(checkpoint.runner, head)
    if found is None:
        raise ConfigError(f"{checkpoint.name} has no linear layer in its head {head!r}; choose another checkpoint")
    return found


@contextmanager
def _inputs_kept(layers: tuple[nn.Linear, ...]) -> Iterator[list[list[torch.Tensor]]]:
    """What enters each layer, batch by batch, as float32 (N, D) in main memory."""
    kept: list[list[torch.Tensor]] = [[] for _ in layers]

    def keep(place: int, entering: torch.Tensor) -> None:
        # a copy: the class token of a transformer is a view that would keep all tokens alive
        kept[place].append(entering.detach().flatten(1).to("cpu", torch.float32, copy=True))

    handles = [
        layer.register_forward_pre_hook(lambda _, entering, place=place: keep(place, entering[0]))
        for place, layer in enumerate(layers)
    ]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
