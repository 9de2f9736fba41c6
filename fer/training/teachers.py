"""Checkpoints that a network learns from: asked at every step, or once for all."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from fer.checkpoint import Checkpoint, load
from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.cache import read_arrays, write_arrays
from fer.data.preprocess import standardise
from fer.errors import ConfigError
from fer.evaluation import predict_logits
from fer.losses import soften
from fer.types import Progress


@dataclass(frozen=True, eq=False)
class Teachers:
    """Loaded teachers of one run; they answer in the run's classes, with the mean of their softened probabilities."""

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
        """float32 (N, C): the same of a whole set, the mean over each face and its mirror image; kept on disk."""
        both = [self._logits(teacher, faces, progress) for teacher in self.checkpoints]
        return torch.stack([self._mean([one[way] for one in both]) for way in (0, 1)]).mean(0)

    def _mean(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        probs = []
        for teacher, one in zip(self.checkpoints, logits, strict=True):
            order = [teacher.card.classes.index(name) for name in self.classes]
            probs.append(soften(one[:, order] / teacher.card.temperature, self.temperature))
        return torch.stack(probs).mean(0)

    def _logits(self, teacher: Checkpoint, faces: FaceSet, progress: Progress | None) -> torch.Tensor:
        """float32 (2, N, C): of the faces and of their mirror images."""
        pixels = faces.images.cpu().numpy().tobytes()
        key = hashlib.sha256(teacher.card.weights_sha256.encode() + pixels).hexdigest()[:32]
        shape, device = (2, len(faces), len(teacher.card.classes)), faces.images.device
        kept = (read_arrays(f"teacher-{key}") or {}).get("logits")
        if kept is not None and kept.shape == shape and kept.dtype == np.float32 and np.isfinite(kept).all():
            return torch.from_numpy(kept).to(device)
        ways = [
            predict_logits(teacher.model, images, teacher.card.preprocess, autocast=self.autocast(), progress=progress)
            for images in (faces.images, faces.images.flip(-1))
        ]
        both = torch.stack(ways)
        write_arrays(f"teacher-{key}", {"logits": both.cpu().numpy()})
        return both


def load_teachers(
    config: RunConfig, device: torch.device, autocast: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Teachers | None:
    """The teachers a configuration names, on a device; None where it names none.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher knows other classes.
    """
    checkpoints = [load(name, device) for name in config.distillation.teachers]
    for teacher in checkpoints:
        if set(teacher.card.classes) != set(config.classes):
            raise ConfigError(
                f"teacher {teacher.name} knows the classes {', '.join(teacher.card.classes)}, this run has "
                f"{', '.join(config.classes)}; choose another teacher, or --classes (--set classes=...)"
            )
        teacher.model.to(memory_format=torch.channels_last).requires_grad_(False)
    return Teachers(checkpoints, config.classes, config.distillation.temperature, autocast) if checkpoints else None
