"""The embedded default: OpenCV's Haar cascade ``frontalface_alt2`` (Viola & Jones 2001; Lienhart 2002)."""

import threading

import cv2

from fer.environment import CASCADE_CURE, cascade_file
from fer.errors import FerError
from fer.faces.detector import DETECTORS, Find
from fer.types import ByteArray

# The search runs on a picture reduced to this longer side: a larger one costs time and finds faces too small to be read.
_SEARCH_SIDE = 640
# Smallest face searched, as a share of the shorter side, and the overlapping finds that confirm one.
_SMALLEST = 1 / 12
_NEIGHBOURS = 4
_STEP = 1.1


class HaarDetector:
    """Upright frontal faces; the score is the cascade's last stage sum, roughly 0 to 10."""

    def __init__(self) -> None:
        self._local = threading.local()  # a cascade object must not be shared by threads

    def find(self, image: ByteArray) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB."""
        height, width = image.shape[:2]
        scale = min(1.0, _SEARCH_SIDE / max(height, width))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if scale < 1:
            grey = cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        smallest = max(20, round(min(grey.shape) * _SMALLEST))
        boxes, _, weights = self._cascade().detectMultiScale3(
            cv2.equalizeHist(grey), _STEP, _NEIGHBOURS, minSize=(smallest, smallest), outputRejectLevels=True
        )
        return [
            Find(x / scale, y / scale, (x + w) / scale, (y + h) / scale, max(0.0, float(weight)))
            for (x, y, w, h), weight in zip(boxes, weights, strict=True)
        ]

    def _cascade(self) -> cv2.CascadeClassifier:
        if not hasattr(self._local, "cascade"):
            self._local.cascade = _load()
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade


def _load() -> cv2.CascadeClassifier:
    path = cascade_file()
    if path is None:
        raise FerError(f"OpenCV {cv2.__version__} has no Haar cascades; {CASCADE_CURE}")
    return cv2.CascadeClassifier(str(path))


DETECTORS.add("haar", HaarDetector)
