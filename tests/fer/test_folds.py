"""Folds: every face is held out once, classes in equal shares, no photo on both sides."""

from collections import Counter

import numpy as np
import pytest
import torch

from fer.data import FaceSet, load
from fer.data.folds import folds
from fer.emotions import EMOTIONS
from fer.errors import DataError
from tests import fakes
from tests.conftest import REAL_DATA


def face_set(pairs, classes=EMOTIONS, split="train"):
    """Faces of (class, pixels)."""
    images = torch.stack([torch.from_numpy(pixels.copy())[None] for _, pixels in pairs])
    labels = torch.tensor([classes.index(label) for label, _ in pairs])
    return FaceSet(images, labels, tuple(f"{i}.png" for i in range(len(pairs))), split, classes)


def plain(each=6, classes=EMOTIONS):
    return face_set([(label, fakes.fake_face(label, i)) for label in classes for i in range(each)], classes)


def with_copies():
    """Seven photos a class: one alone, the others with a copy, mirrored in every second."""
    pairs = []
    for label in EMOTIONS:
        for i in range(7):
            photo = fakes.fake_face(label, i)
            copies = [] if i == 0 else [photo[:, ::-1] if i % 2 else photo]
            pairs += [(label, pixels) for pixels in (photo, *copies)]
    return face_set(pairs)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_every_face_is_held_out_once(k):
    faces = plain(6)
    pairs = folds(faces, k, seed=1)
    assert len(pairs) == k
    assert sorted(torch.cat([held_out for _, held_out in pairs]).tolist()) == list(range(len(faces)))
    for train, held_out in pairs:
        assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(len(faces)))
        assert train.dtype == held_out.dtype == torch.int64


@pytest.mark.parametrize("k", [2, 3, 6])
def test_every_fold_has_the_same_share_of_every_class(k):
    faces = plain(6)
    for train, held_out in folds(faces, k, seed=1):
        assert faces.select(held_out).counts == dict.fromkeys(EMOTIONS, 6 // k)
        assert faces.select(train).counts == dict.fromkeys(EMOTIONS, 6 - 6 // k)


@pytest.mark.parametrize("seed", range(5))
def test_copies_and_mirrored_copies_stay_together(seed):
    faces = with_copies()
    photos = np.array([min(pixels.tobytes(), np.fliplr(pixels).tobytes()) for pixels in faces.images[:, 0].numpy()])
    assert Counter(Counter(photos).values()) == {1: 7, 2: 42}
    for train, held_out in folds(faces, 3, seed):
        assert not set(photos[train]) & set(photos[held_out])


def test_images_upside_down_are_other_photos():
    photo = fakes.fake_face("happy", 1)
    faces = face_set([("happy", photo), ("happy", np.flipud(photo))], classes=("happy",))
    assert [len(held_out) for _, held_out in folds(faces, 2, seed=1)] == [1, 1]


def test_the_seed_decides():
    def held_out(seed):
        return [positions.tolist() for _, positions in folds(plain(6), 3, seed)]

    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)


def test_folds_need_not_hold_all_seven_classes():
    faces = plain(4, classes=("happy", "sad"))
    assert all(faces.select(held_out).counts == {"happy": 1, "sad": 1} for _, held_out in folds(faces, 4, seed=1))


@pytest.mark.parametrize("k", [-1, 0, 1, 7, 1000])
def test_too_many_or_too_few_folds_are_refused(k):
    pairs = [(label, fakes.fake_face(label, i)) for label in EMOTIONS for i in range(7)]
    photo = fakes.fake_face("fear", 6)
    faces = face_set([pair for pair in pairs if pair[1].tobytes() != photo.tobytes()] + [("fear", fakes.fake_face("fear", 0))])
    with pytest.raises(DataError) as caught:
        folds(faces, k, seed=1)
    assert str(caught.value) == (
        f"{k} folds cannot be made: fear has 6 different photos in the train split, "
        "and every fold needs one of every class; choose 2..6"
    )
    assert len(folds(faces, 6, seed=1)) == 6


@pytest.mark.parametrize(("fear", "count"), [([], 0), ([1], 1), ([1, 1], 1)])
def test_classes_without_two_photos_have_no_folds(fear, count):
    pairs = [(label, fakes.fake_face(label, i)) for label in EMOTIONS for i in range(3) if label != "fear"]
    faces = face_set(pairs + [("fear", fakes.fake_face("fear", i)) for i in fear], split="validation")
    message = f"fear has {count} different photos in the validation split.*; add photos or leave the class out"
    with pytest.raises(DataError, match=message):
        folds(faces, 2, seed=1)


def test_a_fold_without_a_class_is_refused():
    """Photos with two labels bind classes together: two photos a class, three in all, but no two folds."""
    shared, classes = [fakes.fake_face("happy", i) for i in range(3)], ("fear", "happy", "sad")
    pairs = [("fear", shared[0]), ("happy", shared[0]), ("sad", shared[1]), ("fear", shared[1])]
    pairs += [("happy", shared[2]), ("sad", shared[2])]
    with pytest.raises(DataError, match="2 folds cannot be made"):
        folds(face_set(pairs, classes), 2, seed=1)


@pytest.mark.realdata
def test_no_photo_of_the_real_set_is_on_both_sides():
    faces = load(REAL_DATA).split("train")
    pixels = [image.tobytes() for image in faces.images.numpy()]
    assert len(set(pixels)) < len(pixels)
    shares = np.array(list(faces.counts.values())) / 5
    for train, held_out in folds(faces, 5, seed=1):
        assert not {pixels[i] for i in train} & {pixels[i] for i in held_out}
        assert np.abs(np.array(list(faces.select(held_out).counts.values())) - shares).max() < 2
