"""Checkpoints that a network learns from: asked at every step, or once for all."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from fer.checkpoint import Checkpoint, checkpoint_file, load
from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.cache import read_arrays, write_arrays
from fer.data.preprocess import standardise
from fer.errors import ConfigError
from fer.evaluation import passes, predict_logits
from fer.losses import soften
from fer.types import Progress


@dataclass(frozen=True, eq=False)
class Teachers:
    """Loaded teachers of one run; they answer in the run's classes, with the mean of their softened probabilities.

    Of a teacher that knows more classes the answer is that among the run's: its probabilities given that it is one of them.
    """

    checkpoints: Sequence[Checkpoint]
    classes: tuple[str, ...]
    temperature: float
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext

    @torch.no_grad()
    def probs(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (N, C): what they say of faces (N, 1, 48, 48) in 0..1, softened."""
        logits = []
        for teacher in self.checkpoints:
            with self.autocast():
                logits.append(teacher.model(standardise(pixels, teacher.card.preprocess)))
        return self._mean(logits)

    def answers(self, faces: FaceSet, progress: Progress | None = None) -> torch.Tensor:
        """float32 (N, C): the same of a whole set, the mean over each face and its mirror image; kept on disk.

        ``progress`` hears of the passes over the faces together, and of none that the disk spares.
        """
        names = [self._name(teacher, faces) for teacher in self.checkpoints]
        known = [_kept(name, teacher, faces) for name, teacher in zip(names, self.checkpoints, strict=True)]
        told = passes(progress, 2 * sum(answer is None for answer in known))
        both = [
            self._ask(name, teacher, faces, told) if answer is None else answer
            for name, teacher, answer in zip(names, self.checkpoints, known, strict=True)
        ]
        return torch.stack([self._mean([one[way] for one in both]) for way in (0, 1)]).mean(0)

    @cached_property
    def _orders(self) -> list[torch.Tensor]:
        """Where each teacher has the run's classes; on its device, since a step that fetches them would wait for it."""
        return [
            torch.tensor([teacher.card.classes.index(name) for name in self.classes], device=teacher.device)
            for teacher in self.checkpoints
        ]

    def _mean(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        probs = [
            soften(one.index_select(1, order) / teacher.card.temperature, self.temperature)
            for teacher, one, order in zip(self.checkpoints, logits, self._orders, strict=True)
        ]
        return torch.stack(probs).mean(0)

    def _name(self, teacher: Checkpoint, faces: FaceSet) -> str:
        """Name under which a teacher's logits of these faces are kept."""
        card, pixels, kind = teacher.card, faces.images.cpu().numpy().tobytes(), teacher.device.type
        with self.autocast():
            numbers = str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else "torch.float32"
        # two ensembles of the same networks differ in their members' shares and temperatures only
        about = json.dumps([card.weights_sha256, card.preprocess.to_dict(), card.members, numbers]).encode()
        return f"teacher-{hashlib.sha256(about + pixels).hexdigest()[:32]}"

    def _ask(self, name: str, teacher: Checkpoint, faces: FaceSet, told: Iterator[Progress]) -> torch.Tensor:
        """float32 (2, N, C): logits of the faces and of their mirror images, kept from now on."""
        ways = [
            predict_logits(teacher.model, images, teacher.card.preprocess, autocast=self.autocast(), progress=next(told))
            for images in (faces.images, faces.images.flip(-1))
        ]
        both = torch.stack(ways)
        write_arrays(name, {"logits": both.cpu().numpy()})
        return both


def _kept(name: str, teacher: Checkpoint, faces: FaceSet) -> torch.Tensor | None:
    """Logits of an earlier run; None where there are none, or others than these faces have."""
    kept = (read_arrays(name) or {}).get("logits")
    shape = (2, len(faces), len(teacher.card.classes))
    if kept is None or kept.shape != shape or kept.dtype != np.float32 or not np.isfinite(kept).all():
        return None
    return torch.from_numpy(kept).to(faces.images.device)


def check_teachers(config: RunConfig) -> None:
    """CheckpointError where a teacher is named that is not there, or is an exported model; opens none of them."""
    for name in config.distillation.teachers:
        checkpoint_file(name)


def load_teachers(
    config: RunConfig, device: torch.device, autocast: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Teachers | None:
    """The teachers a configuration names, on a device; None where it names none.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher does not know a class of the run.
    """
    checkpoints = [load(name, device) for name in config.distillation.teachers]
    for teacher in checkpoints:
        if unknown := [name for name in config.classes if name not in teacher.card.classes]:
            raise ConfigError(
                f"teacher {teacher.name} knows the classes {', '.join(teacher.card.classes)}, and not {', '.join(unknown)} of "
                f"this run's; choose another teacher (--set teachers=[] for none), or --classes (--set classes=...)"
            )
        teacher.model.to(memory_format=torch.channels_last).requires_grad_(False)
    return Teachers(checkpoints, config.classes, config.distillation.temperature, autocast) if checkpoints else None


def other_labels_note(teachers: Teachers | None, labels: str) -> str:
    """What to tell the user of teachers that learnt other labels than the run's; "" where there are none."""
    others = [one for one in (teachers.checkpoints if teachers else ()) if one.card.labels != labels]
    told = ", ".join(f"{one.name} ({one.card.labels})" for one in others)
    return f"taught by {told}, this run's labels are {labels}: another task; --set teachers=[] does without" if told else ""
