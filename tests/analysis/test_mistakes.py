"""Confusion pairs against scikit-learn's confusion matrix and by hand."""

import json
from statistics import fmean

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from analysis.mistakes import find_mistakes
from fer.emotions import EMOTIONS
from fer.types import PredictionTable


def table_of(logits, labels, classes=EMOTIONS):
    return PredictionTable(logits, labels, tuple(f"{row}.png" for row in range(len(labels))), classes, "validation")


@pytest.fixture
def random_table():
    rng = np.random.default_rng(3)
    return table_of(rng.normal(0, 2, (500, 7)), rng.integers(0, 7, 500))


def test_pairs_are_the_cells_beside_the_diagonal(random_table):
    found = find_mistakes(random_table)
    matrix = confusion_matrix(random_table.labels, random_table.predicted, labels=range(7))
    assert len(found.pairs) == np.count_nonzero(matrix - np.diag(np.diag(matrix)))
    for pair in found.pairs:
        label, predicted = EMOTIONS.index(pair.label), EMOTIONS.index(pair.predicted)
        assert label != predicted and pair.count == matrix[label, predicted] == len(pair.rows)
        assert pair.share_of_label == pytest.approx(matrix[label, predicted] / matrix[label].sum())
        assert pair.share_of_mistakes == pytest.approx(matrix[label, predicted] / (500 - np.trace(matrix)))
    assert found.wrong == 500 - np.trace(matrix) == sum(pair.count for pair in found.pairs)
    assert found.rate == fmean(random_table.labels != random_table.predicted)
    assert found.ci95[0] < found.rate < found.ci95[1]


def test_pairs_are_ranked_by_count_and_equals_by_class(random_table):
    places = {name: place for place, name in enumerate(EMOTIONS)}
    ranked = [(-pair.count, places[pair.label], places[pair.predicted]) for pair in find_mistakes(random_table).pairs]
    assert ranked == sorted(ranked)


def test_rows_of_a_pair_come_the_most_confident_first(random_table):
    probs = random_table.probs
    rows = [row for pair in find_mistakes(random_table).pairs for row in pair.rows]
    assert sorted(rows) == np.flatnonzero(random_table.labels != random_table.predicted).tolist()
    for pair in find_mistakes(random_table).pairs:
        confidence = [probs[row].max() for row in pair.rows]
        assert confidence == sorted(confidence, reverse=True)


def test_a_table_by_hand():
    """Rows: a hit; sad taken for happy twice, the second one surer; happy taken for sad once."""
    logits = [[3, 0], [1, 0], [4, 0], [0, 2]]
    found = find_mistakes(table_of(logits, [0, 1, 1, 0], ("happy", "sad")))
    first, second = found.pairs
    assert (first.label, first.predicted, first.count, first.rows) == ("sad", "happy", 2, (2, 1))
    assert (first.share_of_label, first.share_of_mistakes) == (1, pytest.approx(2 / 3))
    assert (second.label, second.predicted, second.rows, second.share_of_label) == ("happy", "sad", (3,), 0.5)
    content = json.loads(json.dumps(found.to_dict()))
    assert (content["n"], content["wrong"], content["error_rate"]) == (4, 3, 0.75)
    assert content["pairs"][0] == {
        "label": "sad", "predicted": "happy", "count": 2, "share_of_label": 1.0, "share_of_mistakes": pytest.approx(2 / 3),
    }  # fmt: skip


def test_without_a_mistake_there_is_no_pair():
    found = find_mistakes(table_of(np.eye(7), range(7)))
    assert (found.wrong, found.rate, found.pairs) == (0, 0, ()) and found.ci95[0] == 0


def test_all_wrong_and_one_face_only():
    found = find_mistakes(table_of(np.eye(7)[[2]], [4]))
    assert (found.wrong, found.rate, found.pairs[0].rows) == (1, 1, (0,))
    assert (found.pairs[0].share_of_label, found.pairs[0].share_of_mistakes) == (1, 1)
