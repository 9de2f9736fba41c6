"""``none``: every picture is a face already cut out."""

from pathlib import Path

from fer.errors import ConfigError
from fer.faces.detector import DETECTORS, Find, Hint, Kind, Margin
from fer.types import ByteArray


class UncutDetector:
    """Finds nothing, so that the whole picture is used."""

    name = "none"
    margin = Margin()
    leans: tuple[float, ...] = ()

    def __init__(self, model: Path | None = None) -> None:
        if model:
            raise ConfigError(f"--detector none searches nothing, {model} would not be used; leave out --detector-model")

    def find(self, image: ByteArray, hint: Hint | None = None) -> list[Find]:
        """Always empty."""
        return []


DETECTORS.add("none", Kind(UncutDetector, "no search: every picture is a face already cut out"))
