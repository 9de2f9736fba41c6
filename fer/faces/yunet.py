"""``yunet``: a small net with landmarks (Wu, Peng & Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector")."""

import threading
from pathlib import Path

import cv2
import numpy as np

from fer.errors import WeightsError
from fer.faces.detector import DETECTORS, Find, Hint, Kind, Margin
from fer.faces.model_file import ModelFile
from fer.types import ByteArray

# The net was trained on faces of 10 to 300 pixels: a picture is searched at this longer side, and again reduced where a
# face that fills it may have been missed.
_SIDES = (640, 256)
# A hinted face is brought to this side: three places of the net's middle map.
_HINTED = 48
# The net works in blocks of 32 pixels.
_BLOCK = 32
_SCORE, _OVERLAP = 0.7, 0.3


class YuNetDetector:
    """Faces at any lean with five landmarks; the score is a probability."""

    name = "yunet"
    # that of the cascade: not measured yet, `fer detectors --measure` does
    margin = Margin(1.06, 0.0)
    leans: tuple[float, ...] = ()

    def __init__(self, model: Path | None = None) -> None:
        self._path = model or FILE.fetch()
        try:
            self._model = np.frombuffer(self._path.read_bytes(), np.uint8)
        except OSError as error:
            raise WeightsError(f"{self._path}: cannot be read ({error.strerror}); check its permissions") from error
        self._local = threading.local()  # its input size is part of its state
        self._net()

    def find(self, image: ByteArray, hint: Hint | None = None) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB."""
        longer = max(image.shape[:2])
        if hint:
            return self._at(image, min(1.0, _HINTED / hint.smallest))
        found: list[Find] = []
        for side in _SIDES:
            found = found or self._at(image, min(1.0, side / longer))
        return found

    def _at(self, image: ByteArray, scale: float) -> list[Find]:
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image
        down, right = -height % _BLOCK, -width % _BLOCK
        padded = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_CONSTANT)
        net = self._net()
        net.setInputSize((width + right, height + down))
        try:
            _, rows = net.detect(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise _unusable(self._path) from error
        return [] if rows is None else [_find(row).moved(1 / scale) for row in rows if np.isfinite(row).all()]

    def _net(self) -> cv2.FaceDetectorYN:
        if not hasattr(self._local, "net"):
            try:
                self._local.net = cv2.FaceDetectorYN.create(
                    "onnx", self._model, np.empty(0, np.uint8), (_BLOCK, _BLOCK), _SCORE, _OVERLAP
                )
            except cv2.error as error:
                raise _unusable(self._path) from error
        net: cv2.FaceDetectorYN = self._local.net
        return net


def _find(row: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> Find:
    x, y, width, height = (float(value) for value in row[:4])
    points = row[4:14].reshape(5, 2).astype(np.float32)
    return Find(x, y, x + width, y + height, float(row[14]), landmarks=points)


def _unusable(path: Path) -> WeightsError:
    return WeightsError(f"{path}: OpenCV cannot use it as YuNet; give {FILE.name}, or leave out --detector-model")


FILE = ModelFile(
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    232_589,
)
DETECTORS.add("yunet", Kind(YuNetDetector, "small net with landmarks, any lean; 0.2 MB, fetched once", FILE))
