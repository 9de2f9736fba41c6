"""Near duplicates: the same photo in another brightness, contrast, compression, size, place or direction.

1. Every face becomes a 16×16 thumbnail without its shading (difference of two Gaussians), with mean 0 and length 1. Pairs
   whose thumbnails, or one's and the mirrored other's, have a dot product of :data:`CANDIDATE` or more are candidates.
2. A candidate's faces are laid over one another at 48 pixels by the affine map that maximises their enhanced correlation
   coefficient (Evangelidis and Psarakis 2008, OpenCV's ``findTransformECC``), again without shading. Pairs that reach
   :data:`THRESHOLD` are near duplicates. docs/data.md has how often that is wrong.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from fer.types import FACE_SIZE, ByteArray, FloatArray, IntArray, Progress

#: Least dot product of two thumbnails that are compared closely.
CANDIDATE = 0.78
#: Least correlation of two aligned faces that are the same photo.
THRESHOLD = 0.9
#: Only so many candidates are compared closely, the most similar ones; FER-2013 has about 25,000.
MOST_CANDIDATES = 100_000

_THUMB, _BLOCK, _CHUNK = 16, 2048, 256
#: Gaussians in pixels of 48: details of a thumbnail, its shading; noise and shading at full size.
_FINE, _COARSE, _NOISE, _SHADING = 1.5, 6.0, 0.8, 3.0
_STEPS, _CLOSE_ENOUGH = 40, 1e-4
_ALL = np.full((FACE_SIZE, FACE_SIZE), 255, dtype=np.uint8)
#: Maps beyond these change of area and shift (pixels) compare too small a part of two faces.
_AREA, _SHIFT = (0.6, 1.7), 12.0


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of positions, the smaller first: int64 ``first`` and ``second``, float32 ``score`` 0..1, bool ``mirrored``.

    ``unseen``: candidates that were too many to be compared closely.
    """

    first: IntArray
    second: IntArray
    score: FloatArray
    mirrored: npt.NDArray[np.bool_]
    unseen: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "NearPairs":
        """The pairs where a mask is true."""
        return NearPairs(self.first[chosen], self.second[chosen], self.score[chosen], self.mirrored[chosen], self.unseen)


def near_pairs(images: torch.Tensor, progress: Progress | None = None, *, threshold: float = THRESHOLD) -> NearPairs:
    """All pairs of uint8 (N, 1, 48, 48) faces that are the same photo, exact copies included; blank faces have none.

    ``progress`` is told work done and all, in thousandths. Two faces stand in one pair at most, the better way round.
    """
    faces = images.cpu().numpy()[:, 0]
    candidates = _candidates(faces, _part(progress, 0, 400))
    scores = _scores(faces, candidates, _part(progress, 400, 1000))
    return _once_each(replace(candidates, score=scores).where(scores >= threshold))


def _part(progress: Progress | None, start: int, end: int) -> Progress:
    def report(done: int, total: int) -> None:
        if progress:
            progress(start + (end - start) * done // max(1, total), 1000)

    return report


def _candidates(faces: ByteArray, report: Progress) -> NearPairs:
    thumbs = _thumbnails(faces)
    both = {False: thumbs, True: _thumbnails(np.ascontiguousarray(faces[:, :, ::-1]))}
    starts = range(0, len(faces), _BLOCK)
    found, total = _pairs_of([], [], [], False), 0
    for number, row in enumerate(starts, 1):
        for mirrored, others in both.items():
            for column in starts[number - 1 :]:
                floor = float(found.score.min()) if len(found) == MOST_CANDIDATES else 0.0
                similar, count = _similar(thumbs, others, (row, column), mirrored, floor)
                found = _best(_joined([found, similar]), MOST_CANDIDATES)
                total += count
        report(number, len(starts))
    return replace(found, unseen=total - len(found))


def _thumbnails(faces: ByteArray) -> torch.Tensor:
    """float32 (N, 256), mean 0 and length 1; 0 where a face is blank."""
    small = F.interpolate(torch.from_numpy(_band(faces, _FINE, _COARSE))[:, None], size=(_THUMB, _THUMB), mode="area").flatten(
        1
    )
    small = small - small.mean(dim=1, keepdim=True)
    lengths: torch.Tensor = small.norm(dim=1, keepdim=True).clamp_min(1e-3)
    return small / lengths


def _band(faces: ByteArray, fine: float, coarse: float) -> FloatArray:
    """Difference of two Gaussian blurs, float32 (N, 48, 48)."""
    import cv2

    band = np.empty(faces.shape, dtype=np.float32)
    for place, face in enumerate(faces.astype(np.float32)):
        band[place] = cv2.GaussianBlur(face, (0, 0), fine) - cv2.GaussianBlur(face, (0, 0), coarse)
    return band


def _similar(
    thumbs: torch.Tensor, others: torch.Tensor, block: tuple[int, int], mirrored: bool, floor: float
) -> tuple[NearPairs, int]:
    """Candidates of a block that are better than ``floor``, and how many there are in all."""
    row, column = block
    products = thumbs[row : row + _BLOCK] @ others[column : column + _BLOCK].T
    similar = (products >= CANDIDATE).triu_(row - column + 1)  # each pair once, the smaller position first
    i, j = (similar & (products > floor)).nonzero(as_tuple=True)
    return _pairs_of((i + row).numpy(), (j + column).numpy(), products[i, j].numpy(), mirrored), int(similar.sum())


def _pairs_of(first: npt.ArrayLike, second: npt.ArrayLike, score: npt.ArrayLike, mirrored: bool) -> NearPairs:
    scores = np.asarray(score, dtype=np.float32)
    return NearPairs(
        np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64), scores, np.full(len(scores), mirrored)
    )


def _joined(parts: list[NearPairs]) -> NearPairs:
    first, second, score, mirrored = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("first", "second", "score", "mirrored")
    )
    return NearPairs(first, second, score, mirrored)


def _best(pairs: NearPairs, most: int) -> NearPairs:
    """The ``most`` of the highest score; of equal ones the first."""
    if len(pairs) <= most:
        return pairs
    worst = np.partition(pairs.score, -most)[-most]
    kept = pairs.score > worst
    kept[np.flatnonzero(pairs.score == worst)[: most - int(kept.sum())]] = True
    return pairs.where(kept)


def _scores(faces: ByteArray, pairs: NearPairs, report: Progress) -> FloatArray:
    """float32 (P,): correlation of every pair after alignment, 0 where none was found."""
    bands = _band(faces, _NOISE, _SHADING)
    chunks = [slice(start, start + _CHUNK) for start in range(0, len(pairs), _CHUNK)]

    def judge(chunk: slice) -> list[float]:
        rows = zip(pairs.first[chunk], pairs.second[chunk], pairs.mirrored[chunk], strict=True)
        return [_aligned(bands[i], np.ascontiguousarray(bands[j][:, ::-1]) if m else bands[j]) for i, j, m in rows]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(_reported(pool.map(judge, chunks), len(chunks), report)), dtype=np.float32)


def _reported(results: Iterator[list[float]], total: int, report: Callable[[int, int], None]) -> Iterator[float]:
    for done, values in enumerate(results, 1):
        report(done, total)
        yield from values


def _aligned(face: FloatArray, other: FloatArray) -> float:
    import cv2

    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _CLOSE_ENOUGH)
    try:
        score, warp = cv2.findTransformECC(face, other, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, criteria, _ALL, 1)
    except cv2.error:  # no overlap, or the search went astray
        return 0.0
    warp = np.asarray(warp)
    area = float(np.linalg.det(warp[:, :2]))
    middle = (len(face) - 1) / 2
    shift = float(np.abs(warp @ (middle, middle, 1.0) - middle).max())
    return float(score) if _AREA[0] <= area <= _AREA[1] and shift <= _SHIFT else 0.0


def _once_each(pairs: NearPairs) -> NearPairs:
    """The better of two pairs of the same faces, in the order of positions."""
    order = np.lexsort((-pairs.score, pairs.second, pairs.first))
    first, second = pairs.first[order], pairs.second[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    chosen = order[new]
    return NearPairs(pairs.first[chosen], pairs.second[chosen], pairs.score[chosen], pairs.mirrored[chosen], pairs.unseen)
