"""Where visitors' files lie while they are looked at, and that they are gone within a minute: under load, after a crash too."""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

import gradio as gr

from fer.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be deleted, which says as much
    fcntl = None  # type: ignore[assignment]

#: How often old files are looked for, and how old they may get, in seconds.
EVERY, AGE = 10.0, 45
#: Gradio's name for the folder of uploads.
VARIABLE = "GRADIO_TEMP_DIR"
_PREFIX, _LOCK = "fer-page-", ".lock"
#: Seconds after which a visitor who asks nothing is forgotten, though the page is still open.
IDLE = 600.0


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for the uploads of this process alone, deleted afterwards; those that crashed processes left are deleted first.

    Raises:
        OutputError: no folder can be made.
    """
    given = os.environ.get(VARIABLE)
    try:
        base = Path(given or tempfile.gettempdir())
        base.mkdir(parents=True, exist_ok=True)
        sweep(base)
        handle, lock = _own_lock(base)
        folder = lock.with_name(lock.name.removesuffix(_LOCK))
        folder.mkdir(mode=0o700)  # readable for its owner alone
    except OSError as error:
        raise OutputError(f"no folder for uploads can be made: {error}; name another by {VARIABLE}") from error
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(VARIABLE)
        if given:
            os.environ[VARIABLE] = given
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)
        lock.unlink(missing_ok=True)


def _own_lock(base: Path) -> tuple[int, Path]:
    """A lock that this process holds: it comes before its folder, since a folder without one is nobody's."""
    while True:
        handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_LOCK, dir=base)
        if fcntl:
            fcntl.flock(handle, fcntl.LOCK_EX)
        if Path(name).exists():
            return handle, Path(name)
        os.close(handle)  # another page swept it away before it was held


def sweep(base: Path) -> None:
    """Delete the folders of processes that have ended without doing so, each while its lock is held."""
    for lock in base.glob(f"{_PREFIX}*{_LOCK}"):
        with contextlib.suppress(OSError), lock.open() as file:  # in use, or gone meanwhile
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                lock.rename(lock)  # refused while it is open elsewhere
            shutil.rmtree(lock.with_name(lock.name.removesuffix(_LOCK)), ignore_errors=True)
            if fcntl:
                lock.unlink()
    for folder in base.glob(f"{_PREFIX}*/"):
        if not folder.with_name(folder.name + _LOCK).exists():
            shutil.rmtree(folder, ignore_errors=True)


def keep_clean(demo: gr.Blocks, folder: Path, every: float = EVERY, age: float = AGE) -> threading.Event:
    """Forget visitors of a page for as long as it runs: their files and what is remembered of them; set the event to end that.

    Gradio's own task (``delete_cache``, not used here) knows only whole uploads, and goes through sets to which visitors add
    meanwhile: the first time that happens it ends for good (Gradio 6.31).
    """
    ended = threading.Event()

    def clean() -> None:
        gone: frozenset[str] = frozenset()
        while not ended.wait(every):
            delete_old(folder, age, kept_by(demo))
            forget(demo, age)
            gone = forget_unread(demo, gone)

    threading.Thread(target=clean, name="cleaning", daemon=True).start()
    return ended


def kept_by(demo: gr.Blocks) -> set[str]:
    """The page's own files, as its examples."""
    return {str(path) for block in list(demo.blocks.values()) for path in block.keep_in_cache}


def delete_old(folder: Path, age: float, kept: Collection[str] = ()) -> None:
    """Delete what has lain in a folder for so many seconds, and the folders that are empty then."""
    now = time.time()
    # what lies in a folder comes before it; a folder that goes meanwhile is passed over
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*files, *folders)):
            with contextlib.suppress(OSError):  # gone meanwhile, not empty, or being read on Windows
                if now - path.lstat().st_ctime < age or str(path) in kept:
                    continue
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                    continue
                path.unlink()
                if path.parent != folder:  # its age begins anew with what is taken from it
                    path.parent.rmdir()


def forget(demo: gr.Blocks, age: float, idle: float = IDLE) -> None:
    """Drop what is remembered of visitors who have gone for so many seconds, or asked nothing for longer."""
    holder, now = demo.state_holder, datetime.now()
    for session, used in list(holder.time_last_used.items()):
        known, quiet = holder.session_data.get(session), (now - used).total_seconds()
        if known is None or quiet > (age if known.is_closed else idle):
            with holder.lock:
                holder.session_data.pop(session, None)
                holder.time_last_used.pop(session, None)


def forget_unread(demo: gr.Blocks, before: frozenset[str]) -> frozenset[str]:
    """Drop the answers that nobody fetched, of visitors that are forgotten and were so in the round before.

    Args:
        demo: the page.
        before: what the last round returned; a visitor who has just asked is not known yet, either.

    Returns:
        The visitors that are forgotten now.
    """
    queue, known = demo._queue, demo.state_holder.session_data
    unread, asked = queue.pending_messages_per_session, queue.pending_event_ids_session
    gone = frozenset(
        session
        for session in (*list(unread), *list(asked))
        if session not in known and not any(one in queue.event_ids_to_events for one in list(asked.get(session, ())))
    )
    for session in gone & before:
        unread.pop(session, None)
        asked.pop(session, None)
    return gone
