"""Shares of maps whose mass is known, and SciPy's sums over labels."""

import numpy as np
import pytest
from scipy import ndimage

from analysis.regions.face_template import REGIONS, template
from analysis.regions.shares import region_shares
from fer.errors import DataError

AREA = np.bincount(template().ravel(), minlength=len(REGIONS)) / template().size


@pytest.mark.parametrize("place", range(len(REGIONS)), ids=REGIONS)
def test_a_map_that_lies_in_one_region_has_all_its_mass_there(place):
    shares = region_shares(0.3 * (template() == place)[None], template())
    np.testing.assert_allclose(shares.mass[0], np.eye(len(REGIONS))[place])
    np.testing.assert_allclose(shares.lift[0], np.eye(len(REGIONS))[place] / AREA[place])


def test_a_map_that_is_the_same_everywhere_has_lift_one():
    shares = region_shares(np.full((2, 48, 48), 0.7, dtype=np.float16), template())
    np.testing.assert_allclose(shares.mass, [AREA, AREA])
    np.testing.assert_allclose(shares.lift, 1)


def test_any_map_has_the_shares_that_scipy_sums():
    maps = np.random.default_rng(0).random((5, 48, 48)).astype(np.float16)
    shares = region_shares(maps, template())
    for row, one in zip(shares.mass, maps.astype(np.float64), strict=True):
        np.testing.assert_allclose(row, ndimage.sum_labels(one, template(), range(len(REGIONS))) / one.sum())
    np.testing.assert_allclose(shares.mass.sum(axis=1), 1)


def test_an_empty_map_has_no_shares_and_is_counted():
    shares = region_shares(np.stack([np.zeros((48, 48)), np.ones((48, 48))]), template())
    assert shares.empty.tolist() == [True, False]
    assert np.isnan(shares.mass[0]).all() and np.isnan(shares.lift[0]).all() and not np.isnan(shares.lift[1]).any()


def test_faces_may_have_regions_of_their_own_and_lack_one():
    turned = np.flipud(template())
    without_brows = np.where(template() == 0, 5, template())
    labels = np.stack([template(), turned, without_brows]).astype(np.int8)
    maps = np.stack([template() == 3, turned == 3, template() == 3]).astype(np.float32)
    shares = region_shares(maps, labels)
    np.testing.assert_allclose(shares.mass[:, 3], 1)
    np.testing.assert_allclose(shares.area[:2], [AREA, AREA])
    assert shares.area[2, 0] == 0 and np.isnan(shares.lift[2, 0]) and shares.lift[2, 3] == pytest.approx(1 / AREA[3])


@pytest.mark.parametrize(
    ("maps", "labels"),
    [((2, 40, 40), (48, 48)), ((48, 48), (48, 48)), ((2, 48, 48), (3, 48, 48)), ((2, 48, 48), (1, 48, 48))],
)
def test_regions_that_do_not_fit_the_maps_are_refused(maps, labels):
    with pytest.raises(DataError, match="fer explain --data"):
        region_shares(np.ones(maps), np.zeros(labels, dtype=np.int8))
