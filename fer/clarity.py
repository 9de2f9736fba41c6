"""Whether a face is clear enough to be read: how sharp and how bright it is."""

import cv2
import numpy as np

from fer.types import ByteArray

#: A face whose mean grey value lies below a tenth of the range is dark.
DARK = 25.0
#: A face of less :func:`sharpness` is blurred. docs/data.md: how many of these look so.
BLURRED = 0.1


def sharpness(face: ByteArray) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) over that of the pixels, free of contrast; 0 for a blank image.

    Args:
        face: uint8 (48, 48) grey.

    >>> sharpness(np.zeros((48, 48), np.uint8))
    0.0
    """
    pixels = face.astype(np.float32)
    edges = cv2.Laplacian(pixels, cv2.CV_32F, ksize=1)[1:-1, 1:-1]
    return float(edges.var(ddof=1) / max(pixels.var(ddof=1), 1e-9))


def doubt(face: ByteArray) -> str:
    """Why a face uint8 (48, 48) can hardly be read: ``dark``, ``blurred``, or empty where nothing speaks against it.

    >>> doubt(np.zeros((48, 48), np.uint8))
    'dark'
    """
    if face.mean() < DARK:
        return "dark"
    return "blurred" if sharpness(face) < BLURRED else ""
