"""A checkpoint that learnt other labels than those it is judged by is not judged without a word."""

from dataclasses import replace

import pytest

from fer import checkpoint as checkpoints
from fer.data import load
from tests.conftest import save_random
from tests.fer import voted

NOTE = "ferplus learnt the labels ferplus-majority, and fer judge it here; by its own: fer evaluate --labels ferplus-majority"


@pytest.fixture
def of_votes(checkpoint_file, tmp_path):
    loaded = checkpoints.load(checkpoint_file)
    card = replace(loaded.card, config={**loaded.card.config, "labels": "ferplus-majority"})
    checkpoints.save(tmp_path / "ferplus.pth", checkpoints.read(checkpoint_file)["state_dict"], card)
    return tmp_path / "ferplus.pth"


COMMANDS = {
    "evaluate": ["evaluate", "--checkpoint", "C"],
    "confidence": ["confidence", "--checkpoint", "C", "--out", "O"],
    "mistakes": ["mistakes", "--checkpoint", "C", "--out", "O"],
    "features": ["features", "--checkpoint", "C", "--out", "O"],
    "explain": ["explain", "--checkpoint", "C", "--out", "O"],
    "compare": ["compare", "C", "D", "--out", "O"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_it_is_said_of_that_checkpoint_alone(words, of_votes, fake_zip, fer, tmp_path):
    other = save_random(tmp_path / "other.pth", seed=1)
    places = {"C": of_votes, "D": other, "O": tmp_path / "out"}
    outcome = fer(*(places.get(word, word) for word in words), "--data", fake_zip)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.err.splitlines() if "learnt the labels" in line]
    assert len(lines) == 1 and lines[0].startswith(NOTE)


def test_other_labels_than_the_data_sets_are_said_too(checkpoint_file, fake_zip, fer, tmp_path):
    votes = voted.write_votes(tmp_path / "votes.csv", load(fake_zip))
    outcome = fer(
        "evaluate", "--checkpoint", checkpoint_file, "--labels", "ferplus-majority", "--votes", votes, "--data", fake_zip
    )
    assert (
        "random learnt the labels fer, and ferplus-majority judge it here; by its own: fer evaluate --labels fer\n"
        in outcome.err
    )


def test_nothing_is_said_of_labels_that_are_refused(checkpoint_file, fake_zip, fer, tmp_path):
    for words in (
        ["--labels", "nobody's"],
        ["--labels", "ferplus-majority"],
        ["--labels", "ferplus-soft", "--votes", fake_zip],
        ["--votes", fake_zip],
    ):
        outcome = fer("evaluate", "--checkpoint", checkpoint_file, *words, "--data", fake_zip)
        (line,) = outcome.err.splitlines()
        assert outcome.code == 2 and "learnt the labels" not in line
        assert "or --set" not in line  # the command has none
