"""How alike maps are, against scipy."""

import numpy as np
import pytest
from scipy import stats

from analysis.similarity import Similarity, spearman, stacked
from fer.metrics import pearson
from fer.types import Heatmap


def maps_of(*values):
    return tuple(Heatmap(np.asarray(value, dtype=np.float32), 1.0, "happy", "gradcam") for value in values)


@pytest.fixture
def random_maps():
    rng = np.random.default_rng(0)
    one = rng.random((6, 48, 48)).astype(np.float32)
    other = (0.5 * one + 0.5 * rng.random((6, 48, 48))).astype(np.float32).round(1)  # with ties
    return one, other


def test_correlations_are_those_of_scipy(random_maps):
    one, other = random_maps
    flat = [(x.ravel(), y.ravel()) for x, y in zip(one, other, strict=True)]
    assert pearson(one, other) == pytest.approx([stats.pearsonr(x, y).statistic for x, y in flat], abs=1e-6)
    assert spearman(one, other) == pytest.approx([stats.spearmanr(x, y).statistic for x, y in flat], abs=1e-6)


def test_equal_maps_correlate_fully_and_a_flat_map_has_no_correlation(random_maps):
    one, _ = random_maps
    assert pearson(one, one) == pytest.approx(1) and spearman(one, one) == pytest.approx(1)
    flat = np.full_like(one, 0.3)
    assert np.isnan(pearson(one, flat)).all() and np.isnan(spearman(flat, one)).all()


def test_the_summary_by_hand(random_maps):
    one, other = random_maps
    empty = np.zeros((48, 48))
    found = Similarity.of(maps_of(*one, empty), maps_of(*other, one[0]))
    each = [stats.pearsonr(x.ravel(), y.ravel()).statistic for x, y in zip(one, other, strict=True)]
    assert (found.n, found.empty) == (7, 1)
    assert found.pearson == pytest.approx(np.mean(each), abs=1e-6)
    theirs = [one[0], *other]  # the next face's map, once round
    others = [stats.pearsonr(x.ravel(), y.ravel()).statistic for x, y in zip(one, theirs[:6], strict=True)]
    assert found.pearson_of_others == pytest.approx(np.mean(others), abs=1e-6)
    assert found.to_dict()["n"] == 7


def test_maps_of_other_sizes_are_compared_at_the_size_of_a_face():
    small = np.zeros((48, 48))
    small[10:20, 10:30] = 1
    large = np.kron(small, np.ones((4, 4)))
    found = Similarity.of(maps_of(small), maps_of(large))
    assert stacked(maps_of(large)).shape == (1, 48, 48)
    assert found.pearson > 0.97


@pytest.mark.parametrize("maps", [(), maps_of(np.zeros((48, 48)))], ids=["none", "one empty"])
def test_where_nothing_can_be_compared_nothing_is_said(maps):
    found = Similarity.of(maps, maps)
    assert (found.n, found.empty) == (len(maps), len(maps))
    assert found.pearson is None and found.spearman is None and found.pearson_of_others is None
