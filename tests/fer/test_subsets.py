"""Runs on some classes, evaluations among some classes, and labels by FER+ votes, from the command line to the figures."""

import json
import math
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from fer import checkpoint as checkpoints
from fer.cli import main
from fer.config import RunConfig
from fer.data import FaceSet, load
from fer.data.ferplus import apply_votes
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.overrides import with_values
from fer.samples import sample_path
from fer.training.run import Watch, train
from fer.types import PredictionTable
from tests import fakes

FOUR = ("angry", "disgust", "fear", "happy")
FAST = ["--epochs", 1, "--set", "batch_size=12", "--set", "precision=fp32", "--set", "ema=0"]
COLUMNS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
THEIRS = dict(zip(("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"), range(7), strict=True))


@pytest.fixture(scope="module")
def four(fake_folder, tmp_path_factory) -> Path:
    """The folder of a run on four classes; the tests below only read it."""
    said, runs = StringIO(), tmp_path_factory.mktemp("runs")
    command = ["train", "baseline", "--classes", "happy, Anger,fear,disgusted", "--data", fake_folder, "--runs", runs, *FAST]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert main([str(word) for word in command]) == 0
    return Path(said.getvalue().strip())


# a net of four classes


def test_a_run_on_four_classes_knows_these_in_the_usual_order(four):
    card = checkpoints.load(four / "best.pth").card
    assert card.classes == FOUR and card.config["classes"] == list(FOUR)
    assert card.class_weights == (1.0,) * 4
    assert (card.data["splits"]["train"]["n"], card.data["splits"]["validation"]["n"]) == (24, 12)
    metrics = json.loads((four / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["per_class"]) == list(FOUR) and metrics["n"] == 12
    assert PredictionTable.load(four / "validation.npz").logits.shape == (12, 4)


def test_it_is_evaluated_on_the_faces_of_its_classes(fer, four, fake_folder):
    outcome = fer("evaluate", "-c", four / "best.pth", "--data", fake_folder, "--json")
    assert outcome.code == 0
    again, before = json.loads(outcome.out), json.loads((four / "metrics.json").read_text(encoding="utf-8"))
    assert again["n"] == 12 and again["confusion_matrix"] == before["confusion_matrix"]
    assert again["log_loss"] == pytest.approx(before["log_loss"], abs=1e-6)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_its_predictions_are_distributions_over_its_classes(form, fer, four):
    outcome = fer("predict", sample_path(), "-c", four / "best.pth", "--format", form)
    assert outcome.code == 0
    if form == "json":
        (face,) = json.loads(outcome.out)[0]["faces"]
        probabilities = face["probabilities"]
        assert list(probabilities) == list(FOUR)
    else:
        header, row = (line.split(",") for line in outcome.out.splitlines())
        cells = {name: value for name, value in zip(header, row, strict=True) if name in EMOTIONS}
        assert list(cells) == list(EMOTIONS) and all(cells[name] == "" for name in set(EMOTIONS) - set(FOUR))
        probabilities = {name: float(cells[name]) for name in FOUR}
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_it_is_explained(fer, four, fake_folder, tmp_path):
    outcome = fer("explain", sample_path(), "-c", four / "best.pth", "--out", tmp_path / "one")
    assert outcome.code == 0
    (face,) = json.loads((tmp_path / "one" / "explanations.json").read_text(encoding="utf-8"))["faces"]
    assert face["label"] in FOUR
    outcome = fer("explain", "--data", fake_folder, "-c", four / "best.pth", "--out", tmp_path / "many")
    assert outcome.code == 0 and (tmp_path / "many" / "gallery-validation.png").is_file()


def test_a_class_it_does_not_know_is_not_explained(fer, four, tmp_path):
    outcome = fer("explain", sample_path(), "-c", four / "best.pth", "--target", "sad", "--out", tmp_path / "none")
    assert outcome.code == 2 and "does not know the class 'sad'" in outcome.err and ", ".join(FOUR) in outcome.err
    assert not (tmp_path / "none").exists()


# a net of seven classes among four


def test_an_evaluation_among_four_classes_equals_a_computation_from_the_whole_table(
    fer, checkpoint_file, fake_folder, tmp_path
):
    arguments = ["evaluate", "-c", checkpoint_file, "--data", fake_folder, "--json"]
    assert fer(*arguments, "--table", tmp_path / "all.npz").code == 0
    outcome = fer(*arguments, "--classes", "happy,angry,Fearful,disgust", "--table", tmp_path / "four.npz")
    assert outcome.code == 0
    found, whole = json.loads(outcome.out), np.load(tmp_path / "all.npz")
    rows = whole["labels"] < 4  # the four are the first of the seven
    scores, labels = whole["logits"][rows][:, :4].astype(np.float64), whole["labels"][rows]
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    predicted = probs.argmax(axis=1)
    assert found["n"] == 12 and found["confusion_matrix"] == sk.confusion_matrix(labels, predicted, labels=range(4)).tolist()
    assert found["accuracy"] == pytest.approx((labels == predicted).mean())
    assert found["log_loss"] == pytest.approx(-np.log(probs[np.arange(12), labels]).mean(), rel=1e-5)
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro", labels=range(4), zero_division=0))
    kept = PredictionTable.load(tmp_path / "four.npz")
    assert kept.classes == FOUR and kept.names == tuple(np.array(PredictionTable.load(tmp_path / "all.npz").names)[rows])


def test_a_table_keeps_rows_and_columns_of_some_classes():
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = PredictionTable(logits, np.array([2, 0, 1, 2]), ("a", "b", "c", "d"), ("fear", "happy", "sad"), "test", {"x": "y"})
    part = table.only(["sad", "fear"])
    assert part.classes == ("fear", "sad") and part.names == ("a", "b", "d") and part.split == "test"
    assert part.labels.tolist() == [1, 0, 1]
    assert part.logits.tolist() == [[0, 2], [3, 5], [9, 11]]
    with pytest.raises(ValueError, match="not all among"):
        table.only(["angry", "sad"])


def test_a_face_set_keeps_the_faces_of_some_classes_and_shares_out_their_votes():
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 48, 48)
    targets = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    faces = FaceSet(images, torch.tensor([2, 0, 1, 2]), ("a", "b", "c", "d"), "train", ("fear", "happy", "sad"), targets)
    part = faces.only(("sad", "fear"))
    assert part.classes == ("fear", "sad") and part.names == ("a", "b", "d") and part.labels.tolist() == [1, 0, 1]
    assert part.images[:, 0, 0, 0].tolist() == [0, 1, 3]
    torch.testing.assert_close(part.targets, torch.tensor([[2 / 7, 5 / 7], [6 / 7, 1 / 7], [0.0, 1.0]]))
    assert faces.only(("happy", "sad", "fear")) is faces
    with pytest.raises(DataError, match="the train split has no image of angry, surprise"):
        faces.only(("angry", "surprise"))


REFUSED = {
    "unknown class": (["--classes", "happy,contempt"], ["contempt", *EMOTIONS]),
    "misspelt class": (["--classes", "hapy,sad"], ["did you mean 'happy'?"]),
    "one class": (["--classes", "happy"], ["two or more"]),
    "one class twice": (["--classes", "happy,happiness"], ["two or more"]),
    "no class": (["--classes", ","], ["two or more"]),
    "empty": (["--classes", ""], ["two or more"]),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_bad_choice_of_classes_is_refused_in_one_line(kind, command, fer, fake_folder, checkpoint_file, tmp_path):
    arguments, words = REFUSED[kind]
    first = ["train", "baseline", "--runs", tmp_path / "runs"] if command == "train" else ["evaluate", "-c", checkpoint_file]
    outcome = fer(*first, "--data", fake_folder, *arguments)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == []
    assert not (tmp_path / "runs").exists()


def test_classes_without_faces_are_refused_before_anything_is_written(fer, tmp_path):
    data = fakes.write_folder(tmp_path / "data", train=2, validation=1)
    for path in (data / "train" / "sad").iterdir():
        path.unlink()
    (data / "train" / "sad").rmdir()
    outcome = fer("train", "baseline", "--classes", "happy,sad", "--data", data, "--runs", tmp_path / "runs")
    assert outcome.code == 2 and "the train split has no image of sad" in outcome.err and len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


# labels by votes


def write_votes(path: Path) -> Path:
    """Seven of ten votes for the class next to the label, three for the label; in each class, the first face's are split."""
    rows, seen = [f"file,usage,{COLUMNS}"], set()
    for image in fakes.fake_set(train=6, validation=3, test=2):
        votes, following = [0] * 10, EMOTIONS[(EMOTIONS.index(image.label) + 1) % 7]
        first = (image.split, image.label) not in seen
        votes[THEIRS[following]], votes[THEIRS[image.label]] = (5, 5) if first else (7, 3)
        seen.add((image.split, image.label))
        rows.append(",".join([image.path, "Training", *map(str, votes)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("labels, kept", [("ferplus-majority", (35, 14)), ("ferplus-soft", (42, 21))])
def test_votes_are_trained_on_and_said_in_the_card(labels, kept, fer, fake_folder, tmp_path):
    votes = write_votes(tmp_path / "votes.csv")
    command = ["train", "baseline", "--data", fake_folder, "--runs", tmp_path / "runs", "--labels", labels, "--votes", votes]
    outcome = fer(*command, *FAST)
    assert outcome.code == 0 and f"labels {labels}" in outcome.err
    folder = Path(outcome.out.strip())
    card = checkpoints.load(folder / "best.pth").card
    assert (card.data["splits"]["train"]["n"], card.data["splits"]["validation"]["n"]) == kept
    assert labels in card.data["labels"] and card.config["labels"] == labels and card.config["votes"] == str(votes)
    expected = apply_votes(load(fake_folder), votes, labels)[0].split("validation")
    table = PredictionTable.load(folder / "validation.npz")
    assert table.names == expected.names and table.labels.tolist() == expected.labels.tolist()
    again = fer(*command, *FAST, "--classes", "happy,neutral,sad")
    assert again.code == 0
    part = PredictionTable.load(Path(again.out.strip()) / "validation.npz")
    assert part.classes == ("happy", "neutral", "sad") and len(part) == kept[1] * 3 // 7


def test_a_net_learns_the_shares_of_the_votes(fake_folder, tmp_path):
    """Seven tenths and three tenths: no loss lies below their entropy."""
    values = {
        "model": "baseline", "epochs": 8, "batch_size": 14, "precision": "fp32", "lr": 0.03, "label_smoothing": 0, "warmup": 0,
        "labels": "ferplus-soft", "votes": str(write_votes(tmp_path / "votes.csv")), "flip": 0, "rotate": 0, "shift": 0,
        "zoom": 0, "brightness": 0, "contrast": 0, "dropout": 0,
    }  # fmt: skip
    run = train(with_values(RunConfig(), values, "test"), load(fake_folder), tmp_path / "run", Watch())
    losses = [epoch.train_loss for epoch in run.history]
    entropies = [-sum(p * math.log(p) for p in shares) for shares in ((0.5, 0.5), (0.7, 0.3))]
    least = (entropies[0] + 5 * entropies[1]) / 6  # one face of six in every class is undecided
    assert losses[0] > losses[-1] > least - 1e-3
    assert losses[-1] < (math.log(7) + least) / 2
