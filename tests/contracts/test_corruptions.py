"""What every corruption keeps to."""

import numpy as np
import pytest
import torch
from scipy import stats

from fer.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt, rotated
from fer.data.preprocess import face_batch
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, UnknownNameError
from fer.samples import sample_path
from fer.types import Box, Face
from tests.fakes import fake_face


@pytest.fixture(scope="module")
def faces():
    """Generated faces, and a photograph."""
    from fer.images import read

    photo = read(sample_path())
    height, width = photo.shape[:2]
    portrait = face_batch([Face(photo, Box(0, 0, width, height), 0, "whole image")])
    made = [torch.from_numpy(fake_face(label, seed))[None] for label in EMOTIONS for seed in range(3)]
    return torch.cat([portrait, torch.stack(made)])


def change(faces, name, severity):
    return (corrupt(faces, name, severity).float() - faces.float()).abs().mean().item()


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_faces_stay_faces_and_the_input_is_left_alone(name, severity, faces):
    before = faces.clone()
    damaged = corrupt(faces, name, severity)
    assert damaged.shape == faces.shape and damaged.dtype == torch.uint8
    assert torch.equal(faces, before)
    assert not torch.equal(damaged, faces)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_changes_more_than_the_one_before(name, faces):
    changes = [change(faces, name, severity) for severity in SEVERITIES]
    assert changes == sorted(changes) and changes[4] > 1.3 * changes[0] > 0


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_bytes(name, faces):
    assert torch.equal(corrupt(faces, name, 3, seed=5), corrupt(faces, name, 3, seed=5))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_single_face_and_none_are_damaged_too(name, faces):
    assert corrupt(faces[:1], name, 5).shape == (1, 1, 48, 48)
    assert corrupt(faces[:0], name, 5).shape == (0, 1, 48, 48)


def test_another_seed_draws_other_noise_of_the_stated_strength():
    grey = torch.full((40, 1, 48, 48), 128, dtype=torch.uint8)
    one, other = corrupt(grey, "noise", 2, seed=1), corrupt(grey, "noise", 2, seed=2)
    assert not torch.equal(one, other)
    drawn = (one.float().numpy().ravel() - 128) / 255
    assert drawn.std() == pytest.approx(0.08, rel=0.01)
    assert abs(stats.skew(drawn)) < 0.05 and abs(drawn.mean()) < 0.001


@pytest.mark.parametrize(("name", "expected"), [("darker", 100 - 0.2 * 255), ("brighter", 100 + 0.2 * 255), ("contrast", 100)])
def test_light_by_hand(name, expected):
    grey = torch.full((1, 1, 48, 48), 100, dtype=torch.uint8)
    assert corrupt(grey, name, 2).unique().tolist() == [round(expected)]


def test_half_of_the_contrast_is_left():
    halves = torch.zeros((1, 1, 48, 48), dtype=torch.uint8)
    halves[..., 24:] = 200
    assert corrupt(halves, "contrast", 2).unique().tolist() == [50, 150]


def test_a_blurred_line_has_the_width_that_is_stated():
    line = torch.zeros((1, 1, 48, 48), dtype=torch.uint8)
    line[..., 24] = 255
    blurred = corrupt(line, "blur", 5)[0, 0, 20].double().numpy()
    offsets = np.arange(48) - 24
    assert np.sqrt((blurred * offsets**2).sum() / blurred.sum()) == pytest.approx(2.0, abs=0.05)


def test_eight_pixels_cannot_tell_a_fine_pattern():
    stripes = torch.zeros((1, 1, 48, 48), dtype=torch.uint8)
    stripes[..., ::2] = 200
    assert corrupt(stripes, "resolution", 5).unique().tolist() == [100]


def test_bars_lie_over_eyes_and_mouth():
    grey = torch.full((1, 1, 48, 48), 100, dtype=torch.uint8)
    glasses, mask = (corrupt(grey, name, 1)[0, 0] != 100 for name in ("glasses", "mask"))
    assert glasses.any(dim=1).nonzero().flatten().tolist() == [15, 16, 17, 18]
    assert glasses[16].nonzero().flatten().tolist() == list(range(5, 43))
    assert mask.any(dim=1).nonzero().flatten().tolist() == list(range(40, 48)) and mask[40:].all()


def test_a_quarter_turn_is_exact_and_counter_clockwise():
    maps = np.random.default_rng(0).random((2, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(rotated(maps, 90), np.rot90(maps, axes=(1, 2)), atol=1e-5)


def test_only_the_rotation_moves_places_and_it_moves_maps_as_faces(faces):
    assert [name for name in CORRUPTIONS if CORRUPTIONS[name].moves] == ["rotation"]
    turned = CORRUPTIONS["rotation"].moves(faces[:, 0].float().numpy(), 20)
    np.testing.assert_allclose(corrupt(faces, "rotation", 3)[:, 0].numpy(), turned, atol=0.51)


@pytest.mark.parametrize("severity", [0, 6, -1])
def test_other_severities_are_refused(severity, faces):
    with pytest.raises(ConfigError, match=f"severity {severity}"):
        corrupt(faces, "blur", severity)


def test_an_unknown_corruption_lists_the_known(faces):
    with pytest.raises(UnknownNameError, match="did you mean 'blur'"):
        corrupt(faces, "blurr", 1)
