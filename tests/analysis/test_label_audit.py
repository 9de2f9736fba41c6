"""The label audit against confident learning written out from the paper, and on labels that were made wrong on purpose."""

import numpy as np
import pytest
from cleanlab.filter import find_label_issues

from analysis.labels.audit import audit
from fer.errors import DataError
from fer.types import PredictionTable, softmax
from tests.conftest import REAL_DATA

CLASSES = ("angry", "fear", "happy", "sad")


def table_of(probs, labels, classes=CLASSES):
    """A table with these probabilities."""
    names = tuple(f"{number:04}.png" for number in range(len(labels)))
    return PredictionTable(np.log(np.asarray(probs) + 1e-12), labels, names, classes, "train", {"folds": "3"})


@pytest.fixture(scope="module")
def flipped():
    """600 faces that a good network judges; 60 labels were made wrong, by one place."""
    rng = np.random.default_rng(5)
    true = rng.integers(0, 4, 600)
    probs = softmax(3.0 * np.eye(4)[true] + rng.normal(0, 0.7, (600, 4)))
    wrong = np.sort(rng.choice(600, 60, replace=False))
    labels = true.copy()
    labels[wrong] = (labels[wrong] + 1) % 4
    return table_of(probs, labels), set(wrong.tolist()), true


def confident_joint(probs, labels):
    """Northcutt et al. 2021, equations 1 and 2, face by face."""
    c = probs.shape[1]
    thresholds = [probs[labels == j, j].mean() for j in range(c)]
    counts = np.zeros((c, c))
    for row, label in zip(probs, labels, strict=True):
        sure = [j for j in range(c) if row[j] >= thresholds[j]]
        if sure:
            counts[label, max(sure, key=lambda j: row[j])] += 1
    return counts


def test_the_joint_and_the_noise_are_those_of_the_paper(flipped):
    table, _, _ = flipped
    probs, labels = table.probs.astype(float), table.labels
    counts = confident_joint(probs, labels)
    # equation 3: rows as large as the classes, then shares of all
    joint = counts / counts.sum(axis=1, keepdims=True) * np.bincount(labels)[:, None] / len(labels)
    found = audit(table)
    # the library rounds the calibrated counts to whole faces
    np.testing.assert_allclose(found.joint, joint, atol=1.01 / len(labels))
    np.testing.assert_allclose(found.noise, found.joint / found.joint.sum(axis=0), atol=0.01)
    np.testing.assert_allclose(found.noise.sum(axis=0), 1)
    assert found.joint.sum() == pytest.approx(1)
    assert found.noise_rate == pytest.approx(1 - sum(found.joint[i, i] for i in range(4)))
    assert abs(found.noise_rate - 0.1) < 0.03  # what was made wrong


def test_the_labels_made_wrong_are_found(flipped):
    table, wrong, true = flipped
    found = audit(table)
    rows = {suspect.row for suspect in found.suspects}
    assert len(rows & wrong) >= 50 and len(rows - wrong) <= 12
    for suspect in found.suspects:
        assert suspect.label == CLASSES[table.labels[suspect.row]] and suspect.name == table.names[suspect.row]
        assert suspect.suggested == CLASSES[table.predicted[suspect.row]] != suspect.label
        assert suspect.score == pytest.approx(table.probs[suspect.row, table.labels[suspect.row]])
    right = sum(suspect.suggested == CLASSES[true[suspect.row]] for suspect in found.suspects if suspect.row in wrong)
    assert right == len(rows & wrong)


def test_suspects_come_first_and_the_least_probable_labels_before_the_others():
    """A network so unsure that some labels which are not called wrong are less probable than some that are."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 4, 400)
    table = table_of(softmax(np.eye(4)[labels] + rng.normal(0, 1, (400, 4))), labels)
    score = table.probs[np.arange(400), labels]
    flagged = find_label_issues(labels, table.probs.astype(float), filter_by="both", n_jobs=1)
    assert score[~flagged].min() < score[flagged].max()
    found = audit(table)
    assert [suspect.row for suspect in found.suspects] == sorted(np.flatnonzero(flagged), key=lambda row: score[row])
    others = sorted(np.flatnonzero(~flagged), key=lambda row: score[row])
    assert found.order.tolist() == [*(suspect.row for suspect in found.suspects), *others]


def test_counts_per_class_add_up(flipped):
    table, _, _ = flipped
    found = audit(table)
    for place, name in enumerate(CLASSES):
        counts = found.per_class[name]
        assert counts.n == sum(label == place for label in table.labels)
        assert counts.suspects == len([suspect for suspect in found.suspects if suspect.label == name])
        assert counts.suggested == len([suspect for suspect in found.suspects if suspect.suggested == name])
    content = found.to_dict()
    assert content["suspects"] == len(content["ranking"]) == sum(counts.suspects for counts in found.per_class.values())
    assert content["ranking"][0] == {
        "row": found.suspects[0].row, "name": found.suspects[0].name, "label": found.suspects[0].label,
        "suggested": found.suspects[0].suggested, "score": found.suspects[0].score,
    }  # fmt: skip
    assert content["n"] == 600 and content["method"]["filter"] == "both" and content["source"] == {"folds": "3"}


def test_labels_of_which_none_is_doubted_give_no_suspect():
    labels = np.arange(40) % 4
    found = audit(table_of(0.96 * np.eye(4)[labels] + 0.01, labels))
    assert found.suspects == () and found.noise_rate == pytest.approx(0)
    assert sorted(found.order.tolist()) == list(range(40))


def test_labels_that_are_all_doubted_leave_one_face_a_class():
    """Classes are never emptied."""
    labels = np.arange(40) % 4
    found = audit(table_of(0.96 * np.eye(4)[(labels + 1) % 4] + 0.01, labels))
    assert len(found.suspects) == 36 and {suspect.suggested for suspect in found.suspects} == set(CLASSES)


def test_a_class_without_a_face_is_shown_as_such():
    rng = np.random.default_rng(1)
    found = audit(table_of(softmax(rng.normal(size=(60, 4))), np.arange(60) % 3))
    assert found.per_class["sad"].n == found.per_class["sad"].suspects == 0
    assert np.isfinite(found.joint).all() and np.isfinite(found.noise).all()


@pytest.mark.parametrize("n", [1, 5])
def test_one_class_only_is_refused_in_one_line(n):
    with pytest.raises(DataError, match=rf"all {n} faces of the table are labelled happy; .* two or more"):
        audit(table_of(np.full((n, 4), 0.25), np.full(n, 2)))


@pytest.mark.realdata
def test_the_ranking_finds_labels_of_publictest_that_no_tagger_chose():
    """The released network never trained on PublicTest; 100 faces at random would hold 17."""
    from analysis.labels.tagger_votes import check
    from analysis.pairing import paired_votes
    from fer import checkpoint as checkpoints
    from fer.data import load
    from fer.evaluation import evaluate_checkpoint

    corpus = load(REAL_DATA)
    table = evaluate_checkpoint(checkpoints.load("baseline"), corpus.split("validation"))
    found = audit(table)
    said = check(table, found.order, paired_votes(table, corpus, REAL_DATA.parent / "ferplus.csv"))
    precision = {at.k: at.precision for at in said.precision}
    assert (said.n, said.without_votes) == (3579, 10) and said.base_rate == pytest.approx(622 / 3579)
    assert precision[100] > 0.5 and precision[500] > 0.4 and precision[3579] == said.base_rate
