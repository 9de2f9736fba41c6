"""Augmentation: every draw against a hand computation."""

import dataclasses

import numpy as np
import pytest
import torch

from fer.config import Augmentation
from fer.data.augment import augment, mixup, warp

STILL = Augmentation(flip=0, rotate=0, zoom=0, shift=0, brightness=0, contrast=0, erase=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 1, 48, 48, generator=seeded(9))


def test_without_strength_nothing_changes():
    # float32 coordinates of 48 pixels are exact to some 3e-6 of a pixel
    torch.testing.assert_close(augment(noise(), STILL, seeded()), noise(), atol=5e-6, rtol=0)


def test_a_certain_flip_mirrors_every_face():
    flipped = augment(noise(), dataclasses.replace(STILL, flip=1.0), seeded())
    torch.testing.assert_close(flipped, noise().flip(3), atol=1e-5, rtol=0)


def test_half_of_the_faces_are_flipped_at_one_half():
    faces = noise(1).repeat(400, 1, 1, 1)
    flipped = augment(faces, dataclasses.replace(STILL, flip=0.5), seeded())
    mirrored = (flipped - faces[0].flip(2)).abs().amax(dim=(1, 2, 3)) < 1e-4
    same = (flipped - faces[0]).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert bool((mirrored ^ same).all())
    assert 160 < int(mirrored.sum()) < 240


@pytest.mark.parametrize(
    "strength",
    [
        Augmentation(),
        Augmentation(rotate=180, zoom=0.9, shift=1, brightness=1, contrast=1, erase=1),
        dataclasses.replace(STILL, rotate=30),
        dataclasses.replace(STILL, zoom=0.3),
        dataclasses.replace(STILL, shift=0.3),
        dataclasses.replace(STILL, brightness=0.3),
        dataclasses.replace(STILL, contrast=0.5),
        dataclasses.replace(STILL, noise=0.3),
        dataclasses.replace(STILL, erase=1.0),
    ],
    ids=["usual", "extreme", "rotate", "zoom", "shift", "brightness", "contrast", "noise", "erase"],
)
def test_every_strength_keeps_shape_and_range_and_draws_for_each_face_alone(strength):
    faces = noise(1).repeat(8, 1, 1, 1)
    result = augment(faces, strength, seeded())
    assert result.shape == faces.shape and result.dtype == torch.float32
    assert float(result.min()) >= 0 and float(result.max()) <= 1
    assert len({face.numpy().tobytes() for face in result}) == 8


def test_augmenting_leaves_the_batch_it_was_given_alone():
    faces = noise()
    augment(faces, Augmentation(erase=1.0), seeded())
    assert torch.equal(faces, noise())


def test_the_same_generator_gives_the_same_faces():
    one, same, other = (augment(noise(), Augmentation(), seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_shift_moves_by_whole_pixels_and_repeats_the_border():
    two_right = torch.tensor([[[1.0, 0.0, -2 * 2 / 48], [0.0, 1.0, 0.0]]])
    moved = warp(noise(1), two_right)
    torch.testing.assert_close(moved[..., 2:], noise(1)[..., :-2], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[..., :2], noise(1)[..., :1].expand(-1, -1, -1, 2), atol=1e-4, rtol=0)


def test_a_quarter_turn_equals_that_of_torch():
    turned = warp(noise(1), torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]))
    either = [torch.rot90(noise(1), k, (2, 3)) for k in (1, 3)]
    assert min(float((turned - e).abs().max()) for e in either) < 1e-4


def test_a_rotation_keeps_distances():
    """A disc off the centre stays at its distance, and round."""
    y, x = torch.meshgrid(torch.arange(48.0) - 23.5, torch.arange(48.0) - 23.5, indexing="ij")
    disc = (((x - 12) ** 2 + y**2) < 16).float().expand(64, 1, 48, 48)
    turned = augment(disc, dataclasses.replace(STILL, rotate=180, flip=0.5), seeded())[:, 0]
    mass = turned.sum(dim=(1, 2))
    centre_x, centre_y = (turned * x).sum(dim=(1, 2)) / mass, (turned * y).sum(dim=(1, 2)) / mass
    np.testing.assert_allclose(torch.hypot(centre_x, centre_y), 12, atol=0.2)
    np.testing.assert_allclose(mass, disc[0].sum(), rtol=0.05)
    assert float(centre_x.min()) < -10 and float(centre_y.min()) < -10 and float(centre_y.max()) > 10


def disc_at(x_place: float, y_place: float, radius: float) -> torch.Tensor:
    """float32 (400, 1, 48, 48): the same soft disc 400 times, so many pixels right of and below the middle."""
    middle = torch.arange(48.0) - 23.5
    distance = torch.hypot(middle[None, :] - x_place, middle[:, None] - y_place)
    return (radius + 0.5 - distance).clamp(0, 1).expand(400, 1, 48, 48)


def centres(faces: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the middle of what is bright, in pixels from that of the face."""
    middle, mass = torch.arange(48.0) - 23.5, faces.sum(dim=(1, 2, 3))
    return ((faces.sum(dim=2)[:, 0] @ middle) / mass).numpy(), ((faces.sum(dim=3)[:, 0] @ middle) / mass).numpy()


def test_rotations_reach_their_degrees_both_ways_and_no_further():
    x, y = centres(augment(disc_at(16, 0, 4), dataclasses.replace(STILL, rotate=10), seeded()))
    angles = np.degrees(np.arctan2(y, x))
    assert -10.2 < angles.min() < -9 and 9 < angles.max() < 10.2


def test_shifts_reach_their_part_of_the_face_both_ways_and_no_further():
    for moved in centres(augment(disc_at(0, 0, 4), dataclasses.replace(STILL, shift=0.1), seeded())):
        assert -4.9 < moved.min() < -4.5 and 4.5 < moved.max() < 4.9  # a tenth of 48 pixels


def test_zooms_reach_their_part_both_ways_and_no_further():
    disc = disc_at(0, 0, 12)
    area = augment(disc, dataclasses.replace(STILL, zoom=0.2), seeded()).sum(dim=(1, 2, 3)) / disc[0].sum()
    scales = area.sqrt()  # what is sampled from 0.8 to 1.2 times as far is drawn 1 / 0.8 to 1 / 1.2 as large
    assert 0.82 < float(scales.min()) < 0.86 and 1.2 < float(scales.max()) < 1.27


def test_brightness_moves_the_mean_by_no_more_than_its_strength():
    faces = torch.full((200, 1, 48, 48), 0.5)
    means = augment(faces, dataclasses.replace(STILL, brightness=0.2), seeded()).mean(dim=(1, 2, 3))
    assert 0.3 <= float(means.min()) < 0.33 and 0.67 < float(means.max()) <= 0.7


def test_contrast_keeps_the_mean_and_scales_the_spread():
    face = torch.linspace(0.3, 0.7, 48).expand(200, 1, 48, 48)
    result = augment(face, dataclasses.replace(STILL, contrast=0.4), seeded())
    np.testing.assert_allclose(result.mean(dim=(1, 2, 3)), 0.5, atol=1e-5)
    gain = result.std(dim=(1, 2, 3)) / face.std(dim=(1, 2, 3))
    assert 0.6 <= float(gain.min()) < 0.65 and 1.35 < float(gain.max()) <= 1.4 + 1e-5


def test_contrast_is_about_the_mean_of_each_face():
    ramp = torch.linspace(-0.1, 0.1, 48)
    faces = torch.stack([(mean + ramp).expand(1, 48, 48) for mean in (0.25, 0.5, 0.75)]).repeat(20, 1, 1, 1)
    means = augment(faces, dataclasses.replace(STILL, contrast=0.4), seeded()).mean(dim=(1, 2, 3))
    np.testing.assert_allclose(means, [0.25, 0.5, 0.75] * 20, atol=1e-4)


def test_noise_is_gaussian_and_its_deviation_drawn_for_every_face():
    faces = torch.full((400, 1, 48, 48), 0.5)
    added = augment(faces, dataclasses.replace(STILL, noise=0.1), seeded()) - augment(faces, STILL, seeded())
    deviations = added.std(dim=(1, 2, 3))
    at = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(deviations, at), 0.1 * at, atol=0.01)  # even from 0 to the reach
    drawn = added / deviations.view(-1, 1, 1, 1)
    np.testing.assert_allclose(np.quantile(drawn, [0.025, 0.5, 0.975]), [-1.96, 0, 1.96], atol=0.01)
    assert abs(float((drawn[..., 1:] * drawn[..., :-1]).mean())) < 0.01  # a draw a pixel
    assert abs(float((drawn[1:] * drawn[:-1]).mean())) < 0.01  # and a face


def test_erasing_blanks_one_rectangle_of_two_to_twenty_five_percent():
    faces = noise(100)
    changed = augment(faces, dataclasses.replace(STILL, erase=1.0), seeded())[:, 0] != augment(faces, STILL, seeded())[:, 0]
    for mask in changed:
        rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
        assert bool(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all())
        assert 0.01 < float(mask.float().mean()) < 0.28


# mixup


def numbered(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n faces that are their own targets: face i has a single bright pixel, the i-th."""
    targets = torch.eye(n)
    return targets.view(n, 1, 1, n), targets


def test_mixup_blends_face_and_target_with_the_same_partner_and_share():
    pixels, targets = mixup(*numbered(64), 0.4, seeded())
    torch.testing.assert_close(pixels.view(64, 64), targets)
    np.testing.assert_allclose(targets.sum(dim=1), 1, atol=1e-6)
    assert float(targets.diagonal().min()) >= 0.5  # a face keeps the larger share
    assert len({round(share, 5) for share in targets.diagonal().tolist()}) > 50  # one draw a face


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_draws_its_share_from_the_beta_distribution(alpha):
    n = 3000
    shares = torch.cat([mixup(torch.zeros(n, 1, 1, 1), torch.eye(n), alpha, seeded(s))[1].diagonal() for s in range(4)])
    draws = np.random.default_rng(0).beta(alpha, alpha, 200_000)
    at = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(shares, at), np.quantile(np.maximum(draws, 1 - draws), at), atol=0.02)


def test_mixup_repeats_with_its_generator():
    one, same = (mixup(*numbered(16), 0.4, seeded(3))[1] for _ in range(2))
    assert torch.equal(one, same)


@pytest.mark.parametrize("size", [32, 48])
def test_a_crop_is_the_same_part_of_an_image_of_any_size(size):
    """24 pixels of 48: half of the image, twice as large."""
    pixels = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    still = Augmentation(flip=0, rotate=0, zoom=0, shift=0, brightness=0, contrast=0)
    generator = torch.Generator().manual_seed(2)
    seen = augment(pixels, dataclasses.replace(still, crop=24), generator)
    smooth = torch.linspace(0, 1, size).expand(1, 1, size, size)  # a ramp: its slope is halved
    ramp = augment(smooth, dataclasses.replace(still, crop=24), generator)
    slopes = (ramp[..., 1:] - ramp[..., :-1])[..., size // 4 : -size // 4]
    torch.testing.assert_close(slopes, torch.full_like(slopes, 0.5 / (size - 1)), atol=1e-4, rtol=0)
    assert seen.shape == pixels.shape
    assert torch.equal(augment(pixels, dataclasses.replace(still, crop=48), generator), augment(pixels, still, generator))
