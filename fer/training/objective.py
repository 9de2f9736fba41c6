"""What a step minimises: labels or votes, smoothed and weighted, and what teachers say of the same faces."""

from dataclasses import dataclass

import torch

from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.sampling import as_tensor
from fer.losses import distillation, focal, one_hot, smooth, soft_cross_entropy
from fer.training.fabric import Fabric
from fer.training.plan import Plan
from fer.training.teachers import Teachers, load_teachers
from fer.types import Progress


@dataclass(eq=False)
class Objective:
    """The configured loss of a batch, on one device.

    ``answers`` float32 (N, C) are what the teachers said of every training face, where they were asked beforehand.
    """

    config: RunConfig
    class_weights: torch.Tensor | None
    teachers: Teachers | None = None
    answers: torch.Tensor | None = None

    def targets(self, faces: FaceSet, index: torch.Tensor) -> torch.Tensor:
        """float32 (N, C): what the labels, or the votes where there are some, ask for.

        With ``answers`` float32 (N, 2·C), theirs behind, so that whatever mixes faces mixes both.
        """
        targets = one_hot(faces.labels[index], len(faces.classes)) if faces.targets is None else faces.targets[index]
        targets = smooth(targets, self.config.loss.label_smoothing)
        return targets if self.answers is None else torch.cat((targets, self.answers[index]), dim=1)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (N,): loss of every face; ``pixels`` (N, 1, H, W) in 0..1 are what the network saw."""
        settings, classes = self.config.distillation, len(self.config.classes)
        if self.config.loss.name == "focal":
            own = focal(logits, targets[:, :classes], self.class_weights, self.config.loss.focal_gamma)
        else:
            own = soft_cross_entropy(logits, targets[:, :classes], self.class_weights)
        if not self.teachers:
            return own
        answers = self.teachers.probs(pixels) if self.answers is None else targets[:, classes:]
        return settings.alpha * distillation(logits, answers, settings.temperature) + (1 - settings.alpha) * own


def make_objective(plan: Plan, fabric: Fabric, faces: FaceSet, progress: Progress | None = None) -> Objective:
    """The loss of a plan for training ``faces``, its teachers loaded; they compute in the run's number format.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher does not know a class of the run.
    """
    teachers = load_teachers(plan.config, fabric.device, fabric.autocast)
    ahead = teachers and plan.config.distillation.ahead
    answers = teachers.answers(faces, progress) if teachers and ahead else None
    return Objective(plan.config, as_tensor(plan.class_weights, fabric.device), teachers, answers)
