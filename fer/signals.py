"""Which signals ask a program to end, beside Ctrl-C, and who does not hear that."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


def endings() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP of a terminal that is closed, unless whoever started the program had it ignored, as nohup does."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hangup)


@contextmanager
def children_deaf() -> Iterator[None]:
    """Processes that are started inside never hear Ctrl-C, from their first moment on. On Windows nothing changes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which they inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
