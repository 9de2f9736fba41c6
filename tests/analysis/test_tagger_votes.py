"""Rankings and mistakes beside votes, counted by hand."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import precision_score

from analysis.labels.tagger_votes import KS, average_precision, by_agreement, check, curve, mistake_kinds, precision_at, support
from fer.data.ferplus import CANDIDATES
from fer.emotions import EMOTIONS, SYNONYMS
from fer.types import PredictionTable
from tests.conftest import REAL_DATA

ANGRY, HAPPY, SAD = (EMOTIONS.index(name) for name in ("angry", "happy", "sad"))
NONE = [-1] * 10


def votes_of(**counts):
    return [counts.get(name, 0) for name in CANDIDATES]


def table_of(labels, predicted):
    names = tuple(f"{row}.png" for row in range(len(labels)))
    return PredictionTable(np.eye(7)[predicted], labels, names, EMOTIONS, "validation")


#: label, prediction, votes
FACES = [
    (HAPPY, HAPPY, votes_of(happy=10)),  # 0 right, all agree
    (HAPPY, SAD, votes_of(sad=10)),  # 1 label error, taggers prefer the model
    (HAPPY, SAD, votes_of(neutral=7, unknown=3)),  # 2 label error, both wrong
    (SAD, ANGRY, votes_of(sad=5, angry=5)),  # 3 ambiguous, undecided
    (SAD, ANGRY, votes_of(sad=2, angry=8)),  # 4 ambiguous, taggers prefer the model
    (SAD, ANGRY, votes_of(sad=6, angry=4)),  # 5 model error
    (ANGRY, ANGRY, votes_of(fear=10)),  # 6 right, no tagger agrees
    (ANGRY, SAD, NONE),  # 7 nobody voted
    (ANGRY, SAD, votes_of(angry=9, contempt=1)),  # 8 model error
    (SAD, SAD, votes_of(sad=3, neutral=7)),  # 9 right, 3 agree
]
TABLE = table_of([face[0] for face in FACES], [face[1] for face in FACES])
VOTES = np.array([face[2] for face in FACES])
KNOWN = [row for row in range(10) if row != 7]


def test_support_is_the_votes_for_the_label():
    assert support(TABLE, VOTES)[KNOWN].tolist() == [10, 0, 0, 5, 2, 6, 0, 9, 3]


def test_the_columns_of_votes_are_found_by_name():
    """Classes of a table may be fewer than seven."""
    table = PredictionTable(np.eye(2), [0, 1], ("a", "b"), ("fear", "surprise"), "train")
    assert support(table, np.array([votes_of(fear=4, angry=6), votes_of(surprise=7, fear=3)])).tolist() == [4, 7]


def test_precision_at_k_by_hand():
    hits = np.array([True, True, False, True, False])
    assert [precision_at(hits, k).precision for k in (1, 2, 3, 4, 5)] == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5])
    at = precision_at(hits, 4)
    assert (at.k, at.hits) == (4, 3) and at.ci95 == pytest.approx((0.3006, 0.9544), abs=1e-4)  # Wilson, by the formula


def test_average_precision_by_hand():
    assert average_precision(np.array([True, True, False, True, False])) == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert average_precision(np.array([False, False, True])) == pytest.approx(1 / 3)
    assert average_precision(np.array([True, True])) is None and average_precision(np.array([False])) is None


def test_the_curve_is_the_precision_at_its_lengths():
    hits = np.random.default_rng(0).random(3000) < 0.3
    points = curve(hits)
    ks = [k for k, _ in points]
    assert (ks[0], ks[-1]) == (10, 3000) and ks == sorted(set(ks)) and len(ks) <= 120
    for k, precision in points:
        assert precision == pytest.approx(precision_score(hits, np.arange(3000) < k))
    assert curve(np.array([True, False])) == ((2, 0.5),)


def test_error_rates_by_agreement_by_hand():
    rates = {at.kind: (at.n, at.errors) for at in by_agreement(TABLE.rows(np.array(KNOWN)), VOTES[KNOWN])}
    assert rates == {"0": (3, 2), "1–2": (1, 1), "3–4": (1, 0), "5–6": (2, 2), "7–8": (0, 0), "9–10": (2, 1)}
    empty = by_agreement(TABLE.rows(np.array([0])), VOTES[[0]])[0]
    assert (empty.n, empty.rate, empty.ci95) == (0, None, None)


RANGE_OF = ["0", "1–2", "1–2", "3–4", "3–4", "5–6", "5–6", "7–8", "7–8", "9–10", "9–10"]


@pytest.mark.parametrize(
    ("count", "kind"),
    enumerate(RANGE_OF),
)
def test_every_number_of_votes_has_its_range(count, kind):
    found = by_agreement(table_of([HAPPY], [HAPPY]), np.array([votes_of(happy=count, nf=10 - count)]))
    assert [at.kind for at in found if at.n] == [kind]


def test_votes_that_are_not_ten_count_in_proportion():
    found = by_agreement(
        table_of([HAPPY] * 3, [SAD] * 3), np.array([votes_of(happy=5), votes_of(happy=3, sad=2), votes_of(sad=5)])
    )
    assert [at.kind for at in found if at.n] == ["0", "5–6", "9–10"]  # 5 of 5, 3 of 5, 0 of 5


def test_kinds_of_mistakes_by_hand():
    kinds = mistake_kinds(TABLE.rows(np.array(KNOWN)), VOTES[KNOWN])
    assert [(kind.kind, kind.errors, kind.model_preferred) for kind in kinds] == [
        ("label error", 2, 1),
        ("ambiguous", 2, 1),
        ("model error", 2, 0),
    ]
    assert [kind.share for kind in kinds] == pytest.approx([1 / 3] * 3)


def test_without_a_mistake_there_is_no_share():
    kinds = mistake_kinds(table_of([HAPPY], [HAPPY]), np.array([votes_of(happy=10)]))
    assert [(kind.errors, kind.share) for kind in kinds] == [(0, None)] * 3


def test_faces_without_votes_are_left_out_of_every_figure():
    order = np.array([7, 1, 2, 0, 3, 4, 6, 5, 8, 9])
    found = check(TABLE, order, VOTES)
    assert (found.n, found.without_votes) == (9, 1)
    assert found.base_rate == pytest.approx(3 / 9)
    assert found.average_precision == pytest.approx((1 + 1 + 3 / 6) / 3)  # hits at places 1, 2 and 6 of nine
    assert [(at.k, at.hits) for at in found.precision] == [(9, 3)]
    assert sum(at.n for at in found.by_agreement) == 9
    assert sum(kind.errors for kind in found.mistakes) == sum(at.errors for at in found.by_agreement) == 6
    assert json.loads(json.dumps(found.to_dict()))["base_rate"] == found.base_rate


def test_precision_is_reported_as_far_as_the_ranking_reaches():
    table = table_of([HAPPY] * 300, [HAPPY] * 300)
    votes = np.array([votes_of(happy=10)] * 100 + [votes_of(sad=10)] * 200)
    found = check(table, np.arange(300)[::-1], votes)
    assert [at.k for at in found.precision] == [50, 100, 200, 300] and set(KS) >= {50, 100, 200}
    assert [at.precision for at in found.precision] == pytest.approx([1, 1, 1, 2 / 3])
    assert found.average_precision == 1


def test_precision_of_just_the_faces_that_are_called_wrong():
    """Seven are called wrong, one of them has no votes; of the other six the labels of 1, 2 and 6 have no support."""
    found = check(TABLE, np.array([7, 1, 2, 0, 3, 4, 6, 5, 8, 9]), VOTES, flagged=7)
    assert found.flagged == 6 and [(at.k, at.hits) for at in found.precision] == [(6, 3), (9, 3)]


def test_no_votes_at_all_is_an_error_of_the_caller():
    with pytest.raises(ValueError, match="no face has votes"):
        check(TABLE, np.arange(10), np.full((10, 10), -1))


@pytest.mark.realdata
def test_the_base_rate_of_all_faces_with_votes_is_16_percent():
    """Counted from the csv alone; the check beside it goes the way of the program."""
    from analysis.pairing import paired_votes
    from fer.data import load

    agreeing = Counter()
    with (REAL_DATA.parent / "ferplus.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            split, label, _ = row["file"].split("/")
            (column,) = (name for name in row if SYNONYMS.get(name, name) == label)
            agreeing[split, int(row[column])] += 1
    corpus, total, unsupported = load(REAL_DATA), 0, 0
    for split, folder in (("train", "train"), ("validation", "test")):
        faces = corpus.split(split)
        table = PredictionTable(np.zeros((len(faces), 7)), faces.labels.numpy(), faces.names, faces.classes, split)
        found = check(table, np.arange(len(table)), paired_votes(table, corpus, REAL_DATA.parent / "ferplus.csv"))
        assert found.n == sum(count for (where, _), count in agreeing.items() if where == folder)
        assert found.by_agreement[0].n == agreeing[folder, 0]
        assert found.by_agreement[5].n == agreeing[folder, 9] + agreeing[folder, 10]
        total, unsupported = total + found.n, unsupported + found.by_agreement[0].n
    assert total == 32_137 and round(unsupported / total, 3) == 0.159
