"""What a step minimises: labels or votes, smoothed and weighted, and what teachers say of the same faces."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric

from fer.checkpoint import Checkpoint, load
from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.preprocess import standardise
from fer.data.sampling import as_tensor
from fer.errors import ConfigError
from fer.losses import distillation, focal, one_hot, smooth, soft_cross_entropy, soften
from fer.training.plan import Plan


@dataclass(eq=False)
class Objective:
    """The configured loss of a batch, on one device."""

    config: RunConfig
    class_weights: torch.Tensor | None
    teachers: Sequence[Checkpoint] = ()
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext

    def targets(self, faces: FaceSet, index: torch.Tensor) -> torch.Tensor:
        """float32 (N, C): what the labels, or the votes where there are some, ask for."""
        targets = one_hot(faces.labels[index], len(faces.classes)) if faces.targets is None else faces.targets[index]
        return smooth(targets, self.config.loss.label_smoothing)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (N,): loss of every face; ``pixels`` (N, 1, H, W) in 0..1 are what the network saw."""
        if self.config.loss.name == "focal":
            own = focal(logits, targets, self.class_weights, self.config.loss.focal_gamma)
        else:
            own = soft_cross_entropy(logits, targets, self.class_weights)
        if not self.teachers:
            return own
        settings = self.config.distillation
        taught = distillation(logits, self._teach(pixels), settings.temperature)
        return settings.alpha * taught + (1 - settings.alpha) * own

    @torch.no_grad()
    def _teach(self, pixels: torch.Tensor) -> torch.Tensor:
        probs = []
        for teacher in self.teachers:
            order = [teacher.card.classes.index(name) for name in self.config.classes]
            with self.autocast():
                logits = teacher.model(standardise(pixels, teacher.card.preprocess))
            probs.append(soften(logits[:, order], self.config.distillation.temperature))
        return torch.stack(probs).mean(0)


def make_objective(plan: Plan, fabric: Fabric) -> Objective:
    """The loss of a plan, its teachers loaded; they compute in the run's number format.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher knows other classes.
    """
    teachers = [load(name) for name in plan.config.distillation.teachers]
    for teacher in teachers:
        if set(teacher.card.classes) != set(plan.config.classes):
            raise ConfigError(
                f"teacher {teacher.name} knows the classes {', '.join(teacher.card.classes)}, this run has "
                f"{', '.join(plan.config.classes)}; choose another teacher, or --classes"
            )
        teacher.model.to(fabric.device).to(memory_format=torch.channels_last).requires_grad_(False)
    return Objective(plan.config, as_tensor(plan.class_weights, fabric.device), teachers, fabric.autocast)
