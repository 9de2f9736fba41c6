"""Stopping between two steps when the system asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fer.signals import endings


class StopRequest:
    """Which signal has asked for an end, 0 while none has."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> int:
        """The signal's number, 0 while none has come."""
        return self.signal

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Inside, Ctrl-C and what else ends a program only make a request; outside the main thread nothing changes."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._take) for number in (signal.SIGINT, *endings())}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
