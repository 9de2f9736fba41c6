"""What the page shows of a picture: boxed faces, and a card of verdict, reasons and heatmap for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.figures.boxes import draw_boxes
from analysis.figures.overlay import brought_to, overlay, resized
from analysis.figures.panel import caption
from analysis.pictures import record
from analysis.question import DEFAULT_METHOD, Question, ask
from analysis.regions.face_template import REGIONS, regions_of
from analysis.regions.shares import region_shares
from apps.inline import jpeg
from apps.offered import predictor, turn
from fer.clarity import doubt
from fer.errors import ConfigError
from fer.faces import is_cut_out
from fer.images import grey_square, read
from fer.portable import Portable
from fer.predict import Predictor, lacks_maps
from fer.types import FACE_SIZE, ByteArray, Face, Heatmap, Prediction
from fer.words import counted

#: Calibrated confidence below which an answer is more likely wrong than right.
UNSURE = 0.5
#: So many faces of a picture are explained, the largest; fewer by methods that need many passes. All are judged.
MOST, MOST_SLOWLY = 12, 3
#: Side in pixels of the square in which a face and its overlay are shown.
SIDE = 320
# A face of fewer pixels is enlarged to what the network reads.
_SMALL = FACE_SIZE


@dataclass(frozen=True)
class Wish:
    """What a visitor wants to know of a picture.

    Attributes:
        checkpoint: name of what judges it.
        method: of the heatmaps.
        target: the class that is explained; empty for what each face is taken for.
        against: the class that it is set against; empty for none.
        threshold: confidence below which a face is said to be unsure.
    """

    checkpoint: str
    method: str = DEFAULT_METHOD
    target: str = ""
    against: str = ""
    threshold: float = UNSURE


@dataclass(frozen=True, eq=False)
class FaceCard:
    """One face for display.

    Attributes:
        number: of the face, as it is boxed.
        title: verdict in words.
        probabilities: of all classes.
        face, overlay: JPEG of 320×320, the face and the heatmap over it; None where the model gives no heatmaps.
        caption: what the heatmap explains, by which method; without one, why.
        regions: region of the face → share of the heatmap; empty where the map is, None where no face was found.
    """

    number: int
    title: str
    probabilities: dict[str, float]
    face: bytes
    overlay: bytes | None
    caption: str
    regions: dict[str, float] | None


@dataclass(frozen=True, eq=False)
class Look:
    """A judged picture: a JPEG with boxes, a note in words, a card for every face, and all figures and maps in plain form."""

    boxed: bytes
    note: str
    cards: tuple[FaceCard, ...]
    told: dict[str, Any]


def methods(*checkpoints: str) -> tuple[str, ...]:
    """Names of the explanation methods that one of these can be asked for, the quickest of each kind first.

    Raises:
        CheckpointError: one of them cannot be used.
    """
    networks = [model.model for name in checkpoints if not isinstance(model := predictor(name).model, Portable)]
    if not networks:
        return (DEFAULT_METHOD,)
    from analysis.explain import METHODS

    return tuple(name for name in METHODS if any(map(METHODS[name].fits, networks)))


def look(path: str | Path, wish: Wish) -> Look:
    """Detect and judge every face of a picture file, and explain the largest.

    Raises:
        ImageError: the picture cannot be read.
        CheckpointError: the checkpoint cannot.
        ConfigError: the wish does not fit the checkpoint, as a class set against itself.
    """
    image = read(path)
    with turn(wish.checkpoint) as model:
        predictions = model.predict(image)
        places = _largest(predictions, _most(wish.method))
        reason = lacks_maps(model.model)
        explained = {place: predictions[place] for place in places}
        maps = dict.fromkeys(places, reason) if reason else _maps(model, explained, wish)
    cards = tuple(_card(place + 1, predictions[place], maps[place], wish.threshold) for place in places)
    records = [_record(prediction, maps.get(place, reason)) for place, prediction in enumerate(predictions)]
    note = _note(predictions, len(places))
    told = {"checkpoint": model.model.name, "weights_sha256": model.model.card.weights_sha256, "note": note, "faces": records}
    return Look(jpeg(draw_boxes(image, predictions)), note, cards, told)


def _maps(model: Predictor, predictions: dict[int, Prediction], wish: Wish) -> dict[int, Heatmap | str]:
    """The map of every face, or why it has none; ConfigError where none has."""
    targets = {place: wish.target or prediction.label for place, prediction in predictions.items()}
    asked = [place for place in predictions if wish.target or targets[place] != wish.against]
    itself = f"a face is taken for {wish.against} itself; choose the class to explain, or another to set it against"
    if not asked:
        raise ConfigError(itself)
    question = Question([targets[place] for place in asked], wish.method, wish.against or None)
    found = ask(model.model, [predictions[place].face for place in asked], question)
    return dict.fromkeys(predictions, itself) | dict(zip(asked, found, strict=True))


def _record(prediction: Prediction, heatmap: Heatmap | str) -> dict[str, Any]:
    """All of a face in plain form: its map, the reason why it has none, or neither where none was asked for."""
    if isinstance(heatmap, Heatmap):
        return record(prediction, heatmap)
    return record(prediction, None) | ({"reason": heatmap} if heatmap else {})


def _card(number: int, prediction: Prediction, heatmap: Heatmap | str, threshold: float) -> FaceCard:
    """The card of a face with its heatmap, or with the reason why it has none."""
    face = prediction.face
    unsure = "unsure, perhaps " if prediction.confidence < threshold else ""
    title = f"{number}. {unsure}{prediction.label}, {prediction.confidence:.0%}{_doubt(face)}"
    said = number, title, prediction.probabilities, jpeg(square(face.image))
    if isinstance(heatmap, str):
        return FaceCard(*said, None, heatmap, {})
    regions = None if face.is_whole_image and not is_cut_out(face.image) else _regions(face, heatmap)
    return FaceCard(*said, jpeg(square(face.image, heatmap)), caption(heatmap), regions)


def _regions(face: Face, heatmap: Heatmap) -> dict[str, float]:
    values = resized(heatmap, FACE_SIZE, FACE_SIZE)
    mass = region_shares(values[None], regions_of(face)).mass[0]
    return {} if np.isnan(mass).any() else {name: float(share) for name, share in zip(REGIONS, mass, strict=True)}


def _doubt(face: Face) -> str:
    if max(face.image.shape[:2]) < _SMALL:
        return f" (a face of {face.box.width}×{face.box.height} pixels is too small to be sure)"
    why = doubt(grey_square(face.image, FACE_SIZE))
    return f" (too {why} to be sure)" if why else ""


def _most(method: str) -> int:
    if method == DEFAULT_METHOD:
        return MOST
    from analysis.explain import METHODS

    return MOST if METHODS[method].passes == "1" else MOST_SLOWLY


def _largest(predictions: Sequence[Prediction], most: int) -> list[int]:
    """Places of the largest faces, in the order of the faces."""
    sizes = [prediction.face.box.width * prediction.face.box.height for prediction in predictions]
    return sorted(sorted(range(len(sizes)), key=lambda place: -sizes[place])[:most])


def _note(predictions: Sequence[Prediction], explained: int) -> str:
    if predictions[0].face.is_whole_image:
        return in_whole(predictions[0].face)
    several = ", numbered from the left" if len(predictions) > 1 else ""
    part = f"; the {explained} largest are explained" if explained < len(predictions) else ""
    return f"{counted(len(predictions), 'face')} found{several}{part}."


def in_whole(face: Face) -> str:
    """Why a picture is judged whole."""
    if is_cut_out(face.image):
        return "Small picture: taken as a face already cut out."
    return "No face found: the whole image is used."


def square(image: ByteArray, heatmap: Heatmap | None = None) -> ByteArray:
    """Fit uint8 (h, w, 3) into the square without cropping, as the slider would, and lay a map over it: (320, 320, 3)."""
    picture = brought_to(image, SIDE)  # before the map is laid over it: a whole picture may have millions of pixels
    if heatmap:
        picture = overlay(picture, heatmap)
    (height, width, _), whole = picture.shape, np.zeros((SIDE, SIDE, 3), np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    whole[top : top + height, left : left + width] = picture
    return whole
