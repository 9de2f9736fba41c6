"""Tables, faces and votes that belong together, and those that do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.pairing import paired, paired_votes
from fer.data import load
from fer.data.ferplus import CANDIDATES
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.types import PredictionTable


@pytest.fixture
def corpus(fake_folder):
    return load(fake_folder)


@pytest.fixture
def table(corpus):
    faces = corpus.split("validation")
    return PredictionTable(np.zeros((len(faces), 7)), faces.labels.numpy(), faces.names, EMOTIONS, "validation")


def write_votes(path, corpus, count=10):
    """Ten votes, for happy and, more from row to row, for sad; the last face is left out."""
    faces = corpus.split("validation")
    rows = []
    for row, name in enumerate(faces.names[:-1]):
        cells = {"happy": count - row % 7, "sad": row % 7}
        rows.append(f"{name},PublicTest," + ",".join(str(cells.get(candidate, 0)) for candidate in CANDIDATES))
    path.write_text("\n".join([f"file,usage,{','.join(CANDIDATES)}", *rows]) + "\n", encoding="utf-8")
    return path


def test_the_faces_of_a_table_come_in_its_order(corpus, table):
    faces = corpus.split("validation")
    order = np.random.default_rng(0).permutation(len(table))[:9]
    found = paired(table.rows(order), corpus)
    assert found.names == tuple(faces.names[row] for row in order)
    assert torch.equal(found.images, faces.images[torch.from_numpy(order)])
    assert torch.equal(paired(table, corpus).images, faces.images)


def test_a_table_of_fewer_classes_belongs_too(corpus, table):
    few = table.only(["happy", "sad"])
    assert paired(few, corpus).names == few.names


def test_the_votes_of_a_table_come_in_its_order(corpus, table, tmp_path):
    order = np.array([20, 3, 0])
    found = paired_votes(table.rows(order), corpus, write_votes(tmp_path / "votes.csv", corpus))
    happy, sad = CANDIDATES.index("happy"), CANDIDATES.index("sad")
    assert found[0].tolist() == [-1] * 10  # the one that was left out
    assert (found[1][happy], found[1][sad], found[1].sum()) == (7, 3, 10)
    assert (found[2][happy], found[2][sad], found[2].sum()) == (10, 0, 10)


def renamed(table):
    return replace(table, names=("holiday.png", *table.names[1:]))


def relabelled(table):
    return replace(table, labels=(table.labels + 1) % 7)


OTHERS = {
    "other faces": (renamed, ["1 of 21", "holiday.png", "validation split"]),
    "other labels": (relabelled, ["calls", "disgust", "angry", "own labels"]),
    "other classes": (lambda table: replace(table, classes=("contempt", *EMOTIONS[1:])), ["contempt", "angry"]),
    "another split": (lambda table: replace(table, split="train"), ["21 of 21", "train split"]),
    "a split that is not there": (lambda table: replace(table, split="nowhere"), ["nowhere"]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_of_something_else_is_refused_in_one_line(kind, corpus, table):
    change, words = OTHERS[kind]
    with pytest.raises(DataError) as caught:
        paired(change(table), corpus)
    assert len(str(caught.value).splitlines()) == 1 and [word for word in words if word not in str(caught.value)] == []


def test_an_unused_class_that_the_data_does_not_know_is_refused(corpus, table):
    wider = replace(table, logits=np.zeros((21, 8)), classes=(*EMOTIONS, "contempt"))
    with pytest.raises(DataError, match="the table knows contempt"):
        paired(wider, corpus)


def test_votes_for_none_of_the_faces_are_refused(corpus, table, tmp_path):
    with pytest.raises(DataError, match="votes for no face of this validation split"):
        paired_votes(table.rows(np.array([20])), corpus, write_votes(tmp_path / "votes.csv", corpus))


def test_rows_of_votes_without_a_vote_are_no_votes(corpus, table, tmp_path):
    path = write_votes(tmp_path / "votes.csv", corpus)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = f"{table.names[0]},PublicTest,{','.join('0' * 10)}"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert paired_votes(table, corpus, path)[0].tolist() == [-1] * 10
