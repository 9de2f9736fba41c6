"""``mediapipe``: BlazeFace through MediaPipe's tasks API (Bazarevsky et al. 2019, arXiv:1907.05047); an optional extra."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer.errors import ConfigError, WeightsError
from fer.faces.detector import DETECTORS, Find, Hint, Kind, Margin
from fer.faces.model_file import ModelFile
from fer.quiet import silent_stderr
from fer.types import ByteArray, FloatArray

if TYPE_CHECKING:
    from mediapipe.tasks.python.vision import FaceDetector

_SCORE = 0.5
# Half the width of a mouth in distances between the eyes: those of the face template of fer regions.
_MOUTH = 0.47


class MediaPipeDetector:
    """Faces within a few metres of the camera, with landmarks; the score is a probability."""

    name = "mediapipe"
    margin = Margin(1.18, 0.08)
    leans: tuple[float, ...] = ()

    def __init__(self, model: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._net = _open(model)
        # its own destructor fails with a traceback at the interpreter's end, when its threads are gone already
        close, self._net.close = self._net.close, lambda: None
        weakref.finalize(self, _closed, close).atexit = False
        with silent_stderr():  # the first search has something to say, too
            self.find(np.zeros((64, 64, 3), np.uint8))

    def find(self, image: ByteArray, hint: Hint | None = None) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB."""
        import mediapipe

        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        with self._lock:
            found = self._net.detect(picture).detections
        height, width = image.shape[:2]
        finds = []
        for detection in found:
            box, points = detection.bounding_box, [(p.x * width, p.y * height) for p in detection.keypoints]
            x, y, score = float(box.origin_x), float(box.origin_y), float(detection.categories[0].score)
            finds.append(Find(x, y, x + box.width, y + box.height, score, landmarks=_five(points)))
        return finds


def _closed(close: Callable[[], None]) -> None:
    with silent_stderr():
        close()


def _five(points: list[tuple[float, float]]) -> FloatArray:
    """Eyes, nose, corners of the mouth from MediaPipe's eyes, nose, middle of the mouth and ears."""
    left, right, nose, mouth = np.array(points[:4], np.float32)
    half = (right - left) * np.float32(_MOUTH)
    return np.asarray(np.stack([left, right, nose, mouth - half, mouth + half]), np.float32)


def _open(model: Path | None) -> FaceDetector:
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise ConfigError(
            f"detector mediapipe needs the package mediapipe ({error}); pip install 'ferscope[mediapipe]'"
        ) from error
    path = model or FILE.fetch()
    try:
        # MediaPipe itself would take a path relative to its own package
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=path.read_bytes()), min_detection_confidence=_SCORE
        )
        with silent_stderr():
            net = vision.FaceDetector.create_from_options(options)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path}: MediaPipe cannot use it ({error}); give {FILE.name}, or leave out --detector-model"
        ) from error
    return net


FILE = ModelFile(
    "https://storage.googleapis.com/mediapipe-models/face_detector/blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
    "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
    229_746,
)
DETECTORS.add(
    "mediapipe", Kind(MediaPipeDetector, "Google's BlazeFace, near faces; 0.2 MB, fetched once; extra mediapipe", FILE)
)
