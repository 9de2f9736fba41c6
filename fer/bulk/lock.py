"""One run at a time writes a table: the lock is the operating system's, which takes it back however a run ends."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fer.errors import OutputError
from fer.files import make_folder

#: The locked file in the folder of the parts; a run that was killed leaves it there, and nobody holds it then.
LOCK = "lock"

# What file systems without locks answer, some that are shared between machines: runs go on there as if they were alone.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def only_writer(table: Path, folder: Path) -> Iterator[None]:
    """Make ``folder`` and hold it while the block runs; it is gone afterwards where nothing is left in it.

    Raises:
        OutputError: another run holds it, or it cannot be written.
    """
    make_folder(folder)
    path = folder / LOCK
    handle = _opened(table, path)
    try:
        if not _take(handle) or not _is_at(handle, path):
            raise _busy(table)
        try:
            yield
        finally:
            with suppress(OSError):  # before it is let go, so that what the next run holds is never removed
                path.unlink()
    finally:
        os.close(handle)
    if sys.platform == "win32":  # removes no open file, nor one that the next run has opened meanwhile
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):  # not empty: parts are kept
        folder.rmdir()


def _opened(table: Path, path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # not handed on to the processes that judge
    except FileNotFoundError as error:  # a run that was ending has just removed the folder
        raise _busy(table) from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose a writable folder") from error


def _take(handle: int) -> bool:
    """Take the lock, False where another has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    return True


def _is_at(handle: int, path: Path) -> bool:
    """False where a run that was ending removed the file between its opening and its locking."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _busy(table: Path) -> OutputError:
    return OutputError(f"{table}: another run writes this table; wait for it, or name another --out")
