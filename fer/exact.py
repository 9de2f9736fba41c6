"""Convolutions of a GPU in float32 proper, for the figures and maps that a card or a page shows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Its ``fp32_precision`` is "ieee" or "tf32".
_CONV: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
_LOCK = threading.Lock()
_asking = 0
_before = ""


@contextmanager
def exact() -> Iterator[None]:
    """No short form of float32 (TF32) inside: it turns faces near a tie, and cards are held to one face.

    The setting is the whole process's: of several who ask at once, the first changes it and the last puts it back. Nothing is
    touched where there is no GPU.
    """
    if not torch.cuda.is_available():
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _asking, _before  # noqa: PLW0603 what it mirrors is global, too
    with _LOCK:
        _asking += 1
        if _asking == 1:
            _before = _CONV.fp32_precision
            _CONV.fp32_precision = "ieee"


def _leave() -> None:
    global _asking  # noqa: PLW0603
    with _LOCK:
        _asking -= 1
        if not _asking:
            _CONV.fp32_precision = _before
