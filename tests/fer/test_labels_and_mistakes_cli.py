"""``fer labels audit`` and ``fer mistakes`` from the command line: what they write, what they refuse."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import labels
from analysis.labels.audit import audit
from analysis.mistakes import find_mistakes
from fer.data import load
from fer.data.ferplus import CANDIDATES
from fer.emotions import EMOTIONS
from fer.training import out_of_fold
from fer.types import PredictionTable
from tests import fakes
from tests.conftest import save_random

AUDIT_FILES = {"label-audit.json", "suspects.csv", "suspects.png"}
FAST = ["--set", "epochs=1", "--set", "batch_size=14", "--set", "precision=fp32", "--set", "ema=0"]


@pytest.fixture
def table(fake_zip, tmp_path):
    """A saved table of the validation split: two labels of three a class look right."""
    faces = load(fake_zip).split("validation")
    labels = faces.labels.numpy()
    shown = np.where(np.arange(21) % 3 == 0, (labels + 1) % 7, labels)
    logits = 3 * np.eye(7)[shown] + np.random.default_rng(0).random((21, 7))
    PredictionTable(logits, labels, faces.names, EMOTIONS, "validation").save(tmp_path / "table.npz")
    return tmp_path / "table.npz"


@pytest.fixture
def votes(fake_zip, tmp_path):
    """Ten votes for the label of every validation face but the first one, which nobody calls so."""
    lines = [f"file,usage,{','.join(CANDIDATES)}"]
    faces = load(fake_zip).split("validation")
    for row, name in enumerate(faces.names):
        chosen = "contempt" if row == 0 else EMOTIONS[faces.labels[row]]
        lines.append(f"{name},PublicTest," + ",".join("10" if chosen == candidate else "0" for candidate in CANDIDATES))
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "votes.csv"


# fer labels audit


def test_an_audit_of_a_table(fer, fake_zip, table, tmp_path):
    outcome = fer("labels", "audit", "--table", table, "--data", fake_zip, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == AUDIT_FILES
    assert outcome.err.splitlines() == [
        f"wrote {tmp_path / 'out' / name}" for name in ("label-audit.json", "suspects.csv", "suspects.png")
    ]
    printed = json.loads(outcome.out)
    assert printed == json.loads((tmp_path / "out" / "label-audit.json").read_text(encoding="utf-8"))
    found = audit(PredictionTable.load(table))
    assert [suspect["name"] for suspect in printed["ranking"]] == [suspect.name for suspect in found.suspects] != []


def test_the_gallery_has_as_many_suspects_as_are_asked_for(fer, fake_zip, table, tmp_path, monkeypatch):
    drawn, draw = [], labels.suspects_figure
    monkeypatch.setattr(labels, "suspects_figure", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    for top in ([], ["--top", 2]):
        outcome = fer("labels", "audit", "--table", table, "--data", fake_zip, "--out", tmp_path / "out", *top)
        assert outcome.code == 0
    count = len(audit(PredictionTable.load(table)).suspects)
    assert count > 2
    assert [sum(bool(ax.images) for ax in figure.axes) for figure in drawn] == [count, 2]
    assert f"2 of {count} suspect labels" in drawn[1].get_suptitle()


def test_an_audit_beside_votes(fer, fake_zip, table, votes, tmp_path):
    arguments = ["labels", "audit", "--table", table, "--data", fake_zip, "--votes", votes, "--out", tmp_path / "out"]
    outcome = fer(*arguments)
    assert outcome.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == AUDIT_FILES | {"precision.png", "agreement.png"}
    assert "no tagger chose the label: 4.76 % of 21 faces" in outcome.out  # 1 of 21
    assert all(name in outcome.out for name in (*EMOTIONS, "label error", "ambiguous", "model error", "9–10"))
    assert json.loads(fer(*arguments, "--json").out)["taggers"]["base_rate"] == pytest.approx(1 / 21)


def test_an_audit_that_trains_its_folds_itself(fer, fake_zip, tmp_path):
    """Then the same audit from the folder it left."""
    outcome = fer(
        "labels", "audit", "--architecture", "baseline", "--folds", 2, *FAST, "--data", fake_zip,
        "--runs", tmp_path / "runs", "--out", tmp_path / "first", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (series,) = (tmp_path / "runs").iterdir()
    assert f"fer labels audit --series {series}" in outcome.err
    content = json.loads(outcome.out)
    assert content["n"] == 42 and content["source"]["folds"] == "2"
    assert content["source"] == dict(out_of_fold.load(series).source)
    again = fer("labels", "audit", "--series", series, "--data", fake_zip, "--out", tmp_path / "second", "--json")
    assert again.code == 0 and json.loads(again.out) == content


def test_a_table_of_the_train_split_that_is_not_out_of_fold_is_remarked_upon(fer, fake_zip, checkpoint_file, tmp_path):
    path = tmp_path / "train.npz"
    fer("evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file, "--split", "train", "--table", path)
    outcome = fer("labels", "audit", "--table", path, "--data", fake_zip, "--out", tmp_path / "out")
    assert outcome.code == 0 and "has learnt their wrong labels" in outcome.err


def strange(path: Path, table: Path, change) -> Path:
    change(PredictionTable.load(table)).save(path)
    return path


REFUSED = {
    "nothing to read": ([], ["--series", "--table", "--architecture"]),
    "two things to read": (["--table", "TABLE", "--architecture", "baseline"], ["one of"]),
    "no data": (["--table", "TABLE", "--data", "nowhere.zip"], ["nowhere.zip"]),
    "no table": (["--table", "nowhere.npz"], ["nowhere.npz"]),
    "no series": (["--series", "nowhere"], ["nowhere", "fer train NAME --folds 5"]),
    "other faces": (["--table", "OTHER FACES"], ["holiday.png", "validation split"]),
    "other classes": (["--table", "OTHER CLASSES"], ["contempt"]),
    "one class": (["--table", "ONE CLASS"], ["labelled happy", "two or more"]),
    "one face": (["--table", "ONE FACE"], ["all 1 faces"]),
    "no votes": (["--table", "TABLE", "--votes", "nowhere.csv"], ["nowhere.csv"]),
    "votes of something else": (["--table", "TABLE", "--votes", "OTHER VOTES"], ["votes for not one image"]),
    "no such architecture": (["--architecture", "resnet81"], ["resnet81", "resnet18"]),
    "one fold": (["--architecture", "baseline", "--folds", "1"], ["--folds 1", "two or more"]),
    "too many folds": (["--architecture", "baseline", "--folds", "99", *FAST], ["99 folds", "choose 2..6"]),
    "unknown key": (["--architecture", "baseline", "--set", "epoch=1"], ["epoch", "did you mean 'epochs'"]),
    "folds of a table": (["--table", "TABLE", "--folds", "3"], ["--folds", "--architecture"]),
    "settings of a table": (["--table", "TABLE", "--set", "epochs=1"], ["--set", "--architecture"]),
    "runs of a series": (["--series", "nowhere", "--runs", "elsewhere"], ["--runs", "--architecture"]),
    "no suspect wanted": (["--table", "TABLE", "--top", "0"], ["--top"]),
    "votes are bad before anything is trained": (
        ["--architecture", "baseline", *FAST, "--votes", "OTHER VOTES"], ["votes for not one image"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_an_impossible_audit_is_refused_in_one_line_and_leaves_nothing(kind, fer, fake_zip, table, tmp_path, monkeypatch):
    arguments, words = REFUSED[kind]
    stand_ins = {
        "TABLE": lambda: table,
        "OTHER FACES": lambda: strange(tmp_path / "a.npz", table, lambda t: replace(t, names=("holiday.png", *t.names[1:]))),
        "OTHER CLASSES": lambda: strange(tmp_path / "b.npz", table, lambda t: replace(t, classes=(*EMOTIONS[:6], "contempt"))),
        "ONE CLASS": lambda: strange(tmp_path / "c.npz", table, lambda t: t.rows(t.labels == EMOTIONS.index("happy"))),
        "ONE FACE": lambda: strange(tmp_path / "d.npz", table, lambda t: t.rows(np.array([2]))),
        "OTHER VOTES": lambda: other_votes(tmp_path / "other.csv"),
    }
    arguments = [stand_ins[word]() if word in stand_ins else word for word in arguments]
    data = [] if "--data" in arguments else ["--data", fake_zip]
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("labels", "audit", *arguments, *data)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == []
    assert list((tmp_path / "work").iterdir()) == []


def other_votes(path: Path) -> Path:
    path.write_text(f"file,usage,{','.join(CANDIDATES)}\nholiday.png,Training,{','.join('1' * 10)}\n", encoding="utf-8")
    return path


# fer mistakes


@pytest.fixture
def own_table(fer, fake_zip, checkpoint_file, tmp_path):
    """The table of the random checkpoint over the validation split."""
    assert fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip, "--table", tmp_path / "own.npz").code == 0
    return tmp_path / "own.npz"


def test_mistakes_of_a_checkpoint(fer, fake_zip, checkpoint_file, own_table, votes, tmp_path):
    common = ["mistakes", "--checkpoint", checkpoint_file, "--data", fake_zip, "--votes", votes]
    outcome = fer(*common, "--out", tmp_path / "out")
    assert outcome.code == 0
    written = [tmp_path / "out" / name for name in ("mistakes.json", "mistakes.html", "mistakes.png")]
    assert outcome.err.splitlines() == [f"wrote {path}" for path in written]
    table = PredictionTable.load(own_table)
    found = find_mistakes(table)
    assert f"{found.wrong} of 21 wrong" in " ".join(outcome.out.split())
    content = json.loads(written[0].read_text(encoding="utf-8"))
    assert content["wrong"] == found.wrong and content["source"]["weights_sha256"] == table.source["weights_sha256"]
    assert content["faces"][0]["votes"][CANDIDATES.index("contempt")] == 10
    assert content["maps"][0]["title"] == "gradcam for the prediction"
    assert content["maps"][0]["targets"] == [face["predicted"] for face in content["faces"]]
    again = fer(*common, "--table", own_table, "--out", tmp_path / "again", "--json")
    assert json.loads(again.out) == found.to_dict()
    for name in ("mistakes.json", "mistakes.html"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_method_whose_map_is_the_same_for_every_class_has_no_contrast(fer, fake_zip, checkpoint_file, tmp_path):
    out = tmp_path / "out"
    assert fer("mistakes", "--checkpoint", checkpoint_file, "--data", fake_zip, "-m", "eigencam", "--out", out).code == 0
    maps = json.loads((out / "mistakes.json").read_text(encoding="utf-8"))["maps"]
    assert [layer["title"] for layer in maps] == ["eigencam for the prediction"]


def test_mistakes_of_another_split(fer, fake_zip, checkpoint_file, tmp_path):
    outcome = fer(
        "mistakes", "--checkpoint", checkpoint_file, "--data", fake_zip, "--split", "test", "--out", tmp_path, "--json"
    )
    assert outcome.code == 0 and json.loads(outcome.out)["n"] == 14


def test_mistakes_of_one_face(fer, checkpoint_file, tmp_path):
    rows = [fakes.csv_line("happy", fakes.fake_face("happy", 1), "PublicTest")]
    (tmp_path / "one.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
    outcome = fer(
        "mistakes", "--checkpoint", checkpoint_file, "--data", tmp_path / "one.csv", "--out", tmp_path / "out", "--json"
    )
    assert outcome.code == 0 and json.loads(outcome.out)["n"] == 1


REFUSED_MISTAKES = {
    "no data": (["--data", "nowhere.zip"], ["nowhere.zip"]),
    "no checkpoint": (["--checkpoint", "nowhere.pth"], ["nowhere.pth"]),
    "no such split": (["--split", "PublicTest"], ["PublicTest", "validation"]),
    "no such method": (["--method", "lime"], ["lime", "gradcam"]),
    "no table": (["--table", "nowhere.npz"], ["nowhere.npz"]),
    "another checkpoint's table": (["--checkpoint", "OTHER", "--table", "OWN"], ["random", "other", "--checkpoint"]),
    "a table of nobody's": (["--table", "TABLE"], ["another checkpoint"]),
    "another split's table": (["--table", "OWN", "--split", "test"], ["--split validation"]),
    "no votes": (["--votes", "nowhere.csv"], ["nowhere.csv"]),
    "votes of something else": (["--votes", "OTHER VOTES"], ["votes for not one image"]),
    "faces of something else": (["--table", "OTHER FACES"], ["holiday.png"]),
    "other classes": (["--table", "OTHER CLASSES"], ["contempt"]),
}


@pytest.mark.parametrize("kind", REFUSED_MISTAKES)
def test_impossible_mistakes_are_refused_in_one_line_and_leave_nothing(
    kind, fer, fake_zip, table, own_table, checkpoint_file, tmp_path, monkeypatch
):
    arguments, words = REFUSED_MISTAKES[kind]
    stand_ins = {
        "TABLE": lambda: table,
        "OWN": lambda: own_table,
        "OTHER": lambda: save_random(tmp_path / "other.pth", seed=5),
        "OTHER VOTES": lambda: other_votes(tmp_path / "other.csv"),
        "OTHER FACES": lambda: strange(
            tmp_path / "a.npz", own_table, lambda t: replace(t, names=("holiday.png", *t.names[1:]))
        ),
        "OTHER CLASSES": lambda: strange(
            tmp_path / "b.npz", own_table, lambda t: replace(t, classes=(*EMOTIONS[:6], "contempt"))
        ),
    }
    arguments = [stand_ins[word]() if word in stand_ins else word for word in arguments]
    defaults = {"--data": fake_zip, "--checkpoint": checkpoint_file}
    rest = [word for option, value in defaults.items() if option not in arguments for word in (option, value)]
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("mistakes", *arguments, *rest)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == []
    assert list((tmp_path / "work").iterdir()) == []


def test_results_cannot_be_written_into_a_file(fer, fake_zip, table, own_table, checkpoint_file, tmp_path):
    (tmp_path / "out").write_text("in the way", encoding="utf-8")
    for command in (
        ["labels", "audit", "--table", table],
        ["mistakes", "--checkpoint", checkpoint_file, "--table", own_table],
    ):
        outcome = fer(*command, "--data", fake_zip, "--out", tmp_path / "out")
        (line,) = outcome.err.splitlines()
        assert outcome.code == 2 and str(tmp_path / "out") in line and "choose another" in line
    assert (tmp_path / "out").read_text(encoding="utf-8") == "in the way"


@pytest.mark.parametrize("command", [["labels"], ["labels", "audit"], ["mistakes"]], ids=" ".join)
def test_the_commands_have_help(command, fer):
    outcome = fer(*command, "--help")
    assert outcome.code == 0 and outcome.err == "" and f"fer {' '.join(command)}" in outcome.out
