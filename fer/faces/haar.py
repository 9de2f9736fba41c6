"""The embedded default: OpenCV's Haar cascade ``frontalface_alt2`` (Viola & Jones 2001; Lienhart 2002)."""

import threading
from pathlib import Path

import cv2
import numpy as np

from fer.environment import CASCADE_CURE, cascade_file
from fer.errors import FerError
from fer.faces.detector import DETECTORS, Find, Hint, Kind, Margin
from fer.types import ByteArray

# The search runs on a picture reduced to this longer side: a larger one costs time and finds faces too small to be read.
_SEARCH_SIDE = 640
# Smallest face searched, as a share of the shorter side, and the overlapping finds that confirm one.
_SMALLEST = 1 / 12
_NEIGHBOURS = 4
_STEP = 1.1


class HaarDetector:
    """Frontal faces, upright or leaning by up to 30 degrees; the score is the cascade's last stage sum, from 0 to about 100."""

    name = "haar"
    margin = Margin(1.06, 0.0)
    # those that lean are searched where no upright one is found: the cascade itself bears about 15 degrees
    leans = (-25.0, 25.0)

    def __init__(self, model: Path | None = None) -> None:
        self._model = model
        self._local = threading.local()  # a cascade object must not be shared by threads
        self._cascade()

    def find(self, image: ByteArray, hint: Hint | None = None) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB; without a hint, those that lean are searched where none is upright."""
        scale = min(1.0, _SEARCH_SIDE / max(image.shape[:2]))
        grey = _reduced(image, scale)
        if hint:
            found = self._leaning(grey, hint.angle, hint.smallest * scale, hint.largest * scale)
        else:
            smallest, largest = max(20.0, min(grey.shape) * _SMALLEST), float(max(grey.shape))
            searches = (self._leaning(grey, angle, smallest, largest) for angle in (0.0, *self.leans))
            found = next((finds for finds in searches if finds), [])
        return [find.moved(1 / scale) for find in found]

    def _leaning(self, grey: ByteArray, angle: float, smallest: float, largest: float) -> list[Find]:
        """Faces that lean by about ``angle``: the picture is turned upright, the finds are turned back."""
        if not angle:
            return self._upright(grey, smallest, largest)
        height, width = grey.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
        size = (round(height * sine + width * cosine), round(height * cosine + width * sine))
        turn[:, 2] += size[0] / 2 - width / 2, size[1] / 2 - height / 2
        back = cv2.invertAffineTransform(turn)
        turned = np.asarray(cv2.warpAffine(grey, turn, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
        found = []
        for find in self._upright(turned, smallest, largest):
            (x, y), half = back @ (*find.centre, 1.0), find.side / 2
            if 0 <= x < width and 0 <= y < height:
                found.append(Find(x - half, y - half, x + half, y + half, find.score, angle))
        return found

    def _upright(self, grey: ByteArray, smallest: float, largest: float) -> list[Find]:
        low, high = (max(1, round(side)) for side in (smallest, largest))
        boxes, _, weights = self._cascade().detectMultiScale3(
            grey, _STEP, _NEIGHBOURS, minSize=(low, low), maxSize=(high, high), outputRejectLevels=True
        )
        return [
            Find(float(x), float(y), float(x + w), float(y + h), max(0.0, float(weight)))
            for (x, y, w, h), weight in zip(boxes, weights, strict=True)
        ]

    def _cascade(self) -> cv2.CascadeClassifier:
        if not hasattr(self._local, "cascade"):
            self._local.cascade = _load(self._model)
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade


def _reduced(image: ByteArray, scale: float) -> ByteArray:
    """Grey uint8 of even contrast, reduced where the scale is below 1."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.equalizeHist(grey), np.uint8)


def _load(path: Path | None) -> cv2.CascadeClassifier:
    path = path or cascade_file()
    if path is None:
        raise FerError(f"OpenCV {cv2.__version__} has no Haar cascades; {CASCADE_CURE}")
    cascade = cv2.CascadeClassifier()
    try:
        is_one = cascade.load(str(path))
    except cv2.error:
        is_one = False
    if not is_one:
        raise FerError(
            f"{path}: OpenCV reads no cascade from it; give a Haar or LBP cascade as .xml, or leave out --detector-model"
        )
    return cascade


DETECTORS.add("haar", Kind(HaarDetector, "OpenCV's cascade frontalface_alt2; comes with OpenCV"))
