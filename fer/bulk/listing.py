"""Which pictures lie in a folder, a part at a time; no more is held in memory than the names of one folder."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer.errors import DataError
from fer.images import is_picture

#: Pictures of a part: seconds of work with a detector, and little to do again after an interruption.
PART = 128


@dataclass(frozen=True)
class Part:
    """Some pictures in a row, and a digest of their names, sizes and times of change."""

    number: int
    paths: tuple[str, ...]
    digest: str


def parts(sources: Sequence[Path], size: int = PART) -> Iterator[Part]:
    """All pictures in the order of their names, folder by folder.

    Raises:
        DataError: a source does not exist or cannot be read.
    """
    waiting: list[os.DirEntry[str] | Path] = []
    number = 0
    for picture in pictures(sources):
        waiting.append(picture)
        if len(waiting) == size:
            yield _part(number, waiting)
            number, waiting = number + 1, []
    if waiting:
        yield _part(number, waiting)


def pictures(sources: Sequence[Path]) -> Iterator["os.DirEntry[str] | Path"]:
    """Files named, and files below folders named that are pictures by their names; others are passed over."""
    for source in sources:
        if _is_folder(source):
            yield from (entry for entry in _files(source) if _is_taken(entry))
        else:
            yield source


def count(sources: Sequence[Path]) -> tuple[int, int]:
    """Pictures, and what else lies below the folders: files of other kinds, linked folders; errors as :func:`parts`."""
    found = others = 0
    for source in sources:
        taken = [_is_taken(entry) for entry in _files(source)] if _is_folder(source) else [True]
        found, others = found + sum(taken), others + taken.count(False)
    return found, others


def _is_folder(source: Path) -> bool:
    if not source.exists():
        raise DataError(f"no picture or folder {source}; check the path")
    return source.is_dir()


def _is_taken(entry: "os.DirEntry[str]") -> bool:
    try:
        return is_picture(entry.name) and not entry.is_dir()  # a linked folder may lead back to where it lies
    except OSError:
        return True  # a link that leads nowhere or is closed: said when it is read


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}; check the path") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield entry  # also what cannot be read, which is said when it is tried


def _part(number: int, files: Sequence["os.DirEntry[str] | Path"]) -> Part:
    lines = []
    for file in files:
        try:
            state = file.stat()
            lines.append(f"{os.fspath(file)}\0{state.st_size}\0{state.st_mtime_ns}")
        except OSError:  # gone since it was listed: said when it is read
            lines.append(os.fspath(file))
    digest = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
    return Part(number, tuple(os.fspath(file) for file in files), digest)
