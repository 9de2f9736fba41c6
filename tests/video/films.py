"""Films made for tests: the sample's head on a blurred background, at places that the test knows."""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from fer.images import read
from fer.samples import sample_path
from fer.types import ByteArray
from fer.video.film import write_film

WIDTH, HEIGHT, FPS = 320, 240, 25.0

#: Place of a head's left upper corner in a frame, or None where it is not there.
Path2 = Callable[[int], tuple[float, float] | None]


@cache
def head(kind: str = "own", scale: float = 0.6) -> ByteArray:
    """The sample's head, about 125 pixels wide with a face of 58; ``other`` is mirrored, dark and blue: another person."""
    picture = read(sample_path())[40:240, 120:330]
    if kind == "other":
        picture = cv2.convertScaleAbs(picture[:, ::-1, ::-1], alpha=0.6, beta=10)
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


@cache
def background(width: int = WIDTH, height: int = HEIGHT) -> ByteArray:
    """A still blur."""
    coarse = np.random.default_rng(3).integers(60, 200, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def place(picture: ByteArray, patch: ByteArray, x: float, y: float) -> None:
    """Paste as much of a patch as lies inside."""
    x1, y1, (height, width) = round(x), round(y), patch.shape[:2]
    left, top = max(0, -x1), max(0, -y1)
    inside = picture[max(0, y1) : max(0, y1 + height), max(0, x1) : max(0, x1 + width)]
    inside[:] = patch[top : top + inside.shape[0], left : left + inside.shape[1]]


def frames(count: int, *heads: tuple[ByteArray, Path2]) -> Iterator[ByteArray]:
    """Frames with heads, later ones before earlier ones, and a little noise."""
    rng = np.random.default_rng(5)
    for number in range(count):
        picture = background().copy()
        for patch, path in heads:
            where = path(number)
            if where:
                place(picture, patch, *where)
        yield (picture + rng.integers(-5, 6, picture.shape)).clip(0, 255).astype(np.uint8)


def write(path: Path, pictures: Sequence[ByteArray] | Iterator[ByteArray], fps: float = FPS) -> Path:
    """A film file of these frames."""
    pictures = list(pictures)
    with write_film(path, (pictures[0].shape[1], pictures[0].shape[0]), fps) as film:
        for number, picture in enumerate(pictures):
            film.write(picture, number / fps)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """A csv's rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def still(_: int) -> tuple[float, float]:
    """A head that does not move."""
    return 60.0, 60.0
