"""What a face detector is, and how its finds become :class:`~fer.types.Face` values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fer.registry import Registry
from fer.types import WHOLE_IMAGE, Box, ByteArray, Face, FloatArray

#: Pictures no larger than this are taken as faces already cut out (FER-2013 faces are 48×48).
CROPPED_SIZE = 96


@dataclass(frozen=True, eq=False)
class Find:
    """A detector's raw find: corners in pixels (they may stick out of the picture), its score, its landmarks."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    landmarks: FloatArray | None = None


class Detector(Protocol):
    """Finds faces; safe to call from several threads."""

    def find(self, image: ByteArray) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB, in any order; an empty list where there are none."""
        ...


#: Functions that make a detector; heavy work only happens when one is made.
DETECTORS: Registry[Callable[[], Detector]] = Registry("detector")


def cut_faces(image: ByteArray, detector: Detector, name: str) -> tuple[Face, ...]:
    """Faces of a picture from left to right; the whole picture where none is found or it is small already.

    Args:
        image: uint8 (H, W, 3), RGB.
        detector: finds the faces.
        name: the detector's name, kept in every face.
    """
    if max(image.shape[:2]) <= CROPPED_SIZE:
        return (whole_image(image),)
    faces = [face for find in detector.find(image) if (face := _cut(image, find, name))]
    return tuple(sorted(faces, key=lambda face: face.box.x1)) or (whole_image(image),)


def whole_image(image: ByteArray) -> Face:
    """The uncut picture as a face, marked as such."""
    height, width = image.shape[:2]
    return Face(image, Box(0, 0, width, height), 0.0, WHOLE_IMAGE)


def _cut(image: ByteArray, find: Find, name: str) -> Face | None:
    height, width = image.shape[:2]
    x1, y1 = max(0, round(find.x1)), max(0, round(find.y1))
    x2, y2 = min(width, round(find.x2)), min(height, round(find.y2))
    if x2 <= x1 or y2 <= y1:
        return None
    return Face(np.ascontiguousarray(image[y1:y2, x1:x2]), Box(x1, y1, x2, y2), find.score, name, find.landmarks)
