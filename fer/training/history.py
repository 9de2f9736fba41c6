"""The record of a run: one row an epoch."""

import csv
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fer.errors import DataError
from fer.files import write_whole


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; accuracies are 0..1, train figures are of augmented faces."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass
class History:
    """Epochs in order."""

    epochs: list[Epoch] = field(default_factory=list)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch of highest validation accuracy, the earlier one of equals; IndexError when empty."""
        return sorted(self.epochs, key=lambda e: -e.validation_accuracy)[0]

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return sum(epoch.seconds for epoch in self.epochs)

    def save(self, path: Path) -> None:
        """Write as csv; OutputError where that is not possible."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(f.name for f in dataclasses.fields(Epoch))
        writer.writerows(dataclasses.astuple(epoch) for epoch in self.epochs)
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
