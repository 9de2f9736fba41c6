"""Models side by side: the numbers by hand, by scipy and by scikit-learn."""

import json
from math import comb

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.metrics import recall_score

from analysis.compare import Comparison, disagreements, paired_counts, require_same_faces
from analysis.figures import comparison as comparison_figure
from analysis.significance import fisher, holm, mcnemar, percentile_interval, resampled_counts
from fer.errors import DataError
from fer.metrics import wilson_interval
from fer.types import PredictionTable

CLASSES = ("angry", "fear", "happy")


def table_of(labels, answers, strength=3.0, names=None):
    """Every answer stands out by ``strength`` (one for all, or one a row)."""
    logits = np.zeros((len(labels), len(CLASSES)))
    logits[np.arange(len(labels)), answers] = strength
    return PredictionTable(logits, labels, names or tuple(f"face{i}" for i in range(len(labels))), CLASSES, "validation")


def drawn(n, seed, accuracies=(0.6, 0.7)):
    """Two tables of models that are right so often."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return [table_of(labels, np.where(rng.random(n) < accuracy, labels, (labels + 1) % 3)) for accuracy in accuracies]


# labels            0  0  0  1  1  2
TOY_A = table_of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])
TOY_B = table_of([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 1, 2])


def test_a_toy_by_hand():
    comparison = Comparison.of({"one": TOY_A, "two": TOY_B})
    assert [(score.name, score.accuracy, score.n) for score in comparison.models] == [("one", 4 / 6, 6), ("two", 4 / 6, 6)]
    (pair,) = comparison.pairs
    assert (pair.a, pair.b, pair.difference, pair.p) == ("one", "two", 0, 1)
    assert (pair.both_right, pair.only_a, pair.only_b, pair.both_wrong) == (3, 1, 1, 1)
    assert pair.agreement == 3 / 6
    deltas = pair.per_class
    assert (deltas["angry"].n, deltas["angry"].a, deltas["angry"].b) == (3, 2 / 3, 1 / 3)
    assert deltas["angry"].difference == pytest.approx(-1 / 3)
    assert (deltas["fear"].a, deltas["fear"].b, deltas["fear"].difference) == (0.5, 1, 0.5)
    assert deltas["happy"].ci95 == (0, 0)


def test_paired_counts_by_hand():
    assert paired_counts(TOY_A, TOY_B).tolist() == [[1, 1, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0]]


def test_accuracy_interval_and_recalls_agree_with_others():
    a, b = drawn(400, seed=1)
    comparison = Comparison.of({"a": a, "b": b})
    for score, table in zip(comparison.models, (a, b), strict=True):
        oracle = stats.binomtest(int((table.predicted == table.labels).sum()), 400).proportion_ci(0.95, "wilson")
        assert score.ci95 == pytest.approx((oracle.low, oracle.high), abs=1e-6)
    recalls = [recall_score(table.labels, table.predicted, average=None) for table in (a, b)]
    found = comparison.pairs[0].per_class
    assert [found[name].a for name in CLASSES] == pytest.approx(recalls[0])
    assert [found[name].b for name in CLASSES] == pytest.approx(recalls[1])
    assert [found[name].difference for name in CLASSES] == pytest.approx(recalls[1] - recalls[0])


def test_bootstrap_intervals_are_those_of_resampling_the_faces_themselves():
    a, b = drawn(300, seed=2)
    pair = Comparison.of({"a": a, "b": b}).pairs[0]
    right = [(table.predicted == table.labels).astype(float) for table in (a, b)]

    def oracle(*samples, statistic):
        found = stats.bootstrap(samples, statistic, paired=True, n_resamples=9999, method="percentile", rng=0, vectorized=False)
        return (found.confidence_interval.low, found.confidence_interval.high)

    whole = oracle(*right, statistic=lambda x, y: (y - x).mean())
    assert pair.ci95 == pytest.approx(whole, abs=0.012)
    fear = oracle(*right, a.labels.astype(float), statistic=lambda x, y, label: (y - x)[label == 1].mean())
    assert pair.per_class["fear"].ci95 == pytest.approx(fear, abs=0.02)


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly_so():
    a, b = drawn(300, seed=3)
    first, again, other = (Comparison.of({"a": a, "b": b}, seed).pairs[0] for seed in (0, 0, 1))
    assert first == again
    assert first.ci95 != other.ci95
    assert first.ci95 == pytest.approx(other.ci95, abs=0.02)


def test_three_models_make_three_pairs_whose_p_values_are_corrected():
    a, b = drawn(300, seed=4, accuracies=(0.5, 0.62))
    c = drawn(300, seed=4, accuracies=(0.55, 0.75))[1]
    pairs = Comparison.of({"a": a, "b": b, "c": c}).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p_holm for pair in pairs] == holm([pair.p for pair in pairs])
    assert all(pair.p_holm >= pair.p for pair in pairs) and pairs[1].p_holm < 0.05


def test_a_single_face_a_single_class_all_right_and_all_wrong_are_compared():
    one = table_of([2], [2])
    (pair,) = Comparison.of({"a": one, "b": table_of([2], [0])}).pairs
    assert (pair.difference, pair.ci95, pair.p, pair.only_a) == (-1, (-1, -1), 1, 1)
    assert pair.per_class["angry"] == pair.per_class["fear"]
    assert (pair.per_class["angry"].n, pair.per_class["angry"].difference, pair.per_class["angry"].ci95) == (0, None, None)
    for answers in ([2, 2, 2], [0, 0, 0]):
        table = table_of([2, 2, 2], answers)
        (pair,) = Comparison.of({"a": table, "b": table}).pairs
        assert (pair.difference, pair.ci95, pair.p, pair.agreement) == (0, (0, 0), 1, 1)


def test_the_comparison_is_plain_json():
    text = json.dumps(Comparison.of({"a": TOY_A, "b": TOY_B}).to_dict(), allow_nan=False)
    read = json.loads(text)
    assert read["draws"] == 2000 and read["n"] == 6 and read["split"] == "validation"
    assert read["pairs"][0]["per_class"]["angry"]["n"] == 3


STRANGERS = {
    "one model only": ({"a": TOY_A}, "two or more"),
    "other classes": ({"a": TOY_A, "b": TOY_B.only(("angry", "fear"))}, "same classes"),
    "other faces": ({"a": TOY_A, "b": TOY_B.rows(np.arange(5))}, "same data and split"),
    "other labels": ({"a": TOY_A, "b": table_of([1, 0, 0, 1, 1, 2], [0, 1, 2, 1, 1, 2])}, "same data and split"),
    "another order": ({"a": TOY_A, "b": TOY_B.rows(np.array([1, 0, 2, 3, 4, 5]))}, "same data and split"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_tables_that_do_not_belong_together_are_refused(kind):
    tables, advice = STRANGERS[kind]
    with pytest.raises(DataError, match=advice):
        require_same_faces(tables)


def test_disagreements_come_first_where_both_are_sure():
    labels = [0, 0, 0, 0]
    a = table_of(labels, [0, 0, 0, 1], strength=[5.0, 4.0, 2.0, 9.0])
    b = table_of(labels, [1, 2, 1, 1], strength=[1.0, 3.0, 9.0, 9.0])
    assert disagreements(a, b).tolist() == [1, 2, 0]
    assert disagreements(a, a).tolist() == []


# tests of significance


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (1, 5), (7, 7), (40, 62), (3, 3)])
def test_mcnemar_is_the_sum_of_the_binomial_tail(first, second):
    n, least = first + second, min(first, second)
    tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(first, second) == mcnemar(second, first)


@pytest.mark.parametrize("table", [(3, 1, 1, 3), (10, 0, 5, 5), (0, 4, 0, 9), (20, 10, 30, 40)])
def test_fisher_is_the_sum_of_the_hypergeometric_tables_that_are_no_likelier(table):
    a, b, c, d = table
    rows, column, total = a + b, a + c, a + b + c + d
    chances = {x: comb(column, x) * comb(total - column, rows - x) / comb(total, rows) for x in range(min(rows, column) + 1)}
    expected = sum(chance for chance in chances.values() if chance <= chances[a] * (1 + 1e-9))
    assert fisher(*table) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [  # R: p.adjust(p, "holm")
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.5], [0.08, 0.03, 0.5]),
        ([0.9, 0.8], [1, 1]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, expected):
    assert holm(p_values) == pytest.approx(expected)


def test_resampled_counts_keep_their_number_and_vary_as_a_multinomial_does():
    counts = np.array([[30, 10], [0, 60]])
    draws = resampled_counts(counts, seed=0, draws=20_000)
    assert draws.shape == (20_000, 2, 2) and (draws.sum(axis=(1, 2)) == 100).all() and (draws[:, 1, 0] == 0).all()
    oracle = stats.multinomial(100, counts.ravel() / 100)
    assert np.cov(draws.reshape(-1, 4).T) == pytest.approx(oracle.cov(), abs=0.6)


def test_the_interval_is_the_middle_of_what_is_defined():
    values = np.array([np.nan, *range(101)], dtype=float)
    assert percentile_interval(values) == pytest.approx((2.5, 97.5))


def test_a_wilson_interval_is_what_the_accuracy_has():
    assert Comparison.of({"a": TOY_A, "b": TOY_B}).models[0].ci95 == wilson_interval(4, 6)


def test_a_corrected_p_is_called_so_in_the_picture():
    right = np.random.default_rng(0).random((3, 200)) < np.array([[0.5], [0.6], [0.8]])
    tables = {}
    for name, hits in zip("abc", right, strict=True):
        logits = np.stack([hits, ~hits], axis=1) * 2.0
        tables[name] = PredictionTable(logits, np.zeros(200), tuple(map(str, range(200))), ("fear", "sad"), "validation")
    for names, marked in ((("a", "b"), {""}), (("a", "b", "c"), {"", " (Holm)"})):
        found = Comparison.of({name: tables[name] for name in names}, seed=0)
        titles = [comparison_figure.draw_deltas(Figure().subplots(), pair, 200).get_title() for pair in found.pairs]
        assert {" (Holm)" if title.endswith(" (Holm)") else "" for title in titles} == marked
        assert [title.endswith(" (Holm)") for title in titles] == [pair.p_holm != pair.p for pair in found.pairs]
