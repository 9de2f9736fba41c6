"""Copies of photos: equal pixels, whichever way round."""

import torch

from fer.data import FaceSet
from fer.data.photos import clean, photo_numbers


def faces(images: list[torch.Tensor], split: str) -> FaceSet:
    names = tuple(f"{split}-{n}" for n in range(len(images)))
    return FaceSet(torch.stack(images), torch.zeros(len(images), dtype=torch.int64), names, split)


def noise(seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_same_photo_has_the_same_number_mirrored_or_not():
    images = torch.stack([noise(1), noise(2), noise(1).flip(-1), noise(1), noise(2).flip(-2)])
    assert photo_numbers(images).tolist() == [0, 1, 0, 0, 2]


def test_clean_faces_are_no_copy_of_a_training_photo_and_not_blank():
    train = faces([noise(1), noise(2)], "train")
    nearly = noise(1).clone()
    nearly[0, 0, 0] ^= 1
    blank = torch.full((1, 48, 48), 7, dtype=torch.uint8)
    judged = faces([noise(1), noise(2).flip(-1), nearly, blank, noise(3), noise(3)], "validation")
    assert clean(judged, train).tolist() == [False, False, True, False, True, True]
