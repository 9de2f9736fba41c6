"""Covering regions of a network that reads one of them only, and of one that reads a border between two."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from analysis.perturbation import GREY, Scores
from analysis.regions.effects import COVERS, occlusion_effects
from analysis.regions.face_template import REGIONS, template
from analysis.sampling import balanced
from fer.emotions import EMOTIONS
from fer.errors import UnknownNameError
from tests.analysis.faces_by_region import chance_of, reader_of

HAPPY = EMOTIONS.index("happy")
PIXELS = torch.rand(6, 1, 48, 48, generator=torch.Generator().manual_seed(0))


def effects(checkpoint, cover="grey", labels=None, target=HAPPY):
    regions = template() if labels is None else labels
    return occlusion_effects(Scores(checkpoint), PIXELS, torch.full((6,), target), regions, cover)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("region", REGIONS)
def test_only_the_region_that_is_read_has_an_effect_and_it_is_the_one_by_hand(region, temperature):
    found = effects(reader_of(region, temperature=temperature))
    place = REGIONS.index(region)
    here = PIXELS[:, 0].numpy()[:, template() == place].mean(axis=1)
    expected = [chance_of(brightness, temperature) - chance_of(GREY, temperature) for brightness in here]
    assert found.shape == (6, len(REGIONS)) and found.dtype == np.float64
    np.testing.assert_allclose(found[:, place], expected, atol=1e-6)
    np.testing.assert_array_equal(np.delete(found, place, axis=1), 0)
    assert np.abs(expected).max() > 1e-3


def test_a_blurred_cover_leaves_the_brightness_around():
    found = effects(reader_of("mouth"), "blurred")[:, REGIONS.index("mouth")]
    where = template() == REGIONS.index("mouth")
    for effect, face in zip(found, PIXELS[:, 0].numpy(), strict=True):
        blurred = gaussian_filter(face, 6.0, mode="nearest", truncate=3.0)
        assert effect == pytest.approx(chance_of(face[where].mean()) - chance_of(blurred[where].mean()), abs=1e-4)


def test_another_class_gains_what_the_covered_one_loses():
    own, other = effects(reader_of("eyes")), effects(reader_of("eyes"), target=EMOTIONS.index("sad"))
    np.testing.assert_allclose(own, -6 * other, atol=1e-6)


def test_faces_with_regions_of_their_own_lose_what_lies_there():
    blank = np.full((48, 48), REGIONS.index("background"), dtype=np.int8)
    labels = np.stack([template(), *[blank] * 5])
    found = effects(reader_of("nose"), labels=labels)
    nose, background = REGIONS.index("nose"), REGIONS.index("background")
    assert found[0, nose] != 0 and (found[1:, nose] == 0).all()
    assert found[0, background] == 0 and (np.abs(found[1:, background]) > 1e-6).all()


def test_progress_ends_with_the_last_region():
    told = []
    occlusion_effects(
        Scores(reader_of("nose")), PIXELS, torch.zeros(6, dtype=torch.long), template(), progress=lambda *x: told.append(x)
    )
    assert told == [(i, len(REGIONS)) for i in range(1, len(REGIONS) + 1)]


def test_an_unknown_cover_lists_the_known_ones():
    assert list(COVERS) == ["grey", "blurred"]
    with pytest.raises(UnknownNameError, match="grey"):
        effects(reader_of("nose"), "black")


def test_a_balanced_sample_is_as_even_as_the_classes_allow():
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    rows = balanced(labels, 23, seed=1)
    assert np.bincount(labels[rows]).tolist() == [10, 3, 10]
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert rows.tolist() == balanced(labels, 23, seed=1).tolist() != balanced(labels, 23, seed=2).tolist()
    assert balanced(labels, 500, seed=0).tolist() == list(range(73))
