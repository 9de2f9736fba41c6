"""Files of a data set, read from a folder or a zip without ever unpacking to disk."""

import hashlib
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fer.errors import DataError

#: Caps against archive bombs; FER-2013 has 35,887 files and 60 MB.
MAX_ENTRIES = 300_000
MAX_FILE_BYTES = 20_000_000
MAX_TOTAL_BYTES = 4_000_000_000
#: A csv of the whole challenge is 301 MB.
MAX_CSV_BYTES = 1_000_000_000

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of a data set: its path inside, and a function that reads it."""

    path: PurePosixPath
    read: Callable[[], bytes]


@dataclass(frozen=True)
class FileTree:
    """All files of a folder or zip, in sorted order, with its empty folders and a key for the cache."""

    origin: Path
    members: tuple[Member, ...]
    empty_folders: tuple[PurePosixPath, ...]
    key: str


def open_tree(path: Path) -> FileTree:
    """List a folder or zip; nothing is decoded yet.

    Raises:
        DataError: a zip is damaged, unsafe (absolute names, ``..``), too large, or has two files of one name.
    """
    return _folder_tree(path) if path.is_dir() else _zip_tree(path)


def _folder_tree(root: Path) -> FileTree:
    digest = hashlib.sha256()
    members, empty = [], []
    for path in _walk(root):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        if path.is_dir():
            empty.append(inside)
            digest.update(f"{inside}/\0\n".encode(errors="surrogateescape"))  # a folder that stays empty is refused
            continue
        digest.update(f"{inside}\0{file_sha256(path)}\n".encode(errors="surrogateescape"))
        members.append(Member(inside, file_reader(path)))
        if len(members) > MAX_ENTRIES:
            raise _too_many(root)
    return FileTree(root, tuple(members), tuple(empty), digest.hexdigest())


def _walk(root: Path) -> Iterator[Path]:
    """Files and empty folders below ``root`` in sorted order; links to folders are followed, but never in circles."""
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()
        if not subfolders and not files:
            yield Path(folder)
        for name in sorted(files):
            path = Path(folder) / name
            if not path.is_file():
                raise DataError(f"{path}: neither a file nor a link to one; remove it")
            yield path


def _refuse(error: OSError) -> None:
    """Faces that cannot be listed would be missing from every figure without a word."""
    raise DataError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error


def _cap(name: str) -> int:
    return MAX_CSV_BYTES if name.lower().endswith(".csv") else MAX_FILE_BYTES


def file_reader(path: Path) -> Callable[[], bytes]:
    """What reads a file; DataError where it is too large, or cannot be read."""

    def read() -> bytes:
        cap = _cap(path.name)
        kind = "FER-2013's csv, name that" if cap == MAX_CSV_BYTES else "face picture, remove it"
        try:
            if path.stat().st_size > cap:
                raise DataError(f"{path}: larger than {cap // 1_000_000} MB; this is no {kind}")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error

    return read


def _zip_tree(path: Path) -> FileTree:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path}: no readable zip ({error}); download the archive again") from error
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _too_many(path)
    if sum(entry.file_size for entry in entries) > MAX_TOTAL_BYTES:
        raise DataError(f"{path}: unpacks to more than {MAX_TOTAL_BYTES // 10**9} GB; this is no FER archive")
    budget = _Budget(path)
    folders = {PurePosixPath(e.filename) for e in entries if e.filename.endswith("/")}
    members = [
        Member(_safe(entry, path), _zip_reader(archive, entry, path, budget))
        for entry in sorted(entries, key=lambda e: e.filename)
        if not entry.filename.endswith("/")  # is_dir() fails on an empty name
    ]
    _refuse_twice(members, path)
    filled = {parent for member in members for parent in member.path.parents}
    parents = {parent for folder in folders for parent in folder.parents}
    empty = tuple(sorted(folders - filled - parents))
    return FileTree(path, tuple(members), empty, file_sha256(path))


def _safe(entry: zipfile.ZipInfo, origin: Path) -> PurePosixPath:
    name = entry.filename.replace("\\", "/")
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or ":" in name.split("/", 1)[0]:
        raise DataError(f"{origin}: entry {entry.filename!r} points outside the archive; do not trust this file")
    if not inside.parts:
        raise DataError(f"{origin}: entry {entry.filename!r} is a file without a name; download the archive again")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(f"{origin}: entry {entry.filename!r} is a link; pack the files themselves")
    return inside


def _refuse_twice(members: Sequence[Member], origin: Path) -> None:
    """Names are keys: of votes, findings and predictions; of two files of one name only one would be known."""
    seen: set[PurePosixPath] = set()
    for member in members:
        if member.path in seen:
            raise DataError(f"{origin}: entry {str(member.path)!r} is there twice; pack every file once, under its own name")
        seen.add(member.path)


class _Budget:
    """Bytes that may still be unpacked: headers can lie, so what is really read is counted."""

    def __init__(self, origin: Path) -> None:
        self.origin = origin
        self.left = MAX_TOTAL_BYTES

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DataError(f"{self.origin}: unpacks to more than {MAX_TOTAL_BYTES // 10**9} GB; this is no FER archive")


def _zip_reader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, origin: Path, budget: _Budget) -> Callable[[], bytes]:
    cap = _cap(entry.filename)

    def read() -> bytes:
        parts, size = [], 0
        try:
            with archive.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    budget.spend(len(chunk))
                    if size > cap:
                        raise DataError(
                            f"{origin}: entry {entry.filename!r} unpacks to more than {cap // 1_000_000} MB; "
                            "this looks like an archive bomb"
                        )
                    parts.append(chunk)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError) as error:
            raise DataError(f"{origin}: entry {entry.filename!r} cannot be unpacked ({error}); download it again") from error
        return b"".join(parts)

    return read


def _too_many(origin: Path) -> DataError:
    return DataError(f"{origin}: more than {MAX_ENTRIES:,} files; this is no FER data set")


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes; DataError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def is_junk(path: PurePosixPath) -> bool:
    """True for hidden files, Finder and Explorer leftovers, and the ``__MACOSX`` tree of a zip."""
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")
