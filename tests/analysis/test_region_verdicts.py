"""What is said of each class, from maps that lie where they are told to; and the action units behind it."""

import numpy as np
import pytest

from analysis.regions.action_units import ACTION_UNITS, PROTOTYPES, expected_regions
from analysis.regions.face_template import REGIONS, template
from analysis.regions.shares import region_shares
from analysis.regions.verdicts import verdicts
from fer.emotions import EMOTIONS
from tests.analysis.faces_by_region import maps_of, table_of

AREA = dict(zip(REGIONS, (np.bincount(template().ravel()) / template().size).tolist(), strict=True))


def judged(table, regions, effects=None):
    shares = region_shares(maps_of(table, regions).values, template())
    nothing = np.full(shares.mass.shape, np.nan) if effects is None else effects
    return {verdict.name: verdict for verdict in verdicts(table, shares, nothing)}


def area_of(*names):
    return sum(AREA[name] for name in names)


HAPPY = ("happy", "happy")
#: Of 14 recognised happy faces 12 look at mouth or cheeks, of 10 recognised sad ones 1, of 5 happy ones taken for sad 2.
TABLE = table_of([HAPPY] * 14 + [("sad", "sad")] * 10 + [("happy", "sad")] * 5)
WHERE = ["mouth", "cheeks"] * 6 + ["brows", "background"] + ["nose"] * 9 + ["mouth"] + ["mouth"] * 2 + ["eyes"] * 3


def test_lift_over_the_rest_is_that_by_hand():
    found = judged(TABLE, WHERE)["happy"]
    inside, outside = area_of("mouth", "cheeks"), area_of("brows", "eyes", "nose", "forehead", "chin")
    by_hand = [1 / inside] * 12 + [-1 / outside, 0.0]  # the background is no part of the face
    assert (found.lift.n, found.lift.mean) == (14, pytest.approx(np.mean(by_hand)))
    assert found.expected == ("mouth", "cheeks") and found.units == (6, 12)


def test_the_share_is_compared_with_recognised_faces_of_other_classes_and_with_mistakes():
    found = judged(TABLE, WHERE)["happy"]
    assert (found.specific.n, found.specific.mean) == (10, pytest.approx(12 / 14 - 1 / 10))
    assert (found.right_less_wrong.n, found.right_less_wrong.mean) == (5, pytest.approx(12 / 14 - 2 / 5))
    assert found.specific.sign == 1 and found.right_less_wrong.sign is None


def test_effects_are_summed_over_the_expected_regions_and_set_against_their_size():
    effects = np.full((len(TABLE), len(REGIONS)), np.nan)
    effects[:12] = 0
    effects[:12, REGIONS.index("mouth")] = 0.3
    effects[:12, REGIONS.index("cheeks")] = 0.1
    effects[:12, REGIONS.index("nose")] = 0.2
    effects[:12, REGIONS.index("background")] = 0.9
    found = judged(TABLE, WHERE, effects)["happy"].effect
    outside = area_of("brows", "eyes", "nose", "forehead", "chin")
    assert found.n == 12
    assert found.mean == pytest.approx(0.1 * (0.4 / area_of("mouth", "cheeks") - 0.2 / outside))
    assert found.sign == 1


def test_it_is_said_in_words():
    found = judged(TABLE, WHERE)
    assert found["happy"].words == (
        "happy: AU 6+12 move mouth and cheeks: the map lies more there than on the rest of the face; "
        "more than the maps of the other classes; "
        "covering them costs (too few faces to say) more or less than covering as much of the rest"
    )
    assert "nothing to judge" in found["neutral"].words
    assert "move brows, eyes and mouth" in found["fear"].words


def test_a_class_that_looks_elsewhere_is_told_so():
    table = table_of([HAPPY] * 12 + [("sad", "sad")] * 12)
    found = judged(table, ["forehead"] * 12 + ["mouth"] * 12)["happy"]
    assert found.lift.sign == found.specific.sign == -1
    assert "the map lies less there" in found.words and "less than the maps of the other classes" in found.words


def test_of_one_class_alone_nothing_is_compared_with_others():
    found = judged(table_of([HAPPY] * 12), ["mouth"] * 12)
    assert found["happy"].lift.n == 12 and found["happy"].specific.n == found["happy"].right_less_wrong.n == 0
    assert all(verdict.lift.n == 0 for name, verdict in found.items() if name != "happy")


def test_every_class_has_a_prototype_of_known_units_and_regions():
    assert sorted(PROTOTYPES) == sorted(EMOTIONS)
    assert {unit for units in PROTOTYPES.values() for unit in units} == set(ACTION_UNITS)
    assert {region for _, region in ACTION_UNITS.values()} < set(REGIONS) - {"background"}


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("happy", {"mouth", "cheeks"}),
        ("surprise", {"brows", "eyes", "mouth"}),
        ("fear", {"brows", "eyes", "mouth"}),
        ("angry", {"brows", "eyes", "mouth"}),
        ("sad", {"brows", "mouth"}),
        ("disgust", {"nose", "mouth"}),
        ("neutral", set()),
    ],
)
def test_the_regions_are_those_of_the_literature(name, regions):
    assert set(expected_regions(name)) == regions


def test_the_core_of_each_prototype_is_the_one_that_the_extended_cohn_kanade_set_asks_for():
    """Lucey et al. 2010, table 1: one of the alternatives has to be there; for anger 23 or 24."""
    core = {"happy": [{12}], "surprise": [{1, 2}, {5}], "fear": [{1, 2, 4}], "sad": [{1, 4, 15}, {11}]}
    core |= {"angry": [{23}, {24}], "disgust": [{9}, {10}]}
    for name, alternatives in core.items():
        assert any(units <= set(PROTOTYPES[name]) for units in alternatives), name
