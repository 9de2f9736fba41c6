"""What a face detector is: pictures in, finds out; entries of :data:`DETECTORS` say what each is and needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fer.faces.model_file import ModelFile
from fer.registry import Registry
from fer.types import ByteArray, FloatArray


@dataclass(frozen=True, eq=False)
class Find:
    """A detector's raw find.

    Attributes:
        x1, y1, x2, y2: corners in pixels before any turn; they may stick out of the picture.
        score: the detector's own confidence.
        angle: degrees by which the face leans, clockwise; the box is meant to be turned about its centre by as much.
        landmarks: float32 (5, 2) in pixels: the eyes (left one in the picture first), tip of the nose, corners of the mouth.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    angle: float = 0.0
    landmarks: FloatArray | None = None

    @property
    def side(self) -> float:
        """The longer side of the box in pixels."""
        return max(self.x2 - self.x1, self.y2 - self.y1)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box in pixels."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def moved(self, scale: float, x: float = 0.0, y: float = 0.0) -> "Find":
        """The same in pixels of a picture that is ``scale`` times larger and begins at (-x, -y)."""
        points = None if self.landmarks is None else (self.landmarks * scale + (x, y)).astype(np.float32)
        corners = (self.x1 * scale + x, self.y1 * scale + y, self.x2 * scale + x, self.y2 * scale + y)
        return Find(*corners, self.score, self.angle, points)


@dataclass(frozen=True)
class Hint:
    """What is known of a face before it is searched; makes a search fast.

    Attributes:
        smallest, largest: bounds of its side in pixels.
        angle: how far it leans, in degrees clockwise.
    """

    smallest: float
    largest: float
    angle: float = 0.0


@dataclass(frozen=True)
class Margin:
    """How the square of a FER-2013 face lies to a detector's box; measured by ``fer detectors --measure``.

    Attributes:
        side: its side, in sides of the box.
        up: how much higher its centre lies, in sides of the box.
    """

    side: float = 1.0
    up: float = 0.0


class Detector(Protocol):
    """Finds faces; safe to call from several threads."""

    @property
    def name(self) -> str:
        """Its name in :data:`DETECTORS`."""
        ...

    @property
    def margin(self) -> Margin:
        """From its boxes to faces as FER-2013 has them."""
        ...

    @property
    def leans(self) -> tuple[float, ...]:
        """Angles other than 0 at which faces are only found if a hint asks for them; none where every lean is found."""
        ...

    def find(self, image: ByteArray, hint: Hint | None = None) -> list[Find]:
        """Faces in uint8 (H, W, 3) RGB, in any order; an empty list where there are none."""
        ...


@dataclass(frozen=True)
class Kind:
    """An entry of :data:`DETECTORS`.

    Attributes:
        make: makes the detector from its model file, if it has one; heavy work is done here, not at import.
        summary: what it is, in a few words.
        file: the model file that it needs; none where it is complete.
    """

    make: Callable[[Path | None], Detector]
    summary: str
    file: ModelFile | None = None


#: The detectors by name.
DETECTORS: Registry[Kind] = Registry("detector")
