"""Where visitors' files lie while they are looked at, and that they are gone within a minute: under load, after a crash too."""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from gradio.route_utils import delete_files_created_by_app

from fer.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be deleted, which says as much
    fcntl = None  # type: ignore[assignment]

#: How often old files are looked for, and how old they may get, in seconds.
EVERY, AGE = 10.0, 45
#: Gradio's name for the folder of uploads.
VARIABLE = "GRADIO_TEMP_DIR"
_PREFIX = "fer-page-"


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
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # readable for its owner alone
        lock = _lock(folder).open("w")
    except OSError as error:
        raise OutputError(f"no folder for uploads can be made: {error}; name another by {VARIABLE}") from error
    with lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[VARIABLE] = str(folder)
        try:
            yield folder
        finally:
            os.environ.pop(VARIABLE)
            if given:
                os.environ[VARIABLE] = given
            shutil.rmtree(folder, ignore_errors=True)
            if fcntl:
                _lock(folder).unlink(missing_ok=True)
    _lock(folder).unlink(missing_ok=True)


def sweep(base: Path) -> None:
    """Delete the folders of processes that have ended without doing so."""
    for folder in base.glob(f"{_PREFIX}*/"):
        if not _in_use(_lock(folder)):
            shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


def keep_clean(demo: gr.Blocks, every: float = EVERY, age: int = AGE) -> threading.Event:
    """Delete old files of a page for as long as it runs; set the event to end that.

    Gradio's own task (``delete_cache``, not used here) goes through sets to which visitors add meanwhile: the first time that
    happens it ends for good (Gradio 6.31). Here the next round comes.
    """
    ended = threading.Event()

    def clean() -> None:
        while not ended.wait(every):
            with contextlib.suppress(RuntimeError):  # a set changed while it was gone through
                delete_files_created_by_app(demo, age)

    threading.Thread(target=clean, name="cleaning", daemon=True).start()
    return ended


def _lock(folder: Path) -> Path:
    """Beside the folder: what lies in it can be asked for."""
    return folder.with_name(f"{folder.name}.lock")


def _in_use(lock: Path) -> bool:
    try:
        if not fcntl:
            lock.unlink(missing_ok=True)
            return False
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
