"""Which detector searches, and with which model file."""

from dataclasses import dataclass
from pathlib import Path

from fer.errors import ConfigError, WeightsError
from fer.faces.detector import DETECTORS, Detector, Kind

#: Takes the best detector that is at hand.
AUTO = "auto"

# How the files of detectors end; a file given without a name is known by it.
_SUFFIXES = {".onnx": "yunet", ".tflite": "mediapipe", ".xml": "haar"}


@dataclass(frozen=True)
class Search:
    """A choice of detector, small enough to be sent to another process.

    Attributes:
        name: in :data:`fer.faces.DETECTORS`. ``auto`` takes yunet where its file has been fetched, else haar; it never
            goes to the net.
        model: the detector's model file; without it the one that is kept in the cache, which a named detector fetches.

    >>> Search("none").open().name
    'none'
    """

    name: str = AUTO
    model: Path | None = None

    def open(self) -> Detector:
        """Make the detector.

        Raises:
            UnknownNameError: no such detector.
            ConfigError: its package is missing, or the file fits none.
            WeightsError: its model file cannot be read or fetched.
        """
        kind = DETECTORS[self.name]
        if self.model and not self.model.is_file():
            raise WeightsError(f"{self.model}: no such file; check the path given to --detector-model")
        return kind.make(self.model)


def _best(model: Path | None) -> Detector:
    if model is None:
        yunet = DETECTORS["yunet"]
        return (yunet if yunet.file and yunet.file.is_here else DETECTORS["haar"]).make(None)
    if model.suffix.lower() not in _SUFFIXES:
        endings = ", ".join(f"{suffix} ({name})" for suffix, name in _SUFFIXES.items())
        raise ConfigError(f"{model}: no detector has such files; known: {endings}")
    return DETECTORS[_SUFFIXES[model.suffix.lower()]].make(model)


DETECTORS.add(AUTO, Kind(_best, "yunet where its file has been fetched, else haar"))
