"""Face detection: one detector a file, all found through :data:`DETECTORS`."""

from fer.faces import haar, mediapipe, uncut, yunet  # noqa: F401  (importing enters them in the registry)
from fer.faces.crop import cut, cut_faces, is_cut_out, whole_image
from fer.faces.detector import DETECTORS, Detector, Find, Hint, Margin
from fer.faces.search import AUTO, Search

#: The detector used where none is named.
DEFAULT_DETECTOR = AUTO

__all__ = [
    "AUTO",
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "Detector",
    "Find",
    "Hint",
    "Margin",
    "Search",
    "cut",
    "cut_faces",
    "is_cut_out",
    "whole_image",
]
