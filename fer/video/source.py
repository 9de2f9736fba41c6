"""Where frames come from: a camera, a film, a network stream."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np

from fer.errors import VideoError
from fer.images import is_picture
from fer.types import ByteArray
from fer.video.opencv import open_capture
from fer.words import shortened

# So many reads may fail in a row before a source counts as ended: a damaged frame is skipped.
_FAILURES = 25
# A camera that hesitates is asked again after so many seconds; a dead stream is given up after so many milliseconds.
_PAUSE = 0.02
_STREAM_TIMEOUT = 10_000
# A number of more digits is no camera's.
_DIGITS = 4
# Kinds of films that count their frames; others know how long the longest of their streams lasts.
_COUNTED = (".mp4", ".m4v", ".mov", ".avi", ".3gp")
# More frames than any film has: what streams say of themselves.
_COUNTABLE = 1e9
# Frames a second where a source does not say, or says what cannot be.
_FPS, _FASTEST = 25.0, 240.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a film: uint8 (H, W, 3) RGB, its number from 0, its time in seconds from the first."""

    image: ByteArray
    number: int
    seconds: float


class Source:
    """Frames one after another, all of the size of the first; made by :func:`open_source`, closed by ``with``.

    Attributes:
        name: as it was given.
        is_live: True for cameras and streams, whose frames come when they will.
        fps: frames a second, as the source says.
        size: width and height in pixels.
        length: frames in all, 0 where that is not known, as of kinds that say no more than how long their sound lasts.
        skipped: frames that could not be read so far.
        ended_early: what went wrong, once the frames have ended before they should; else empty.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, is_live: bool) -> None:
        self._capture, self.name, self.is_live = capture, name, is_live
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if 0 < fps <= _FASTEST else _FPS
        length = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        counted = Path(name).suffix.lower() in _COUNTED and not is_live and 0 < length < _COUNTABLE
        self.length = int(length) if counted else 0
        self.skipped, self.ended_early = 0, ""
        self._first = self._read()
        self._start = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._first is None:
            capture.release()
            raise VideoError(f"{name}: gives no frame that can be read; {_ADVICE[is_live]}")
        self.size = (self._first.shape[1], self._first.shape[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        number, last, start = 0, -1 / self.fps, time.monotonic()
        image, self._first = self._first, None
        while image is not None:
            seconds = time.monotonic() - start if self.is_live else self._position(last)
            seconds = max(last + 1e-6, seconds)
            yield Frame(_fitted(image, self.size), number, seconds)
            number, last = number + 1, seconds
            image = self._read()
        self._note_end(number)

    def _position(self, last: float) -> float:
        """Time of the frame that was read last; by the film's pace where the file does not say, or says what cannot be."""
        said = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 - self._start
        return said if said > last else last + 1 / self.fps

    def _read(self) -> ByteArray | None:
        """The next frame that can be read, as RGB; None where there is none."""
        for _ in range(_FAILURES):
            try:
                there, image = self._capture.read()
            except cv2.error:  # of damaged data
                there, image = False, None
            if there and image is not None and image.size:
                return _rgb(np.asarray(image, np.uint8))
            if not self.is_live and not self.length:
                return None
            self.skipped += 1
            if self.is_live:
                time.sleep(_PAUSE)
        return None

    def _note_end(self, number: int) -> None:
        self.skipped = max(0, self.skipped - _FAILURES)  # those of the end itself
        if self.is_live:
            self.ended_early = f"{self.name} gives no more frames after {number:,}; is it still connected?"
        elif number < 0.98 * self.length - 2:  # containers count a little too many
            self.ended_early = f"{self.name} ends after {number:,} of {self.length:,} frames: cut short or damaged"


_ADVICE = {
    True: "check that it is connected, that no other program uses it, and its address or number",
    False: "give a film that OpenCV reads: MP4, AVI, MKV, MOV or WebM",
}


def open_source(name: str) -> Source:
    """Open a camera by its number, a network stream by its address, or a film by its path.

    Raises:
        VideoError: it is not there, cannot be opened, or gives no frame.

    >>> with open_source("film.mp4") as source:  # doctest: +SKIP
    ...     times = [frame.seconds for frame in source]
    """
    if not name:
        raise VideoError("an empty name; give a camera's number, the path of a film, or an address")
    name = plain_name(name)
    is_live = is_camera(name) or is_address(name) or _is_so(Path(name).is_char_device)
    if not is_live:
        _check_film(name)
    shown = f"camera {name}" if is_camera(name) else name
    capture = _capture(name)
    if is_address(name) and 0 < capture.get(cv2.CAP_PROP_FRAME_COUNT) < _COUNTABLE:
        is_live = False  # a film on a server, which comes as fast as it is read
    if not capture.isOpened():
        capture.release()
        raise VideoError(f"{shown}: cannot be opened; {_ADVICE[is_live]}")
    return Source(capture, shown, is_live)


def plain_name(name: str) -> str:
    """A source's name; of a film's ``file://`` address its path.

    >>> plain_name("file:///films/one%20.mp4"), plain_name("rtsp://camera/1")
    ('/films/one .mp4', 'rtsp://camera/1')
    """
    return url2pathname(urlsplit(name).path) if name.startswith("file://") else name


def stem_of(name: str) -> str:
    """What files are named after that are made of a source: word characters, dots and hyphens of an address.

    >>> stem_of("0"), stem_of("films/one two.mp4"), stem_of("rtsp://me:secret@host/cam/play?channel=1&password=2")
    ('camera-0', 'one two', 'play')
    """
    if is_camera(name):
        return f"camera-{name}"
    name = plain_name(name)
    if is_address(name):
        return re.sub(r"[^\w.-]+", "-", Path(urlsplit(name).path).stem).strip("-") or "stream"
    return Path(name).stem or "stream"


def is_address(name: str) -> bool:
    """Whether a source's name is the address of a stream.

    >>> is_address("rtsp://camera/1"), is_address("film.mp4")
    (True, False)
    """
    return "://" in name


def _check_film(name: str) -> None:
    """VideoError where there is nothing under a name that could be a film: a file of more than a picture, or a pipe."""
    path = Path(name)
    if not _is_so(path.exists):
        what = "no such file; check the path"
    elif path.is_dir():
        what = "this is a folder; use fer predict for pictures"
    elif path.is_file() and is_picture(name) and _has_one_frame(name):
        what = "this is a picture; use fer predict for pictures"
    else:
        return
    raise VideoError(f"{shortened(name, 200)}: {what}, or give a camera's number or an address")


def _has_one_frame(name: str) -> bool:
    """Whether the file is a still: GIF and PNG may hold films, too."""
    capture = _capture(name)
    try:
        return capture.grab() and not capture.grab()
    finally:
        capture.release()


def _is_so(question: Callable[[], bool]) -> bool:
    """The answer to a question about a path, False for names that no file can have."""
    try:
        return question()
    except (OSError, ValueError):
        return False


def is_camera(name: str) -> bool:
    """Whether a source's name is the number of a camera.

    >>> is_camera("0"), is_camera("0.mp4")
    (True, False)
    """
    return name.isdecimal() and len(name) <= _DIGITS


def _capture(name: str) -> cv2.VideoCapture:
    if is_camera(name):
        return open_capture(int(name))
    if is_address(name):
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _STREAM_TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _STREAM_TIMEOUT]
        return open_capture(name, limits)
    return open_capture(str(Path(name).absolute()))  # a colon in a relative one would be read as a protocol's


def _rgb(image: ByteArray) -> ByteArray:
    code = cv2.COLOR_GRAY2RGB if image.ndim == 2 or image.shape[2] == 1 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _fitted(image: ByteArray, size: tuple[int, int]) -> ByteArray:
    """The whole picture at another size, black where its shape differs."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    right, bottom = width - inner[0] - left, height - inner[1] - top
    return np.asarray(cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT), np.uint8)
