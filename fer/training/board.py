"""The TensorBoard file of a run; what its writing thread meets is told like any other error of a disk."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from fer.errors import OutputError


@contextmanager
def open_board(folder: Path, since: int) -> Iterator[SummaryWriter]:
    """A writer into a run's folder, closed at the end; what was told of epoch ``since`` and later ones before is taken back.

    Raises:
        OutputError: the disk takes no more; also where that is only noticed at the end.
    """
    before = threading.excepthook

    def tell(failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):  # the writer raises those again where it is used next
            before(failure)

    threading.excepthook = tell
    try:
        with SummaryWriter(str(folder), purge_step=since) as board:
            yield board
    except OSError as error:
        raise OutputError(f"cannot write the curves into {folder}: {error.strerror}; choose a writable folder") from error
    finally:
        threading.excepthook = before
