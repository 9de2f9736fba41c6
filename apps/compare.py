"""One face through several checkpoints and methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.figures.overlay import overlay
from analysis.figures.panel import caption
from analysis.question import Question, ask
from apps.look import SIDE, predictor, square
from fer.errors import ConfigError
from fer.images import read
from fer.types import ByteArray, Face

#: More at once would keep other visitors waiting.
MOST = 6


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one checkpoint says of a face.

    Attributes:
        checkpoint: its name.
        verdict: in words.
        probabilities: of all its classes.
        maps: caption and overlay uint8 (320, 320, 3) of each method; a reason and None where it has no such map.
    """

    checkpoint: str
    verdict: str
    probabilities: dict[str, float]
    maps: tuple[tuple[str, ByteArray | None], ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The face that was compared, uint8 (320, 320, 3), a note on which it is, and an opinion a checkpoint."""

    face: ByteArray
    note: str
    opinions: tuple[Opinion, ...]


def compare(path: str | Path, checkpoints: Sequence[str], methods: Sequence[str]) -> Comparison:
    """The largest face of a picture, found once and judged by each; every map explains its own checkpoint's verdict.

    Raises:
        ImageError: the picture cannot be read.
        ConfigError: nothing is chosen, or more than six.
        CheckpointError: a checkpoint cannot be used.
    """
    for chosen, what in ((checkpoints, "checkpoints"), (methods, "methods")):
        if not 0 < len(chosen) <= MOST:
            raise ConfigError(f"{len(chosen)} {what} chosen; choose between one and {MOST}")
    faces = predictor(checkpoints[0]).faces(read(path))
    face = max(faces, key=lambda face: face.box.width * face.box.height)
    note = "No face found: the whole image is used." if face.is_whole_image else _which(face, faces)
    return Comparison(square(face.image), note, tuple(_opinion(name, face, methods) for name in checkpoints))


def _which(face: Face, faces: Sequence[Face]) -> str:
    return "1 face found." if len(faces) == 1 else f"{len(faces)} faces found: the largest, number {faces.index(face) + 1}."


def _opinion(checkpoint: str, face: Face, methods: Sequence[str]) -> Opinion:
    asked = predictor(checkpoint)
    (prediction,) = asked.judge([face])
    maps: list[tuple[str, ByteArray | None]] = []
    for method in methods:
        try:
            (heatmap,) = ask(asked.model, [face], Question([prediction.label], method))
        except ConfigError as error:
            maps.append((str(error), None))
        else:
            maps.append((caption(heatmap), square(overlay(face.image, heatmap))))
    verdict = f"{prediction.label}, {prediction.confidence:.0%}"
    return Opinion(Path(checkpoint).stem, verdict, prediction.probabilities, tuple(maps))


#: Side of a picture in the comparison, in pixels.
SHOWN = SIDE * 3 // 4
