"""Face detection: one detector a file, all found through :data:`DETECTORS`."""

from fer.faces import haar, uncut  # noqa: F401  (importing enters them in the registry)
from fer.faces.detector import DETECTORS, Detector, Find, cut_faces, whole_image

#: The detector used where none is named.
DEFAULT_DETECTOR = "haar"

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "Detector", "Find", "cut_faces", "whole_image"]
