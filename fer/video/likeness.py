"""Whether two views show the same face: a coarse coloured picture of each, compared by correlation.

Enough to tell two people in one film apart while they pass each other; it recognises nobody.
"""

import cv2
import numpy as np

from fer.faces import Find
from fer.types import ByteArray, FloatArray

_SIDE = 12


def look_of(image: ByteArray, find: Find) -> FloatArray:
    """float32 (432,) of length 1 and mean 0: the find's square at 12×12 pixels, in colours."""
    half = find.side / 2
    (x, y), (height, width) = find.centre, image.shape[:2]
    x1, x2 = (int(np.clip(value, 0, width)) for value in (x - half, x + half))
    y1, y2 = (int(np.clip(value, 0, height)) for value in (y - half, y + half))
    if x2 <= x1 or y2 <= y1:
        return np.zeros(3 * _SIDE**2, np.float32)
    small = cv2.resize(image[y1:y2, x1:x2], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return np.asarray(small / max(1e-6, float(np.linalg.norm(small))), np.float32)


def likeness(a: FloatArray, b: FloatArray) -> float:
    """Correlation of two looks, -1..1.

    >>> look = np.float32([0.6, -0.8])
    >>> round(likeness(look, look), 3)
    1.0
    """
    return float(a @ b) / max(1e-6, float(np.linalg.norm(a) * np.linalg.norm(b)))
