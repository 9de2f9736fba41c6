"""Cross-validation: the same share of every class in every fold, and no photo on both sides."""

import numpy as np
import torch

from fer.data.faceset import FaceSet
from fer.data.photos import photo_numbers
from fer.errors import DataError
from fer.types import IntArray


def folds(faces: FaceSet, k: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """``k`` pairs of int64 positions: to train on, held out. Every face is held out once.

    Exact copies of a photo, mirrored ones included, stay together: FER-2013 holds some photos up to eleven times.

    Raises:
        DataError: fewer than two folds, or a class with too few different photos for ``k``.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    photos, labels = photo_numbers(faces.images), faces.labels.cpu().numpy()
    _refuse_impossible(faces, photos, labels, k)
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    pairs = list(splitter.split(photos, labels, photos))
    for _, held_out in pairs:
        lacking = np.flatnonzero(np.bincount(labels[held_out], minlength=len(faces.classes)) == 0)
        if len(lacking):  # copies with different labels bind classes together
            label = int(lacking[0])
            raise _too_few(faces, label, _count(photos, labels, label), k)
    return [(torch.from_numpy(train), torch.from_numpy(held_out)) for train, held_out in pairs]


def _refuse_impossible(faces: FaceSet, photos: IntArray, labels: IntArray, k: int) -> None:
    counts = [_count(photos, labels, label) for label in range(len(faces.classes))]
    if not 2 <= k <= min(counts):
        raise _too_few(faces, int(np.argmin(counts)), min(counts), k)


def _count(photos: IntArray, labels: IntArray, label: int) -> int:
    return len(np.unique(photos[labels == label]))


def _too_few(faces: FaceSet, label: int, count: int, k: int) -> DataError:
    largest = count if not 2 <= k <= count else k - 1
    cure = f"choose 2..{largest}" if largest >= 2 else "add photos or leave the class out"
    return DataError(
        f"{k} folds cannot be made: {faces.classes[label]} has {count} different photos in the {faces.split} split, "
        f"and every fold needs one of every class; {cure}"
    )
