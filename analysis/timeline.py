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
        seconds: float64 (T,), middle of each span.
        probs: float32 (T, 7), mean of the smoothed probabilities; NaN where the face was not found.
    """

    number: int
    seconds: npt.NDArray[np.float64]
    probs: FloatArray


def timelines(path: Path, spans: int = SPANS) -> list[Timeline]:
    """The timelines of all faces in a table written by ``fer webcam --csv``, by number.

    Raises:
        DataError: it is no such table.
    """
    end, frames = 0.0, set[float]()
    for seconds, _, _ in _rows(path):
        end = max(end, seconds)
        if len(frames) < 2 * spans:
            frames.add(seconds)
    spans = max(1, min(spans, len(frames) // 2))  # a span without a frame would look like a face that is gone
    width = max(end / spans, 1e-9)
    sums: dict[int, FloatArray] = {}
    counts: dict[int, npt.NDArray[np.int64]] = {}
    for seconds, number, values in _rows(path):
        at = min(spans - 1, int(seconds / width))
        if number not in sums:
            sums[number] = np.zeros((spans, len(EMOTIONS)), np.float32)
            counts[number] = np.zeros(spans, np.int64)
        sums[number][at] += values
        counts[number][at] += 1
    middles = np.asarray((np.arange(spans) + 0.5) * width, np.float64)
    with np.errstate(invalid="ignore"):
        return [Timeline(n, middles, np.asarray(sums[n] / counts[n][:, None], np.float32)) for n in sorted(sums)]


def _rows(path: Path) -> Iterator[tuple[float, int, FloatArray]]:
    """Seconds, face and smoothed probabilities of every row of a face that was found."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            if tuple(lines.fieldnames or ()) != COLUMNS:
                raise ValueError("other columns")
            for line in lines:
                if line["found"] == "1":
                    values = [float(line[name] or 0) for name in EMOTIONS]
                    yield float(line["seconds"]), int(line["face"]), np.array(values, np.float32)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is no table of fer webcam --csv ({error}); write one with it") from error
