"""OpenCV's readers and writers of films, kept from talking: what is wrong with a film is said once, by whoever opens it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2


def open_capture(what: int | str, *settings: Sequence[int]) -> cv2.VideoCapture:
    """A reader of a camera by its number, or of a film or address by ffmpeg where settings for it are given."""
    with quiet():
        return cv2.VideoCapture(what, cv2.CAP_FFMPEG, *settings) if settings else cv2.VideoCapture(what)


def open_writer(path: str, codec: str, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """A writer of a film; ``codec`` is its code of four letters."""
    with quiet():
        return cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), fps, size)


@contextmanager
def quiet() -> Iterator[None]:
    """OpenCV says nothing inside; ffmpeg, which it brings, says nothing of damaged frames from its first use on."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
