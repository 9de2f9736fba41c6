"""Faces and classes that look at the background are flagged; those that do not, or have no map, are not."""

import numpy as np
import pytest

from analysis.regions.background import LISTED, Background
from analysis.regions.face_template import BACKGROUND, template
from analysis.regions.shares import region_shares
from tests.analysis.faces_by_region import maps_of, table_of

AREA = float((template() == BACKGROUND).mean())


def seen(table, regions, peaks=None):
    heatmaps = maps_of(table, regions, peaks)
    return Background.of(table, region_shares(heatmaps.values, template()), heatmaps.peaks)


def test_a_class_whose_maps_lie_beside_the_face_is_flagged():
    table = table_of([("happy", "happy")] * 12 + [("sad", "sad")] * 12)
    found = seen(table, ["background"] * 12 + ["mouth"] * 12)
    assert found.flagged == ("happy",) and found.area == pytest.approx(AREA)
    assert found.faces == {**dict.fromkeys(table.classes, 0), "happy": 12}
    assert found.lift["happy"].mean == pytest.approx(1 / AREA) and found.lift["sad"].mean == 0
    assert found.lift["fear"].n == 0


def test_a_map_that_is_the_same_everywhere_is_not():
    found = seen(table_of([("sad", "sad")] * 12), ["all"] * 12)
    assert found.flagged == () and sum(found.faces.values()) == 0 and found.worst == ()
    assert found.lift["sad"].mean == pytest.approx(1)


def test_a_class_is_flagged_only_with_its_whole_interval_and_ten_faces():
    mixed = seen(table_of([("sad", "sad")] * 12), ["background"] * 5 + ["mouth"] * 7)  # mean lift 1.29
    assert mixed.lift["sad"].mean > 1 > mixed.lift["sad"].ci95[0]
    assert mixed.flagged == () and mixed.faces["sad"] == 5
    few = seen(table_of([("sad", "sad")] * 9), ["background"] * 9)
    assert few.flagged == () and few.faces["sad"] == 9


def test_empty_maps_are_not_flagged_and_do_not_count():
    found = seen(table_of([("sad", "sad")] * 12), [""] * 6 + ["background"] * 6, peaks=[0] * 6 + [1] * 6)
    assert found.faces["sad"] == 6 and found.lift["sad"].n == 6


def test_the_worst_are_listed_with_label_answer_share_and_strength():
    table = table_of([("sad", "sad"), ("fear", "happy"), ("sad", "sad")])
    found = seen(table, ["mouth", "background", "eyes"], peaks=[2.0, 0.5, 4.0])
    (stray,) = found.worst
    assert (stray.name, stray.label, stray.predicted) == (table.names[1], "fear", "happy")
    assert (stray.share, stray.strength) == (1.0, 0.25)


def test_they_are_ordered_by_share_and_no_more_than_a_dozen():
    n = LISTED + 4
    table = table_of([("sad", "sad")] * n)
    values = np.tile(template() != BACKGROUND, (n, 1, 1)).astype(np.float64) * np.arange(1, n + 1)[:, None, None] / n * 0.01
    values[:, template() == BACKGROUND] = 1
    found = Background.of(table, region_shares(values, template()), np.ones(n))
    assert [stray.name for stray in found.worst] == list(table.names[:LISTED])
    assert all(a.share > b.share for a, b in zip(found.worst, found.worst[1:], strict=False))


def test_where_most_maps_are_empty_no_strength_is_given():
    found = seen(table_of([("sad", "sad")] * 3), ["background", "", ""], peaks=[1, 0, 0])
    assert [stray.strength for stray in found.worst] == [None]
