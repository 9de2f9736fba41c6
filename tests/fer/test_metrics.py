"""Every figure against a hand computation or a slow independent implementation."""

import numpy as np
import pytest

from fer.emotions import EMOTIONS
from fer.metrics import brier_score, evaluate, top_k_accuracy, wilson_interval


def random_case(n=400, c=7, seed=3):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(c, 0.5), n)
    labels = np.where(rng.random(n) < 0.5, probs.argmax(1), rng.integers(0, c, n))
    return labels, probs


def slow_figures(labels, probs):
    """Plain loops over rows and classes."""
    n, c = probs.shape
    predicted = [max(range(c), key=lambda k: probs[i, k]) for i in range(n)]
    matrix = [[sum(1 for i in range(n) if labels[i] == a and predicted[i] == b) for b in range(c)] for a in range(c)]
    precision, recall, f1, auc = [], [], [], []
    for k in range(c):
        column, row, hit = sum(matrix[a][k] for a in range(c)), sum(matrix[k]), matrix[k][k]
        p, r = hit / column if column else 0.0, hit / row if row else 0.0
        precision.append(p)
        recall.append(r)
        f1.append(2 * p * r / (p + r) if p + r else 0.0)
        ours, rest = probs[labels == k, k], probs[labels != k, k]
        wins = (ours[:, None] > rest[None]).sum() + 0.5 * (ours[:, None] == rest[None]).sum()
        auc.append(wins / (len(ours) * len(rest)))
    t, s = np.array([sum(row) for row in matrix]), np.array(matrix).sum(0)
    hits = np.trace(np.array(matrix))
    mcc = (hits * n - s @ t) / np.sqrt((n**2 - s @ s) * (n**2 - t @ t))
    loss = -np.mean([np.log(probs[i, labels[i]]) for i in range(n)])
    mean = np.mean
    return {
        "accuracy": hits / n, "macro_precision": mean(precision), "macro_recall": mean(recall), "macro_f1": mean(f1),
        "mcc": mcc, "log_loss": loss, "roc_auc": mean(auc), "confusion_matrix": matrix,
    }  # fmt: skip


def test_all_figures_equal_plain_loops():
    labels, probs = random_case()
    figures = evaluate(labels, probs, EMOTIONS)
    for key, expected in slow_figures(labels, probs).items():
        np.testing.assert_allclose(figures[key], expected, rtol=1e-9, err_msg=key)


def test_the_brier_score_is_that_of_scikit_learn():
    from sklearn.metrics import brier_score_loss

    labels, probs = random_case()
    expected = brier_score_loss(labels, probs, labels=list(range(7)), scale_by_half=False)
    assert brier_score(labels, probs) == pytest.approx(expected, abs=1e-12)
    assert evaluate(labels, probs, EMOTIONS)["brier"] == brier_score(labels, probs)


def test_the_brier_score_lies_between_certainty_right_and_certainty_wrong():
    assert brier_score(np.array([0, 1]), np.eye(2)) == 0
    assert brier_score(np.array([1, 0]), np.eye(2)) == 2
    assert brier_score(np.array([0]), np.full((1, 7), 1 / 7)) == pytest.approx(6 / 7)


def test_top_3_by_hand():
    probs = np.array([[0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1]])
    assert top_k_accuracy(np.array([2, 3]), probs, 3) == 0.5


def test_of_equal_probabilities_the_first_classes_are_taken():
    equal = np.full((7, 7), 1 / 7)
    assert [top_k_accuracy(np.array([label]), equal[:1], 3) for label in range(7)] == [1, 1, 1, 0, 0, 0, 0]
    tied = np.array([[0.1, 0.4, 0.1, 0.3, 0.1]])  # the third place is shared by three
    assert [top_k_accuracy(np.array([label]), tied, 3) for label in range(5)] == [1, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("right", "n", "expected"), [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (2368, 3589, (0.6441, 0.6751))]
)
def test_wilson_interval_of_published_values(right, n, expected):
    # the first two are the textbook values of Newcombe 1998 for 0/10 and 10/10
    assert wilson_interval(right, n) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n", range(1, 60))
def test_the_interval_of_none_and_of_all_ends_where_proportions_end(n):
    assert wilson_interval(0, n)[0] == 0.0 and wilson_interval(n, n)[1] == 1.0


def test_every_promised_key_is_there_and_plain():
    import json

    figures = evaluate(*random_case(), EMOTIONS)
    assert list(figures) == [
        "accuracy", "top3_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "log_loss", "roc_auc", "ece",
        "adaptive_ece", "brier", "n", "ci95", "per_class", "confusion_matrix",
    ]  # fmt: skip
    assert json.loads(json.dumps(figures)) == figures
    low, high = figures["ci95"]
    assert low < figures["accuracy"] < high
    assert sum(map(sum, figures["confusion_matrix"])) == figures["n"] == 400


def test_a_class_that_never_occurs_has_no_auc_and_does_not_break_the_rest():
    labels, probs = np.array([0, 1, 0]), np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])
    figures = evaluate(labels, probs, ("a", "b", "c"))
    assert figures["per_class"]["c"]["roc_auc"] is None
    assert figures["roc_auc"] == 1.0
    assert evaluate(labels[:1], probs[:1], ("a", "b", "c"))["roc_auc"] is None
