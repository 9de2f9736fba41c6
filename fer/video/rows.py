"""The table of a film: one row a face and frame, written as they come."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fer.emotions import EMOTIONS
from fer.errors import OutputError
from fer.video.recogniser import Scene, Seen

#: Columns before those of the classes.
PLACE = ("frame", "seconds", "face", "found", "x1", "y1", "x2", "y2", "score", "label", "confidence")


#: All columns: place, smoothed probabilities, and with ``now_`` those of the frame alone.
COLUMNS = (*PLACE, *EMOTIONS, *(f"now_{name}" for name in EMOTIONS))


def row(number: int, scene: Scene, seen: Seen) -> list[str]:
    """One face of one frame, in the order of :data:`COLUMNS`; empty where the model does not know a class."""
    p = seen.prediction
    now = dict(zip(p.classes, map(float, seen.probs), strict=True))
    place = [number, f"{scene.seconds:.3f}", seen.number, int(seen.found), *p.face.box.as_list()]
    values = (known.get(name) for known in (p.probabilities, now) for name in EMOTIONS)
    probabilities = ["" if value is None else f"{value:.4f}" for value in values]
    return [*map(str, place), f"{p.face.score:.3f}", p.label, f"{p.confidence:.4f}", *probabilities]


class Rows:
    """The table under construction; made by :func:`write_rows`."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._writer, self._path = csv.writer(file, lineterminator="\n"), path
        self._put(COLUMNS)

    def write(self, number: int, scene: Scene) -> None:
        """Add all faces of a frame.

        Raises:
            OutputError: the disk is full.
        """
        for seen in scene.faces:
            self._put(row(number, scene, seen))

    def _put(self, values: Sequence[str]) -> None:
        try:
            self._writer.writerow(values)
        except OSError as error:
            raise _unwritable(self._path, error) from error


@contextmanager
def write_rows(path: Path) -> Iterator[Rows]:
    """A table that other programs can read while it grows: whole lines reach the file, also where this program is killed.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        file = path.open("w", encoding="utf-8", newline="", buffering=1)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield Rows(file, path)
    finally:
        close(file, path)


def close(file: TextIO, path: Path) -> None:
    """Close a table; OutputError where its last lines do not fit on the disk."""
    try:
        file.close()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror}; choose another name or disk")
