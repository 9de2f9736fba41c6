"""The record of a run: one row an epoch."""

import csv
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fer.errors import DataError
from fer.files import write_whole


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; accuracies and the like are 0..1, train figures are of augmented faces."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    validation_macro_f1: float = 0.0
    validation_precision: float = 0.0
    validation_recall: float = 0.0
    faces_per_second: float = 0.0


@dataclass
class History:
    """Epochs in order; ``monitor`` names the validation figure that makes one the best.

    Up to epoch ``since`` the figures are of other faces, with which the data set has been changed.
    """

    epochs: list[Epoch] = field(default_factory=list)
    monitor: str = "accuracy"
    since: int = 0

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch of the best monitored figure on the present faces, the earlier one of equals; IndexError without any."""
        sign = 1 if self.monitor == "loss" else -1
        return sorted(self.epochs[self.since :], key=lambda e: sign * float(getattr(e, f"validation_{self.monitor}")))[0]

    def waited(self) -> int:
        """Epochs since the best one, or since the faces are the present ones."""
        return len(self) - (self.best.epoch if len(self) > self.since else self.since)

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return sum(epoch.seconds for epoch in self.epochs)

    def rows(self) -> list[dict[str, Any]]:
        """Plain values of every epoch."""
        return [dataclasses.asdict(epoch) for epoch in self.epochs]

    def save(self, path: Path) -> None:
        """Write as csv; OutputError where that is not possible."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [f.name for f in dataclasses.fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        write_whole(path, text.getvalue().encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; DataError where it is missing or malformed."""
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [(int(row.pop("epoch")), row) for row in csv.DictReader(file)]
            return cls([Epoch(epoch, **{key: float(value) for key, value in row.items()}) for epoch, row in rows])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is no history of a run: {error}") from error
