"""What a pass adds up, on the device: nothing here waits for the GPU until it is asked."""

from dataclasses import dataclass

import torch

from fer.errors import TrainingError
from fer.metrics import Scores, scores

_LOSS = -1


class DivergedError(TrainingError):
    """A loss, gradient or weight that is no longer finite."""


@dataclass(eq=False)
class Tally:
    """Sums over the faces of an epoch.

    Attributes:
        loss: float64 scalar, sum over faces.
        confusion: int64 (C, C), rows: label, columns: prediction.
        bad: int64 (2,): first step with a value that is not finite and the number of its gradient (-1: the loss); -2, -2: none.
    """

    loss: torch.Tensor
    confusion: torch.Tensor
    bad: torch.Tensor

    @classmethod
    def empty(cls, classes: int, device: torch.device | str = "cpu") -> "Tally":
        """Nothing added yet."""
        return cls(
            torch.zeros((), dtype=torch.float64, device=device),
            torch.zeros(classes, classes, dtype=torch.int64, device=device),
            torch.full((2,), -2, dtype=torch.int64, device=device),
        )

    @torch.no_grad()
    def add(self, losses: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count a batch: losses float32 (N,), logits (N, C), labels int64 (N,)."""
        self.loss += losses.sum()
        cells = labels * len(self.confusion) + logits.argmax(1)
        self.confusion.view(-1).index_add_(0, cells, torch.ones_like(cells))

    @torch.no_grad()
    def inspect(self, step: int, loss: torch.Tensor, gradient_norms: torch.Tensor) -> None:
        """Remember the first step whose loss or one of whose gradients is not finite."""
        fine = gradient_norms.isfinite()
        number = torch.where(loss.isfinite(), (~fine).int().argmax(), _LOSS)
        found = torch.stack((torch.full_like(number, step), number))
        self.bad = torch.where((self.bad[0] == -2) & ~(loss.isfinite() & fine.all()), found, self.bad)

    def check(self, epoch: int, names: list[str]) -> None:
        """Wait for the device and raise DivergedError where a step went wrong; ``names`` are those of the gradients."""
        step, number = self.bad.tolist()
        if step >= 0:
            what = "the loss" if number == _LOSS else f"the gradient of {names[number]}"
            raise DivergedError(f"{what} is not finite in step {step + 1} of epoch {epoch}")

    @property
    def count(self) -> int:
        """Faces counted so far."""
        return int(self.confusion.sum())

    @property
    def mean_loss(self) -> float:
        """Loss a face, 0 where none was counted."""
        return float(self.loss) / max(1, self.count)

    @property
    def scores(self) -> Scores:
        """Accuracy and the like of the faces counted so far."""
        return scores(self.confusion.cpu().numpy())

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors from which :meth:`restored` makes an equal tally."""
        return {"loss": self.loss.cpu(), "confusion": self.confusion.cpu(), "bad": self.bad.cpu()}

    @classmethod
    def restored(cls, state: dict[str, torch.Tensor], device: torch.device | str) -> "Tally":
        """Inverse of :meth:`state`."""
        return cls(**{name: value.to(device, copy=True) for name, value in state.items()})
