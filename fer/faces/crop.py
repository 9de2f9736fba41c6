"""From a detector's finds to :class:`~fer.types.Face` values: cut as FER-2013's faces are, turned upright where they lean."""

import cv2
import numpy as np
import numpy.typing as npt

from fer.faces.detector import Detector, Find, Margin
from fer.types import WHOLE_IMAGE, Box, ByteArray, Face, FloatArray

#: Pictures no larger than this are taken as faces already cut out (FER-2013 faces are 48×48).
CROPPED_SIZE = 96

Point = tuple[float, float]

# Heads are never quite upright, and FER-2013's are not turned: only what leans more is.
_UPRIGHT = 5.0


def cut_faces(image: ByteArray, detector: Detector) -> tuple[Face, ...]:
    """Faces of a picture from left to right; the whole picture where none is found or it is small already.

    Args:
        image: uint8 (H, W, 3), RGB.
        detector: finds the faces.
    """
    if is_cut_out(image):
        return (whole_image(image),)
    faces = [face for find in detector.find(image) if (face := cut(image, find, detector.margin, detector.name))]
    return tuple(sorted(faces, key=lambda face: face.box.x1)) or (whole_image(image),)


def is_cut_out(image: ByteArray) -> bool:
    """True for a picture so small that it is taken as a face already cut out, and never searched."""
    return bool(max(image.shape[:2]) <= CROPPED_SIZE)


def whole_image(image: ByteArray) -> Face:
    """The uncut picture as a face, marked as such."""
    height, width = image.shape[:2]
    return Face(image, Box(0, 0, width, height), 0.0, WHOLE_IMAGE)


def cut(image: ByteArray, find: Find, margin: Margin, detector: str) -> Face | None:
    """The square around a find as FER-2013 would have cut it; None where it lies outside of the picture.

    Its centre lies ``margin.up`` above the find's, along the face's own axis; a face that leans by more than 5 degrees is
    turned upright about that centre. Where the square sticks out of the picture the pixels at its edge go on, so that a face
    keeps its proportions; its box is the part inside.
    """
    lean = lean_of(find)
    height, width = image.shape[:2]
    (x, y), side, radians = find.centre, find.side * margin.side, np.deg2rad(lean)
    x, y = x + np.sin(radians) * margin.up * find.side, y - np.cos(radians) * margin.up * find.side
    left, top, right, bottom = (round(value) for value in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
    x1, y1, x2, y2 = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if x2 <= x1 or y2 <= y1:
        return None
    box, inset = Box(x1, y1, x2, y2), (x1 - left, y1 - top)
    if abs(lean) <= _UPRIGHT:
        landmarks = None if find.landmarks is None else np.asarray(find.landmarks - (left, top), np.float32)
        edges = (y1 - top, bottom - y2, x1 - left, right - x2)
        pixels = cv2.copyMakeBorder(image[y1:y2, x1:x2], *edges, cv2.BORDER_REPLICATE)
        return Face(np.asarray(pixels, np.uint8), box, find.score, detector, landmarks, inset=inset)
    turn = np.asarray(cv2.getRotationMatrix2D((x, y), lean, 1.0), np.float64)
    turn[:, 2] -= left, top
    points = None if find.landmarks is None else _turned(find.landmarks, turn)
    pixels = _warped(image, turn, (x, y), (right - left, bottom - top))
    return Face(pixels, box, find.score, detector, points, lean, (float(x - left), float(y - top)), inset)


def _warped(image: ByteArray, turn: npt.NDArray[np.float64], centre: Point, size: tuple[int, int]) -> ByteArray:
    """A turned square of an image, from its surroundings alone: OpenCV turns no picture of 32,767 pixels or more a side."""
    reach = np.hypot(*size) / 2 + 2
    x1, y1 = (max(0, int(value - reach)) for value in centre)
    around = image[y1 : int(centre[1] + reach) + 1, x1 : int(centre[0] + reach) + 1]
    turn = np.column_stack([turn[:, :2], turn @ (x1, y1, 1)])
    return np.asarray(cv2.warpAffine(around, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def lean_of(find: Find) -> float:
    """Degrees that a face leans, clockwise: by the line through its eyes where it has landmarks."""
    if find.landmarks is None:
        return find.angle
    x, y = find.landmarks[1] - find.landmarks[0]
    return float(np.degrees(np.arctan2(y, x)))


def _turned(points: FloatArray, turn: npt.NDArray[np.float64]) -> FloatArray:
    return np.asarray(points @ turn[:, :2].T + turn[:, 2], np.float32)
