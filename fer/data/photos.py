"""Which faces are the same photo: equal pixels, whichever way round."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from fer.types import IntArray

if TYPE_CHECKING:
    from fer.data.faceset import FaceSet  # which asks here what it may not part


def photo_numbers(images: torch.Tensor, *, mirrored: bool = True) -> IntArray:
    """int64 (N,): the same number for the same photo, mirrored or not; ``images`` uint8 (N, 1, H, W).

    Without ``mirrored``, a photo and its mirror image are two.
    """
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in photo_keys(images, mirrored)], dtype=np.int64)


def clean(faces: "FaceSet", train: "FaceSet") -> torch.Tensor:
    """bool (N,): faces that are no copy of a training photo and no blank image.

    FER-2013 has copies of training photos in its validation and test splits; a figure without them is the honest one.
    """
    known = set(photo_keys(train.images))
    return torch.tensor([key not in known and len(set(key)) > 1 for key in photo_keys(faces.images)], dtype=torch.bool)


def photo_keys(images: torch.Tensor, mirrored: bool = True) -> list[bytes]:
    """The smaller of a photo's pixels and those of its mirror image: equal for the same photo, wherever it stands."""
    if not mirrored:
        return [image.tobytes() for image in images.cpu().numpy()]
    return [min(image.tobytes(), image[..., ::-1].tobytes()) for image in images.cpu().numpy()]
