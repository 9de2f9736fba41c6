"""A model that was exported: opened, asked and explained in the same way whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fer.aim import Name, make_aim
from fer.card import Card
from fer.errors import CheckpointError, ConfigError
from fer.images import grey_batch
from fer.portable.maps import class_maps
from fer.portable.seal import Seal
from fer.registry import Registry
from fer.types import FACE_SIZE, ByteArray, Face, FloatArray, Heatmap, Progress, log_mean_probs
from fer.views import TTA, View

#: Faces given to a runtime at once.
BATCH = 64

LOGITS, FEATURES, WEIGHTS = OUTPUTS = ("logits", "features", "weights")


class Engine(Protocol):
    """What computes: faces in, the named outputs back."""

    def __call__(self, faces: ByteArray, wanted: Sequence[str]) -> list[FloatArray]:
        """Outputs float32 of uint8 (N, 1, 48, 48), N ≥ 1, in the order of ``wanted``."""
        ...


@dataclass(frozen=True)
class Runtime:
    """How files of one kind are opened.

    Attributes:
        open: file and number of threads (0: as many as there are cores) → what computes, and what the file says of itself.
        suffix: of such files.
    """

    open: Callable[[Path, int], tuple[Engine, Seal]]
    suffix: str


#: Kinds of exported files by the name of what runs them.
RUNTIMES: Registry[Runtime] = Registry("runtime")


@dataclass(frozen=True, eq=False)
class Portable:
    """An exported model with its card; its logits are those of :func:`fer.evaluation.judge`.

    >>> from fer.portable import load
    >>> load("m.onnx").answer(np.zeros((2, 1, 48, 48), np.uint8)).shape  # doctest: +SKIP
    (2, 7)
    """

    engine: Engine
    seal: Seal
    name: str

    @property
    def card(self) -> Card:
        """The card of the checkpoint that it was made from."""
        return self.seal.card

    @property
    def lacks_maps(self) -> str:
        """Why it gives no heatmaps, and what does; empty where it gives them."""
        lacks = self.seal.lacks_maps
        return f"{self.name} gives no heatmaps without torch: {lacks}; explain its .pth" if lacks else ""

    def views(self, tta: str) -> tuple[View, ...]:
        """The views of a test-time augmentation; ConfigError where they are no whole faces, which is all the model takes."""
        if any(view.side != FACE_SIZE for view in TTA[tta]):
            raise ConfigError(f"--tta {tta} needs crops, and an exported model takes whole faces; use none, flip or a .pth")
        return TTA[tta]

    def answer(self, faces: ByteArray, *, tta: str = "none", progress: Progress | None = None) -> FloatArray:
        """Logits float32 (N, C) of uint8 (N, 1, 48, 48) grey faces, divided by the card's temperature.

        Raises:
            ConfigError: the views of ``tta`` are no whole faces, which an exported model takes only.
        """
        views = self.views(tta)
        if not len(faces):
            return np.zeros((0, len(self.card.classes)), np.float32)
        parts = []
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            seen = [np.ascontiguousarray(part[..., ::-1] if view.mirrored else part) for view in views]
            answers = [self.engine(pixels, (LOGITS,))[0] for pixels in seen]
            parts.append(answers[0] if len(answers) == 1 else log_mean_probs(answers))
            if progress:
                progress(min(start + BATCH, len(faces)), len(faces))
        return np.concatenate(parts)

    def explain(self, faces: Sequence[Face], target: Name = None, against: Name = None) -> tuple[Heatmap, ...]:
        """Grad-CAM of every face from one pass; see :func:`analysis.explain.explain`.

        Raises:
            ConfigError: the model gives no maps, or a class is set against itself.
            UnknownNameError: no such class.
        """
        if self.lacks_maps:
            raise ConfigError(self.lacks_maps)
        aim = make_aim(self.card.classes, len(faces), target, against)
        found: list[Heatmap] = []
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            here = aim.part(start, start + len(part))
            logits, features, weights = self.engine(grey_batch(part), OUTPUTS)
            here.refuse_itself(logits, self.card.classes)
            score = np.einsum("nc,nck->nk", here.weights(logits), weights)
            values, peaks = class_maps(features, score, self.card.preprocess.size)
            classes = (*self.card.classes, "")  # -1 is the empty name
            names = zip(here.classes(logits), here.contrasts(logits), strict=True)
            found += [
                Heatmap(value, float(peak), classes[own], "gradcam", classes[other])
                for value, peak, (own, other) in zip(values, peaks, names, strict=True)
            ]
        return tuple(found)


def is_portable(name: object) -> bool:
    """True for the name of a file of an exported model.

    >>> is_portable("m.onnx"), is_portable("best.pth")
    (True, False)
    """
    return Path(str(name)).suffix.lower() in {RUNTIMES[runtime].suffix for runtime in RUNTIMES}


def load(path: str | Path, *, threads: int = 0) -> Portable:
    """Open an exported model.

    Args:
        path: a file written by ``fer export``.
        threads: that it may use; 0 for one a core.

    Raises:
        CheckpointError: not there, not exported by this program, damaged, newer, or its runtime is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no exported model {path}; write one with fer export")
    runtime = next((RUNTIMES[name] for name in RUNTIMES if RUNTIMES[name].suffix == path.suffix.lower()), None)
    if runtime is None:
        kinds = ", ".join(RUNTIMES[name].suffix for name in RUNTIMES)
        raise CheckpointError(f"{path}: exported models end in {kinds}; give one of these")
    engine, seal = runtime.open(path, threads)
    return Portable(engine, seal, path.stem)


def foreign(path: Path) -> CheckpointError:
    """The error for a file of the right kind that another program wrote."""
    return CheckpointError(f"{path}: was not written by fer export, or is cut short; export a checkpoint")


def damaged(path: Path, what: object) -> CheckpointError:
    """The error for a file that changed since it was written."""
    text = " ".join(str(what).split())[:200]
    return CheckpointError(f"{path}: the exported model is damaged ({text}); export or download it again")


def parse_seal(text: str, path: Path) -> Seal:
    """The seal inside a file; CheckpointError where it is malformed."""
    try:
        return Seal.from_json(text)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
