"""How good a detector is: faces found, false boxes, time, and how its boxes lie to the squares of FER-2013."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fer.data import FaceSet
from fer.errors import DataError
from fer.faces import Detector, Find, Margin, cut
from fer.images import grey_batch
from fer.predict import Model, model_logits
from fer.types import ByteArray, Progress

# Small faces are enlarged to this side, with their edges drawn out as far on every side: detectors need room around a face.
_SIDE = 192
_BORDER = _SIDE // 2
# A box counts as the face where it overlaps its square by this much: half of it is another thing.
_OVERLAP = 0.3
_ROUNDS = 15


@dataclass(frozen=True)
class Trial:
    """What a detector made of some pictures.

    Attributes:
        pictures: how many.
        found: pictures with a box on the face.
        false: boxes elsewhere, or in pictures without a face.
    """

    pictures: int
    found: int
    false: int


@dataclass(frozen=True)
class Fit:
    """How the squares of FER-2013 lie to a detector's boxes.

    Attributes:
        margin: the medians; ``narrow`` and ``wide`` bound the middle half of the sides.
        faces, found: faces searched, and those with a box.
        given, cut: accuracy of a model on the faces found: as the set has them, and as the detector's own margin cuts them.
    """

    margin: Margin
    narrow: float
    wide: float
    faces: int
    found: int
    given: float
    cut: float


def staged(face: ByteArray) -> ByteArray:
    """Grey uint8 (h, h) as a picture to be searched: RGB uint8 (384, 384, 3), the face 192 pixels wide in its middle."""
    large = cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE)
    return np.repeat(np.asarray(framed, np.uint8)[..., None], 3, axis=2)


def trial(
    detector: Detector, faces: Sequence[ByteArray], others: Sequence[ByteArray], progress: Progress | None = None
) -> Trial:
    """Search small grey faces, and pictures of other things, all staged alike."""
    found = false = 0
    for number, (picture, is_face) in enumerate([*((f, True) for f in faces), *((o, False) for o in others)], 1):
        boxes = detector.find(staged(picture))
        hits = [box for box in boxes if is_face and _on_face(box)]
        found, false = found + bool(hits), false + len(boxes) - bool(hits)
        if progress:
            progress(number, len(faces) + len(others))
    return Trial(len(faces), found, false)


def fit(detector: Detector, model: Model, faces: FaceSet, progress: Progress | None = None) -> Fit:
    """Search faces of FER-2013, whose squares are known.

    Raises:
        DataError: the detector finds none of them.
    """
    sides, ups, places, cuts = [], [], [], []
    pixels = faces.images[:, 0].numpy()
    for place, face in enumerate(pixels):
        picture = staged(face)
        best = max(filter(_on_face, detector.find(picture)), key=lambda box: box.score, default=None)
        own = cut(picture, best, detector.margin, detector.name) if best else None
        if best and own:
            sides.append(_SIDE / best.side)
            ups.append((best.centre[1] - _BORDER - _SIDE / 2) / best.side)
            places.append(place)
            cuts.append(own)
        if progress:
            progress(place + 1, len(pixels))
    if not cuts:
        raise DataError(f"{detector.name} finds none of {len(pixels):,} faces; use another detector")
    narrow, middle, wide = (float(value) for value in np.percentile(sides, (25, 50, 75)))
    labels = faces.labels.numpy()[places]
    given, own_cut = (
        float((model_logits(model, batch).argmax(axis=1) == labels).mean())
        for batch in (pixels[places][:, None], grey_batch(cuts))
    )
    return Fit(Margin(middle, float(np.median(ups))), narrow, wide, len(pixels), len(cuts), given, own_cut)


def milliseconds(detector: Detector, picture: ByteArray) -> float:
    """Median time of a search of uint8 (H, W, 3), after one to warm up."""
    detector.find(picture)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        detector.find(picture)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def lfw_subset() -> tuple[list[ByteArray], list[ByteArray]]:
    """scikit-image's ``lfw_subset``: 100 faces and 100 other patches, uint8 (25, 25), grey.

    Raises:
        ImportError: scikit-image is not installed.
    """
    from skimage.data import lfw_subset

    patches: npt.NDArray[np.uint8] = np.asarray(lfw_subset() * 255, np.uint8)  # type: ignore[no-untyped-call]
    return list(patches[:100]), list(patches[100:])


def _on_face(box: Find) -> bool:
    width = min(box.x2, _BORDER + _SIDE) - max(box.x1, _BORDER)
    height = min(box.y2, _BORDER + _SIDE) - max(box.y1, _BORDER)
    if width <= 0 or height <= 0:
        return False
    common = width * height
    return common / ((box.x2 - box.x1) * (box.y2 - box.y1) + _SIDE**2 - common) >= _OVERLAP
