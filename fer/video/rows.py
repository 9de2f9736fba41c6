"""The table of a film: one row a face and frame, written as they come."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fer.errors import OutputError
from fer.video.recogniser import Scene, Seen

#: Columns before those of the classes.
PLACE = ("frame", "seconds", "face", "found", "x1", "y1", "x2", "y2", "score", "label", "confidence")


def columns(classes: tuple[str, ...]) -> list[str]:
    """Names of the columns: place, smoothed probabilities, and with ``now_`` those of the frame alone."""
    return [*PLACE, *classes, *(f"now_{name}" for name in classes)]


def row(number: int, scene: Scene, seen: Seen) -> list[str]:
    """One face of one frame, in the order of :func:`columns`."""
    p = seen.prediction
    place = [number, f"{scene.seconds:.3f}", seen.number, int(seen.found), *p.face.box.as_list()]
    probabilities = [f"{value:.4f}" for value in (*p.probs, *seen.probs)]
    return [*map(str, place), f"{p.face.score:.3f}", p.label, f"{p.confidence:.4f}", *probabilities]


class Rows:
    """The table under construction; made by :func:`write_rows`."""

    def __init__(self, file: TextIO, path: Path, classes: tuple[str, ...]) -> None:
        self._writer, self._path, self._file = csv.writer(file, lineterminator="\n"), path, file
        self._put(columns(classes))

    def write(self, number: int, scene: Scene) -> None:
        """Add all faces of a frame.

        Raises:
            OutputError: the disk is full.
        """
        for seen in scene.faces:
            self._put(row(number, scene, seen))

    def _put(self, values: list[str]) -> None:
        try:
            self._writer.writerow(values)
        except OSError as error:
            raise _unwritable(self._path, error) from error


@contextmanager
def write_rows(path: Path, classes: tuple[str, ...]) -> Iterator[Rows]:
    """A table that other programs can read while it grows: whole lines reach the file, also where this program is killed.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        file = path.open("w", encoding="utf-8", newline="", buffering=1)
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        yield Rows(file, path, classes)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror}; choose another name or disk")
