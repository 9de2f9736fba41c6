"""Near duplicates: found in every disguise, and nothing else."""

import numpy as np
import pytest
import torch

from fer.data import near
from fer.data.near import near_pairs
from tests.fer import planted

DISGUISES = {
    "itself": lambda face: face,
    "fainter": planted.fainter,
    "compressed": planted.compressed,
    "moved": planted.moved,
    "enlarged": lambda face: planted.moved(face, 0, 0, 1.06),
    "mirrored": np.fliplr,
    "all": lambda face: np.fliplr(planted.compressed(planted.fainter(planted.moved(face)))),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_photo_is_known_again(disguise):
    others = [planted.face(seed) for seed in range(1, 30)]
    pairs = near_pairs(planted.stack(planted.face(0), *others, DISGUISES[disguise](planted.face(0))))
    assert list(zip(pairs.first, pairs.second, pairs.mirrored, strict=True)) == [(0, 30, disguise in ("mirrored", "all"))]
    assert 0.9 <= pairs.score[0] <= 1


def test_other_photos_are_other_photos():
    assert len(near_pairs(planted.stack(*[planted.face(seed) for seed in range(200)]))) == 0


def test_photos_upside_down_or_turned_are_other_photos():
    face = planted.face(0)
    assert len(near_pairs(planted.stack(face, np.flipud(face), np.rot90(face)))) == 0


def test_blank_faces_resemble_nothing():
    assert len(near_pairs(planted.stack(planted.BLANK, planted.BLANK, planted.face(0), planted.BLANK + 100))) == 0


def test_a_symmetrical_face_stands_in_one_pair():
    half = planted.face(0)[:, :24]
    face = np.concatenate([half, half[:, ::-1]], axis=1)
    pairs = near_pairs(planted.stack(face, planted.fainter(face)))
    assert list(zip(pairs.first, pairs.second, strict=True)) == [(0, 1)]


def test_candidates_are_those_of_the_whole_matrix(monkeypatch):
    """Blocks find what all dot products at once find."""
    faces = np.stack([planted.moved(planted.face(seed % 7), seed // 7, 0) for seed in range(40)])
    monkeypatch.setattr(near, "_BLOCK", 8)
    found = near._candidates(faces, lambda done, total: None)
    plain = near._thumbnails(faces).numpy()
    mirrored = near._thumbnails(np.ascontiguousarray(faces[:, :, ::-1])).numpy()
    expected = {
        (i, j, kind)
        for kind, others in ((False, plain), (True, mirrored))
        for i, j in zip(*np.nonzero(plain @ others.T >= near.CANDIDATE), strict=True)
        if i < j
    }
    assert set(zip(found.first.tolist(), found.second.tolist(), found.mirrored.tolist(), strict=True)) == expected
    assert len(found) == len(expected) > 40


def test_too_many_candidates_keep_the_most_similar(monkeypatch):
    faces = np.stack([planted.moved(planted.face(0), step % 3, step // 3) for step in range(9)])
    every = near._candidates(faces, lambda done, total: None)
    monkeypatch.setattr(near, "MOST_CANDIDATES", 5)
    few = near._candidates(faces, lambda done, total: None)
    assert sorted(few.score) == sorted(every.score)[-5:]
    assert (every.unseen, few.unseen) == (0, len(every) - 5)


@pytest.mark.parametrize("most", [1, 20, 150, 10_000])
def test_look_alike_frames_keep_the_best_pairs_without_gathering_them_all(most, monkeypatch):
    """By sorting all pairs of the whole matrix; some of the frames are equal, which lets scores be, too."""
    frames = np.stack([planted.moved(planted.face(0), step % 4, step % 3) for step in range(30)])
    thumbs = near._thumbnails(frames).numpy()
    mirrored = near._thumbnails(np.ascontiguousarray(frames[:, :, ::-1])).numpy()
    products = np.concatenate([(thumbs @ others.T)[np.triu_indices(30, 1)] for others in (thumbs, mirrored)])
    expected = np.sort(products[products >= near.CANDIDATE])[::-1]
    gathered, join = [], near._joined

    def joined(parts):
        gathered.append(sum(map(len, parts)))
        return join(parts)

    monkeypatch.setattr(near, "_joined", joined)
    monkeypatch.setattr(near, "_BLOCK", 8)
    monkeypatch.setattr(near, "MOST_CANDIDATES", most)
    found = near._candidates(frames, lambda done, total: None)
    np.testing.assert_allclose(np.sort(found.score)[::-1], expected[:most], atol=1e-6)
    assert len(found) + found.unseen == len(expected) > 200 and (found.first < found.second).all()
    assert len(set(zip(found.first, found.second, found.mirrored, strict=True))) == len(found)
    assert max(gathered) <= most + 8 * 8


def test_progress_goes_up_to_the_end():
    told = []
    near_pairs(planted.stack(planted.face(0), planted.face(0), planted.face(1)), lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (1000, 1000)


def test_no_faces_at_all():
    assert len(near_pairs(torch.zeros((1, 1, 48, 48), dtype=torch.uint8))) == 0
