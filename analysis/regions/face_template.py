"""Where brows, eyes, nose, mouth and the rest lie in a face of 48×48 pixels.

FER-2013 comes without landmarks, but its faces are registered: they lie at about the same place. The outlines below were set
by eye on the mean face of the Training split (28,709 faces) and on the mean faces of its seven classes, then drawn over single
faces. The centres of the eyes are the darkest spots of the mean face; the mouth is as wide as that of the mean happy face and
as high as that of the mean surprised one, so that a moving mouth stays inside. ``fer regions`` draws the outlines over the
judged faces (``template-fit.png``), so that anybody can look how well they sit.

Coordinates are x, y in pixels of 48, whole numbers being centres of pixels; left is the left of the picture.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.path import Path

from fer.errors import DataError
from fer.types import FACE_SIZE, Face

Labels = npt.NDArray[np.int8]
Points = npt.NDArray[np.float64]

#: Names of the regions; a label map holds positions in this tuple.
REGIONS: tuple[str, ...] = ("brows", "eyes", "nose", "mouth", "cheeks", "forehead", "chin", "background")
BACKGROUND = REGIONS.index("background")

#: One colour a region, told apart also by people with colour-vision deficiency (after Okabe and Ito 2008).
REGION_COLOURS: dict[str, str] = dict(
    zip(REGIONS, ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#f0e442", "#cc79a7", "#0072b2", "#999999"), strict=True)
)

#: float64 (5, 2): left eye, right eye, tip of the nose, left and right corner of the mouth of the template.
ANCHORS: Points = np.array([(14.6, 17.2), (32.6, 17.2), (23.6, 27.5), (16.0, 38.0), (31.2, 38.0)])

_MIDDLE = 23.6
#: Right halves: the face is its own mirror image about the middle. The forehead and the chin reach out of the picture.
_FACE = ((0, -6), (10, -5), (14.5, 0), (17.0, 6), (18.6, 13), (19.0, 20), (18.4, 28), (15.8, 36), (11.0, 43), (6, 48), (0, 50))
_BROWS = ((0, 11.0), (8, 10.4), (14.0, 11.4), (16.0, 14.4), (9, 14.5), (3.6, 15.6), (0, 15.6))
_NOSE = ((0, 15.4), (3.6, 15.4), (3.2, 18.0), (3.8, 21.5), (6.8, 26.5), (7.2, 30.4), (4.5, 32.6), (0, 32.6))
_MOUTH = ((0, 33.5), (6.5, 33.3), (10.5, 34.4), (10.8, 37.0), (8.4, 41.4), (4.5, 44.2), (0, 44.4))
_EYE_CENTRE, _EYE_HALF_AXES = (9.0, 17.3), (5.9, 2.9)
#: Above the first of these heights the rest of the face is forehead, below the second it is chin.
_TEMPLE, _CHIN = 14.5, 40.5


def _both(half: tuple[tuple[float, float], ...]) -> Path:
    x, y = np.array(half).T
    right, left = np.column_stack([_MIDDLE + x, y]), np.column_stack([_MIDDLE - x, y])[::-1]
    return Path(np.vstack([right, left]), closed=False)


def _in_eyes(points: Points) -> npt.NDArray[np.bool_]:
    x, y = np.abs(points[:, 0] - _MIDDLE) - _EYE_CENTRE[0], points[:, 1] - _EYE_CENTRE[1]
    return np.asarray(np.hypot(x / _EYE_HALF_AXES[0], y / _EYE_HALF_AXES[1]) <= 1)


def label_at(points: npt.ArrayLike) -> Labels:
    """int8 (N,): region of each x, y in the template's coordinates (N, 2); every point has exactly one.

    >>> [REGIONS[label] for label in label_at([(14.6, 17.2), (23.6, 38), (0, 0)])]
    ['eyes', 'mouth', 'background']
    """
    where = np.asarray(points, dtype=np.float64)
    y = where[:, 1]
    rest = np.select([y < _TEMPLE, y > _CHIN], [REGIONS.index("forehead"), REGIONS.index("chin")], REGIONS.index("cheeks"))
    found = np.where(_both(_FACE).contains_points(where), rest, BACKGROUND)
    # later ones lie above earlier ones
    for name, half in (("brows", _BROWS), ("nose", _NOSE), ("mouth", _MOUTH)):
        found[_both(half).contains_points(where)] = REGIONS.index(name)
    found[_in_eyes(where)] = REGIONS.index("eyes")
    return found.astype(np.int8)


def _pixels(size: int) -> Points:
    """float64 (size², 2), x and y of every pixel in reading order."""
    y, x = np.mgrid[0:size, 0:size]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)


@cache
def template() -> Labels:
    """int8 (48, 48), positions in :data:`REGIONS`; read-only."""
    labels = label_at(_pixels(FACE_SIZE)).reshape(FACE_SIZE, FACE_SIZE)
    labels.setflags(write=False)
    return labels


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Points:
    """float64 (2, 3): the turn, scale and shift that carry points (N, 2) to others with the least squared distance.

    Raises:
        DataError: all points of ``source`` are one.

    >>> (similarity([(0, 0), (1, 0)], [(5, 5), (7, 5)]) + 0.0).tolist()
    [[2.0, 0.0, 5.0], [0.0, 2.0, 5.0]]
    """
    p, q = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    x, y = (p - p.mean(axis=0)).T
    u, v = (q - q.mean(axis=0)).T
    spread = float(x @ x + y @ y)
    if not np.isfinite(spread) or spread < 1e-9:
        raise DataError("these landmarks are all one point; give five different ones")
    a, b = (x @ u + y @ v) / spread, (x @ v - y @ u) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, q.mean(axis=0) - turn @ p.mean(axis=0)])


def regions_from_landmarks(landmarks: npt.ArrayLike, size: int = FACE_SIZE) -> Labels:
    """int8 (size, size): the template moved, turned and scaled to the landmarks of a square crop.

    Args:
        landmarks: (5, 2), x and y in pixels of the crop, in the order of :data:`ANCHORS`.
        size: side of the crop in pixels.

    Raises:
        DataError: not five points, or all of them one.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != ANCHORS.shape or not np.isfinite(points).all():
        raise DataError(f"landmarks {points.shape} are not five points x, y: two eyes, tip of the nose, two mouth corners")
    back = similarity(points, ANCHORS)
    return label_at(_pixels(size) @ back[:, :2].T + back[:, 2]).reshape(size, size)


def regions_of(face: Face) -> Labels:
    """int8 (48, 48) of a face brought to 48×48: by its landmarks where it has some, else the template as it is."""
    if face.landmarks is None:
        return template()
    side = face.image.shape[1::-1]
    inside = (np.asarray(face.landmarks, dtype=np.float64) + 0.5) / side * FACE_SIZE - 0.5
    return regions_from_landmarks(inside)


def regions_of_crops(landmarks: npt.ArrayLike) -> Labels:
    """int8 (N, 48, 48) of faces of 48×48 by landmarks (N, 5, 2) in pixels of each; the template where a face's are NaN.

    Raises:
        DataError: they have another shape, or a face's points are all one.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != ANCHORS.shape:
        raise DataError(f"landmarks {points.shape} are not five points x, y a face: (faces, 5, 2)")
    return np.stack([template() if np.isnan(face).all() else regions_from_landmarks(face) for face in points])
