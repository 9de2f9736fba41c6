"""Writing results: completely or not at all; and where to keep what can be made again."""

import json
import lzma
import os
import secrets
import shutil
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fer.errors import OutputError

#: How names of files that are no UTF-8 are written: as JSON escapes such characters, too.
ESCAPED = "backslashreplace"

#: What opening and reading a damaged ``.npz`` raises, gathered by damaging every byte: of zip, its packings, and npy headers.
DAMAGED_NPZ: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    SyntaxError,
    RuntimeError,  # "encrypted"; NotImplementedError, another version or packing, is one, too
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


def cache_folder() -> Path:
    """Where this program keeps what can be made or fetched again: ``$FER_CACHE`` or the user's cache folder."""
    if named := os.environ.get("FER_CACHE"):
        return Path(named)
    try:
        import platformdirs
    except ModuleNotFoundError:  # on a bare training machine; what it says of Linux
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferscope"
    return Path(platformdirs.user_cache_dir("ferscope"))


def expanded(path: str | Path) -> Path:
    """A path with ``~`` replaced by the home folder; that of an unknown user stays, as shells leave it."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 Path.expanduser raises there


def write_whole(path: Path, data: bytes) -> None:
    """Write a file completely or not at all: readers never see half of it, also after a crash or power cut.

    Raises:
        OutputError: the folder is missing, full or not writable.
    """
    half = _beside(path)
    try:
        with half.open("xb") as file:
            if path.exists():  # whoever could not read it before cannot now, from the first byte on
                half.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose a writable folder") from error
    finally:
        with suppress(OSError):  # the folder may be none, which has been said
            half.unlink(missing_ok=True)  # gone already where it has its name


def write_json(path: Path, value: Any) -> None:
    """Write plain values as one line of JSON; ValueError for NaN and infinity, which JSON does not have.

    Raises:
        OutputError: as :func:`write_whole`.
    """
    write_whole(path, (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode(errors=ESCAPED))


def remove_earlier(path: Path) -> None:
    """Remove what an earlier call wrote and this one would contradict by not writing it; nothing where there is none.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {path}, which is of an earlier call: {error.strerror}; name another --out") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder that gets its name when the block ends well, and is gone where it does not.

    Raises:
        OutputError: there is something already, or it cannot be written.
    """
    refuse_used(path)
    made = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        yield made
        if path.exists():
            path.rmdir()  # an empty one, which Windows does not replace
        made.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A hidden name that nothing has, for what is not yet whole; it takes the rights that the user's umask gives."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def refuse_used(path: Path) -> None:
    """OutputError where something other than an empty folder has the name, or there is no name, as of ``.``."""
    if not path.name:  # nothing can be made beside it, and the shell stands in it
        raise OutputError(f"{path} is no name of a new folder; name one")
    try:
        used = path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir())))
    except OSError as error:
        raise OutputError(f"cannot look into {path}: {error.strerror}; choose another folder") from error
    if used:
        raise OutputError(f"{path} exists already; name a new folder")


def _sync_folder(folder: Path) -> None:
    """Have the new name on disk, too; Windows opens no folders and keeps names by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, name: str) -> None:
    """Remove what interrupted writings of a file left behind; OutputError where that is not possible."""
    for half in folder.glob(f".{name}.*"):
        try:
            half.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {half}: {error.strerror}; choose a writable folder") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents; OutputError where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {error.strerror}; choose another") from error


def check_place(path: Path) -> None:
    """OutputError where no file can be put at a path: known before the work that is to end there."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "that is a folder" if path.is_dir() else f"no folder {path.parent}"
        raise OutputError(f"cannot write {path}: {reason}; choose another")


def check_folder(path: Path) -> None:
    """OutputError where a folder cannot be made, or not be written into: known before the work that is to end there."""
    there = path.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} is not writable" if there.is_dir() else f"{there} is no folder"
        raise OutputError(f"cannot make the folder {path}: {reason}; choose another")


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """A hidden folder beside ``target`` to make it in; gone when the block ends, however it ends.

    Raises:
        OutputError: the folder of the target is missing, full or not writable.
    """
    made = _beside(target)
    try:
        made.mkdir()
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}; choose a writable folder") from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def move_whole(made: Path, path: Path) -> None:
    """Give a finished file its name; OutputError where that is not possible."""
    try:
        made.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another name") from error
