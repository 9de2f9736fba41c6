"""How each face's expression went over time: read from the table of a film, at any length in little memory."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.types import FloatArray
from fer.video.rows import COLUMNS

#: Points of a timeline; longer films are averaged over so many equal spans.
SPANS = 600


@dataclass(frozen=True, eq=False)
class Timeline:
    """One face through a film.

    Attributes:
        number: of the face.
        edges: float64 (T + 1,), seconds at which the spans begin and end.
        probs: float32 (T, 7), mean of the smoothed probabilities; NaN where the face was not found.
    """

    number: int
    edges: npt.NDArray[np.float64]
    probs: FloatArray


def timelines(path: Path, spans: int = SPANS) -> list[Timeline]:
    """The timelines of all faces in a table written by ``fer webcam --csv``, by number.

    Raises:
        DataError: it is no such table.
    """
    frames, last = 0, 0.0
    for row in _rows(path):
        frames, last = max(frames, row.frame + 1), max(last, row.seconds)
    spans = max(1, min(spans, frames))
    # the last frame lasts as long as the others; where all are of one moment, as the table rounds it, any length will do
    end = last * frames / max(1, frames - 1) or 1.0
    sums: dict[int, _Sums] = {}
    for row in _rows(path):
        at = min(spans - 1, int(row.seconds / end * spans))
        sums.setdefault(row.face, _Sums(spans)).add(row, at)
    edges = np.linspace(0, end, spans + 1)
    return [Timeline(number, edges, sums[number].means()) for number in sorted(sums)]


@dataclass(frozen=True, eq=False)
class _Row:
    frame: int
    seconds: float
    face: int
    values: FloatArray


class _Sums:
    """A face's probabilities by span. A face that is in two frames one after the other was there in between, too."""

    def __init__(self, spans: int) -> None:
        self._sums, self._counts = np.zeros((spans, len(EMOTIONS))), np.zeros(spans, np.int64)
        self._frame, self._at, self._values = -2, 0, np.zeros(len(EMOTIONS), np.float32)

    def add(self, row: _Row, at: int) -> None:
        if row.frame == self._frame + 1:
            between = slice(self._at + 1, at)
            self._sums[between] += self._values
            self._counts[between] += 1
        self._sums[at] += row.values
        self._counts[at] += 1
        self._frame, self._at, self._values = row.frame, at, row.values

    def means(self) -> FloatArray:
        with np.errstate(invalid="ignore"):
            return np.asarray(self._sums / self._counts[:, None], np.float32)


def _rows(path: Path) -> Iterator[_Row]:
    """Every row of a face that was found."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            if tuple(lines.fieldnames or ()) != COLUMNS:
                raise ValueError("other columns")
            for line in lines:
                if line["found"] == "1":
                    values = np.array([float(line[name] or 0) for name in EMOTIONS], np.float32)
                    yield _Row(int(line["frame"]), float(line["seconds"]), int(line["face"]), values)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is no table of fer webcam --csv ({error}); write one with it") from error
