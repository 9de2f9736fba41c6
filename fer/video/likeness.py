"""Whether two views show the same face: small coloured pictures of them, laid over one another where they fit best.

Enough to tell the people of one film apart while they pass each other; it recognises nobody. Of pairs of different people,
1 % are more alike than .78 (faces of LFW) or .73 (FER-2013); of faces cut 4 % of their side beside themselves, 2 % are less
alike than .75 (tests/video/test_likeness.py).
"""

import cv2
import numpy as np

from fer.faces import Find
from fer.types import ByteArray

_SIDE = 24
# So many pixels may one view lie beside the other: boxes tremble.
_SLACK = 4


def look_of(image: ByteArray, find: Find) -> ByteArray:
    """uint8 (24, 24, 3): the find's square, as much of it as lies in the picture."""
    half = find.side / 2
    (x, y), (height, width) = find.centre, image.shape[:2]
    x1, x2 = (int(np.clip(value, 0, width)) for value in (x - half, x + half))
    y1, y2 = (int(np.clip(value, 0, height)) for value in (y - half, y + half))
    if x2 <= x1 or y2 <= y1:
        return np.zeros((_SIDE, _SIDE, 3), np.uint8)
    return np.asarray(cv2.resize(image[y1:y2, x1:x2], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def likeness(a: ByteArray, b: ByteArray) -> float:
    """Correlation of two looks where they fit best, -1..1.

    >>> look = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    >>> round(likeness(look, look), 3), likeness(look, 255 - look) < 0.5
    (1.0, True)
    """
    if min(a.std(), b.std()) < 1:
        return 0.0  # an even picture would be like all others
    inner = slice(_SLACK, -_SLACK)
    fits = (cv2.matchTemplate(p, q[inner, inner], cv2.TM_CCOEFF_NORMED) for p, q in ((a, b), (b, a)))
    return max(float(fit.max()) for fit in fits)
