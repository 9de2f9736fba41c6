"""One face through several checkpoints and methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.figures.panel import caption
from analysis.pictures import heatmap_record
from analysis.question import Question, ask
from apps.inline import jpeg
from apps.look import in_whole, square
from apps.offered import turn
from fer.errors import ConfigError
from fer.images import read
from fer.predict import Predictor
from fer.types import Face, Heatmap, Prediction

#: More at once would keep other visitors waiting.
MOST = 6


@dataclass(frozen=True, eq=False)
class Map:
    """One method's answer: caption, map, and a JPEG of 320×320 of it over the face; a reason alone where there is none."""

    text: str
    heatmap: Heatmap | None = None
    picture: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return heatmap_record(self.heatmap) if self.heatmap else {"reason": self.text}


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one checkpoint says of a face, by its name, and its maps, one a method."""

    checkpoint: str
    prediction: Prediction
    maps: tuple[Map, ...]

    @property
    def verdict(self) -> str:
        """In words."""
        return f"{self.prediction.label}, {self.prediction.confidence:.0%}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        said = self.prediction
        judged = {"label": said.label, "confidence": said.confidence, "probabilities": said.probabilities}
        return {"checkpoint": self.checkpoint, **judged, "maps": [one.to_dict() for one in self.maps]}


@dataclass(frozen=True, eq=False)
class Comparison:
    """The face that was compared as JPEG of 320×320, a note on which it is, and an opinion a checkpoint."""

    face: bytes
    note: str
    opinions: tuple[Opinion, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        box = self.opinions[0].prediction.face.box.as_list()
        return {"note": self.note, "box": box, "opinions": [opinion.to_dict() for opinion in self.opinions]}


def compare(path: str | Path, checkpoints: Sequence[str], methods: Sequence[str]) -> Comparison:
    """The largest face of a picture, found once and judged by each; every map explains its own checkpoint's verdict.

    Raises:
        ImageError: the picture cannot be read.
        ConfigError: nothing is chosen, more than six, or one twice.
        CheckpointError: a checkpoint cannot be used.
    """
    for chosen, what in ((checkpoints, "checkpoints"), (methods, "methods")):
        if not 0 < len(set(chosen)) == len(chosen) <= MOST:
            raise ConfigError(f"{len(chosen)} {what} chosen; choose between one and {MOST}, each once")
    image = read(path)
    with turn(checkpoints[0]) as first:
        faces = first.faces(image)
    face = max(faces, key=lambda face: face.box.width * face.box.height)
    note = in_whole(face) if face.is_whole_image else _which(face, faces)
    return Comparison(jpeg(square(face.image)), note, tuple(_opinion(name, face, methods) for name in checkpoints))


def _which(face: Face, faces: Sequence[Face]) -> str:
    return "1 face found." if len(faces) == 1 else f"{len(faces)} faces found: the largest, number {faces.index(face) + 1}."


def _opinion(checkpoint: str, face: Face, methods: Sequence[str]) -> Opinion:
    with turn(checkpoint) as asked:
        (prediction,) = asked.judge([face])
        return Opinion(checkpoint, prediction, tuple(_map(asked, prediction, method) for method in methods))


def _map(asked: Predictor, prediction: Prediction, method: str) -> Map:
    face = prediction.face
    try:
        (heatmap,) = ask(asked.model, [face], Question([prediction.label], method))
    except ConfigError as error:
        return Map(str(error))
    return Map(caption(heatmap), heatmap, jpeg(square(face.image, heatmap)))
