"""Mixing and mirroring: every pixel's origin, every share of a target, and what the loop really shows the network."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from fer.config import Augmentation, RunConfig
from fer.data import load
from fer.data.augment import _beta, alternate_flips, augment, cutmix, mixup
from fer.overrides import with_values
from fer.training.fit import Hooks, Job, epoch_batches, fit
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import Plan, make_model, make_plan
from fer.training.trainer import make_trainer

STILL = {"flip": 0, "rotate": 0, "zoom": 0, "shift": 0, "brightness": 0, "contrast": 0, "erase": 0}
SIDE = 48
AREA = SIDE * SIDE


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def traced(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n faces that are their own targets; every pixel's value tells its face and its place."""
    return torch.arange(n * AREA, dtype=torch.float32).view(n, 1, SIDE, SIDE), torch.eye(n)


# cutmix


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_cutmix_pastes_one_rectangle_of_one_partner_in_its_place(alpha):
    n = 64
    pixels, targets = cutmix(*traced(n), alpha, seeded())
    origin, place = pixels[:, 0].long() // AREA, pixels[:, 0].long() % AREA
    assert bool((place == torch.arange(AREA).view(SIDE, SIDE)).all())  # no pixel has moved
    partners = set()
    for face in range(n):
        pasted = origin[face] != face
        others = origin[face][pasted].unique().tolist()
        assert len(others) <= 1
        shares = torch.bincount(origin[face].flatten(), minlength=n) / AREA
        torch.testing.assert_close(targets[face], shares)
        if others:
            partners |= set(others)
            rows, columns = pasted.any(1).nonzero().flatten(), pasted.any(0).nonzero().flatten()
            assert bool(pasted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all())
    assert len(partners) > n / 2


def test_cutmix_draws_share_and_place_for_every_face_alone():
    pixels, targets = cutmix(*traced(64), 1.0, seeded())
    pasted = (pixels[:, 0].long() // AREA) != torch.arange(64).view(64, 1, 1)
    assert len({mask.numpy().tobytes() for mask in pasted if mask.any()}) > 55
    assert len(set(targets.diagonal().tolist())) > 30


def test_the_own_part_of_a_cut_face_stays_the_larger_one_but_for_whole_pixels():
    kept = torch.cat([cutmix(*traced(64), 5.0, seeded(seed))[1].diagonal() for seed in range(10)])
    assert float(kept.min()) >= 1 - (34 / 48) ** 2  # half of the area has sides of 33.9 pixels


def test_the_pasted_share_follows_the_beta_distribution():
    n = 500
    faces, targets = torch.zeros(n, 1, SIDE, SIDE), torch.eye(n)
    kept = torch.cat([cutmix(faces, targets, 1.0, seeded(seed))[1].diagonal() for seed in range(8)])
    kept = kept[kept < 1]
    # Beta(1, 1) folded at one half is uniform over ½..1; rectangles of whole pixels blur it a little
    at = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(kept, at), 0.5 + at / 2, atol=0.025)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_mixing_repeats_with_its_seed_and_leaves_the_batch_alone(mix):
    faces, targets = traced(32)
    one, same, other = (mix(faces, targets, 0.5, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one[0], same[0]) and torch.equal(one[1], same[1])
    assert not torch.equal(one[1], other[1])
    assert torch.equal(faces, traced(32)[0]) and torch.equal(targets, torch.eye(32))


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [1e-4, 0.2, 100.0])
@pytest.mark.parametrize("n", [1, 2, 33])
def test_mixed_targets_stay_distributions(mix, alpha, n):
    _, targets = mix(*traced(n), alpha, seeded())
    assert float(targets.min()) >= 0
    torch.testing.assert_close(targets.sum(1), torch.ones(n))


def test_mixup_blends_pixels_and_targets_by_one_share():
    faces, labels = traced(64)
    pixels, targets = mixup(faces, labels, 0.4, seeded())
    blended = (targets @ faces.view(64, -1)).view_as(faces)
    torch.testing.assert_close(pixels, blended, rtol=1e-5, atol=0.02)
    assert all(1 <= int((row > 0).sum()) <= 2 for row in targets)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_draws_are_beta_distributed(alpha):
    draws = _beta(20_000, alpha, seeded(7)).numpy()
    low = draws[draws < 0.5]  # close to 1, float32 is too coarse for small α
    assert stats.kstest(low, lambda share: 2 * stats.beta(alpha, alpha).cdf(share)).pvalue > 0.01
    assert stats.binomtest(len(low), len(draws)).pvalue > 0.01


# mirroring


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_every_face_is_mirrored_in_every_other_epoch(seed):
    epochs = [alternate_flips(2000, seed, epoch, torch.device("cpu")) for epoch in range(1, 7)]
    for odd, even in zip(epochs[::2], epochs[1::2], strict=True):
        assert torch.equal(odd, epochs[0]) and torch.equal(even, ~odd)
    assert 900 < int(epochs[0].sum()) < 1100  # more than four standard deviations of a fair coin


def test_another_seed_mirrors_other_faces():
    one, other = (alternate_flips(200, seed, 1, torch.device("cpu")) for seed in (1, 2))
    assert 50 < int((one != other).sum()) < 150


def test_named_faces_are_mirrored_exactly():
    faces = torch.rand(6, 1, SIDE, SIDE, generator=seeded())
    chosen = torch.tensor([True, False, True, True, False, False])
    result = augment(faces, Augmentation(**STILL), seeded(), chosen)
    torch.testing.assert_close(result, torch.where(chosen.view(-1, 1, 1, 1), faces.flip(3), faces), atol=1e-5, rtol=0)


# crop


@pytest.mark.parametrize("crop", [24, 40, 44])
def test_a_crop_enlarges_a_part_of_the_face_that_lies_inside_it(crop):
    ramp = torch.arange(SIDE, dtype=torch.float32) / (SIDE - 1)
    for faces, way in ((ramp.view(1, SIDE), 0), (ramp.view(SIDE, 1), 1)):
        result = augment(faces.expand(400, 1, SIDE, SIDE), dataclasses.replace(Augmentation(**STILL), crop=crop), seeded())
        lines = result[:, 0, 0, :] if way == 0 else result[:, 0, :, 0]
        slopes = lines.diff(dim=1) * (SIDE - 1)
        # the outermost pixel may lie half a source pixel outside the centres, where the border is repeated
        inner = slopes[:, 1:-1]
        torch.testing.assert_close(inner, torch.full_like(inner, crop / SIDE), atol=1e-3, rtol=0)
        starts = lines[:, 1]
        first, last = (np.array([0.5, SIDE - crop + 0.5]) - 0.5 + 1.5 * crop / SIDE - 0.5) / (SIDE - 1)
        assert first - 1e-4 <= float(starts.min()) < first + 0.02 and last - 0.02 < float(starts.max()) <= last + 1e-4


def test_a_crop_of_0_or_of_the_whole_face_changes_nothing():
    faces = torch.rand(3, 1, SIDE, SIDE, generator=seeded())
    for crop in (0, 48):
        result = augment(faces, dataclasses.replace(Augmentation(**STILL), crop=crop), seeded())
        torch.testing.assert_close(result, faces, atol=1e-5, rtol=0)


# what the network sees


def shown(fake_folder, **values: object) -> tuple[Job, list[torch.Tensor], list[torch.Tensor]]:
    """Train two epochs of two steps; the training faces and, step by step, what the network got, both 0..1."""
    faces = load(fake_folder).split("train")
    usual = {"model": "baseline", "precision": "fp32", "batch_size": 21, "epochs": 2, "ema": 0, **STILL}
    config = with_values(RunConfig(), {**usual, **values}, "test")
    plan = make_plan(config, faces)
    fabric = make_fabric(Hardware("cpu"), plan)
    job = Job(fabric, plan, make_objective(plan, fabric, faces), faces, faces)
    trainer, seen = make_trainer(fabric, make_model(plan), plan), []
    trainer.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach() * 0.2550 + 0.5077))
    fit(job, trainer, Hooks(lambda *_: None, lambda _: None))
    order = [batch for epoch in (1, 2) for batch in epoch_batches(len(faces), config, epoch, fabric)]
    return job, seen, order


def test_the_loop_mirrors_every_face_in_one_of_two_epochs(fake_folder):
    job, seen, order = shown(fake_folder, alternating_flip=True)
    faces = job.train.images / 255
    times = torch.zeros(len(faces), dtype=torch.int64)
    for pixels, index in zip(seen, order, strict=True):
        mirrored = (pixels - faces[index].flip(3)).abs().amax((1, 2, 3)) < 1e-3
        same = (pixels - faces[index]).abs().amax((1, 2, 3)) < 1e-3
        assert bool((mirrored ^ same).all())
        times[index] += mirrored
    assert times.tolist() == [1] * len(faces)


def unmixed_share(pixels: torch.Tensor) -> float:
    """Share of the pixels that are one of the 256 grey values, as in faces that were not blended."""
    return float(((pixels * 255 - (pixels * 255).round()).abs() < 0.02).float().mean())


def test_with_both_kinds_of_mixing_every_batch_takes_one(fake_folder):
    _, seen, _ = shown(fake_folder, mixup=5.0, cutmix=5.0)
    shares = [unmixed_share(pixels) for pixels in seen]
    assert shares[1::2] == [1.0, 1.0] and max(shares[::2]) < 0.3


def test_the_last_epochs_may_go_without_mixing(fake_folder):
    job, seen, order = shown(fake_folder, cutmix=1.0, unmixed=0.5)
    faces = job.train.images / 255
    changed = [float((p - faces[i]).abs().amax()) > 0.1 for p, i in zip(seen, order, strict=True)]
    assert changed == [True, True, False, False]


@pytest.mark.parametrize(
    "epochs, unmixed, expected",
    [(4, 0.0, 4), (4, 0.5, 2), (4, 1.0, 0), (10, 0.1, 9), (10, 0.9, 1), (5, 0.8, 1), (5, 0.5, 2), (3, 0.5, 1)],
)
def test_as_many_epochs_mix_as_the_fraction_says(epochs, unmixed, expected):
    config = with_values(RunConfig(), {"epochs": epochs, "unmixed": unmixed, "mixup": 0.2, "cutmix": 0.3}, "test")
    plan = Plan(config, "small", None, (1.0,) * 7)
    strengths = [plan.augmentation_at(epoch) for epoch in range(1, epochs + 1)]
    assert [s.mixup > 0 for s in strengths] == [True] * expected + [False] * (epochs - expected)
    assert [s.cutmix > 0 for s in strengths] == [s.mixup > 0 for s in strengths]
    assert {s.rotate for s in strengths} == {10.0}
