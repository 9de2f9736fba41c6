"""The clean index: written, read, refused for other data; what train, evaluate and ``fer data clean`` make of it."""

import csv
import io
import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import load
from fer.data.clean import CleanIndex, LeftOut, make_index, read_index
from fer.data.labels import relabel
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.evaluation import validation_faces
from fer.metrics import evaluate_table
from fer.release import release
from fer.types import PredictionTable
from tests import fakes


def names(data, split, label):
    """Names of the faces of one class, in order."""
    faces = load(data).split(split)
    return [name for name, n in zip(faces.names, faces.labels, strict=True) if faces.classes[n] == label]


@pytest.fixture
def index(fake_zip):
    """Leaves out two of six happy training faces, one of six sad ones, and all three angry validation faces."""
    gone = [LeftOut("train", name, "copy", "train/somewhere") for name in names(fake_zip, "train", "happy")[:2]]
    gone += [LeftOut("train", names(fake_zip, "train", "sad")[0], "blank")]
    gone += [LeftOut("validation", name, "leak") for name in names(fake_zip, "validation", "angry")]
    return CleanIndex(load(fake_zip).named_fingerprint, tuple(gone))


@pytest.fixture
def index_file(index, tmp_path):
    index.write(tmp_path / "clean.json")
    return tmp_path / "clean.json"


def test_what_is_written_is_read(index, index_file):
    assert read_index(index_file) == index
    assert read_index(index_file).sha256 == index.sha256
    assert index.reasons == {"copy": 2, "blank": 1, "leak": 3}


def test_an_empty_index_is_one(tmp_path):
    CleanIndex("abc", ()).write(tmp_path / "clean.json")
    assert read_index(tmp_path / "clean.json") == CleanIndex("abc", ())


def test_names_of_any_script_survive(tmp_path):
    index = CleanIndex("abc", (LeftOut("train", 'train/happy/"é\n笑\u2028.png', "copy"),))
    index.write(tmp_path / "clean.json")
    assert read_index(tmp_path / "clean.json") == index


def test_names_that_are_no_utf8_survive(tmp_path):
    """As a folder's files give them: bytes that are no text stand as lone surrogates."""
    index = CleanIndex("x", (LeftOut("train", "happy/caf\udce9.jpg", "copy", "train/\udcff.jpg"),))
    index.write(tmp_path / "clean.json")
    assert read_index(tmp_path / "clean.json") == index and len(index.sha256) == 64


def test_a_face_is_named_once_by_its_first_reason():
    faces = [LeftOut("train", "a", "blank"), LeftOut("train", "a", "copy"), LeftOut("test", "a", "leak")]
    assert make_index("abc", faces).left_out == (faces[0], faces[2])


def test_kept_goes_by_split_and_name():
    index = CleanIndex("abc", (LeftOut("train", "a", "copy"), LeftOut("test", "b", "leak")))
    assert index.kept("train", ["a", "b", "c"]).tolist() == [False, True, True]
    assert index.kept("test", ["a", "b", "c"]).tolist() == [True, False, True]
    with pytest.raises(DataError, match="leaves no face of the train split"):
        index.kept("train", ["a"])


GOOD = {"format": "fer clean index 2", "fingerprint": "abc", "left_out": []}
BAD = {
    "no such file": None,
    "no json": "{",
    "a list": "[]",
    "an older format": json.dumps(GOOD | {"format": "fer clean index 1"}),
    "no fingerprint": json.dumps({key: GOOD[key] for key in ("format", "left_out")}),
    "a number": json.dumps(GOOD | {"fingerprint": 3}),
    "an unknown key": json.dumps(GOOD | {"left_out": [{"split": "train", "name": "a", "reason": "b", "colour": "c"}]}),
    "a missing key": json.dumps(GOOD | {"left_out": [{"split": "train"}]}),
    "a name that is none": json.dumps(GOOD | {"left_out": [{"split": "train", "name": 3, "reason": "b"}]}),
    "faces that are none": json.dumps(GOOD | {"left_out": 7}),
    "very deep": "[" * 100_000,
    "other data": json.dumps(GOOD),
}
COMMANDS = {
    "train": ["train", "baseline", "--data", "{data}", "--clean", "{index}", "--set", "batch_size=2", "--epochs", "1"],
    "evaluate": ["evaluate", "--data", "{data}", "--checkpoint", "{checkpoint}", "--clean", "{index}"],
    "clean": ["data", "clean", "{data}", "--index", "{index}", "--out", "new"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_index_is_one_line(kind, command, fer, fake_zip, checkpoint_file, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    path = tmp_path / "clean.json"
    if BAD[kind] is not None:
        path.write_text(BAD[kind], encoding="utf-8")
    outcome = fer(*[text.format(data=fake_zip, index=path, checkpoint=checkpoint_file) for text in COMMANDS[command]])
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == ""
    assert ("made for other data" in line if kind == "other data" else str(path) in line) and "fer data check" in line
    assert list((tmp_path / "work").iterdir()) == []


def test_faces_under_other_names_are_other_data(fake_folder, fake_csv, tmp_path):
    inside = shutil.copytree(fake_folder, tmp_path / "outer" / "fer" / "inner").parent
    shutil.copytree(fake_folder, tmp_path / "same")
    head, *rows = fake_csv.read_text(encoding="utf-8").splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    for known, other in ((fake_folder, inside), (fake_csv, tmp_path / "turned.csv")):
        assert load(known).fingerprint == load(other).fingerprint
        with pytest.raises(DataError, match="or its faces had other names"):
            CleanIndex(load(known).named_fingerprint, ()).refuse_other(load(other))
    CleanIndex(load(fake_folder).named_fingerprint, ()).refuse_other(load(tmp_path / "same"))


# evaluate


def test_evaluate_prints_raw_and_clean_figures(fer, index, index_file, fake_zip, checkpoint_file, tmp_path):
    plain = ["evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file]
    raw = json.loads(fer(*plain, "--json", "--table", tmp_path / "table.npz").out)
    both = json.loads(fer(*plain, "--json", "--clean", index_file).out)
    assert {key: value for key, value in both.items() if key != "clean"} == raw
    table = PredictionTable.load(tmp_path / "table.npz")
    rows = np.array([EMOTIONS[label] != "angry" for label in table.labels])
    assert both["clean"] == {**evaluate_table(table.rows(rows)), "index_sha256": index.sha256}
    assert (both["n"], both["clean"]["n"]) == (21, 18)
    shown = fer(*plain, "--clean", index_file).out
    assert "all faces" in shown and "clean faces" in shown and f"{100 * both['clean']['accuracy']:.2f} %" in shown


def test_evaluate_says_where_nothing_is_left(fer, fake_zip, checkpoint_file, tmp_path):
    corpus = load(fake_zip)
    CleanIndex(corpus.named_fingerprint, tuple(LeftOut("test", name, "leak") for name in corpus.split("test").names)).write(
        tmp_path / "clean.json"
    )
    arguments = ["evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file, "--clean", tmp_path / "clean.json"]
    assert fer(*arguments).code == 0
    outcome = fer(*arguments, "--split", "test")
    assert outcome.code == 2 and "leaves no face of the test split" in outcome.err


# train


def small(clean, **changes):
    return replace(RunConfig(), clean=str(clean), **changes)


def test_the_train_split_is_cleaned_and_the_others_stay(fake_zip, index, index_file):
    corpus, note = relabel(load(fake_zip), small(index_file))
    assert corpus.split("train").counts == {name: {"happy": 4, "sad": 5}.get(name, 6) for name in EMOTIONS}
    assert corpus.split("validation").fingerprint == load(fake_zip).split("validation").fingerprint
    assert note == "" and corpus.clean_note == f"clean index {index.sha256[:12]}: 39 of 42 train images"
    again, _ = relabel(corpus, small(index_file))  # as every fold of a series does
    assert again.split("train").fingerprint == corpus.split("train").fingerprint


def test_the_index_is_compared_before_classes_are_chosen(fake_zip, index_file):
    corpus, _ = relabel(load(fake_zip), small(index_file, classes=("happy", "sad")))
    assert corpus.split("train").counts == {"happy": 4, "sad": 5}


@pytest.fixture
def train(fer, fake_zip, tmp_path):
    def run(*more):
        settings = ["--set", "batch_size=4", "--set", "precision=fp32", "--epochs", "1"]
        return fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", *settings, *more)

    return run


def test_a_clean_run_says_what_it_was_trained_on(train, index, index_file, tmp_path):
    outcome = train("--clean", index_file)
    assert outcome.code == 0, outcome.err
    card = checkpoints.load(outcome.out.strip() + "/best.pth").card
    assert card.config["clean"] == str(index_file)
    assert card.data["clean"] == f"clean index {index.sha256[:12]}: 39 of 42 train images"
    assert (card.data["splits"]["train"]["n"], card.data["splits"]["validation"]["n"]) == (39, 21)
    assert (card.metrics["validation"]["n"], card.metrics["validation/clean"]["n"]) == (21, 18)
    assert "39 of 42 train images" in outcome.err and "on the 18 clean validation faces" in outcome.err


@pytest.fixture
def unsplit(tmp_path):
    """A set without a validation split, and an index that leaves out some of the faces that would be held out."""
    data = fakes.write_folder(tmp_path / "unsplit", train=10, validation=0, test=0)
    corpus = load(data)
    gone = tuple(LeftOut("train", name, "copy") for name in corpus.for_training()[1].names[:2])
    CleanIndex(corpus.named_fingerprint, gone).write(tmp_path / "unsplit.json")
    return data, tmp_path / "unsplit.json"


def test_a_clean_run_is_released_on_the_faces_that_it_was_chosen_by(fer, unsplit, tmp_path):
    data, index_file = unsplit
    words = ("--clean", index_file, "--set", "batch_size=4", "--set", "precision=fp32", "--epochs", "1")
    outcome = fer("train", "baseline", "--data", data, "--runs", tmp_path / "runs", *words)
    assert outcome.code == 0, outcome.err
    source = checkpoints.load(outcome.out.strip() + "/best.pth")
    judged = validation_faces(source.card, load(data))
    assert judged.fingerprint == source.card.judged_faces and len(judged) == source.card.metrics["validation"]["n"]
    card = release(source, load(data), tmp_path / "released.pth")
    assert card.metrics["validation"]["n"] == len(judged)
    index_file.unlink()
    with pytest.raises(DataError, match="cannot read the clean index"):
        release(source, load(data), tmp_path / "released.pth")


def test_an_index_is_not_needed_where_it_says_nothing_of_the_faces_judged(train, index_file, fake_zip):
    source = checkpoints.load(train("--clean", index_file).out.strip() + "/best.pth")
    index_file.unlink()
    assert validation_faces(source.card, load(fake_zip)).fingerprint == source.card.judged_faces


def test_a_run_whose_clean_figures_could_not_be_taken_does_not_start(train, fake_zip, tmp_path):
    corpus = load(fake_zip)
    gone = tuple(LeftOut("validation", name, "leak") for name in corpus.split("validation").names)
    CleanIndex(corpus.named_fingerprint, gone).write(tmp_path / "clean.json")
    outcome = train("--clean", tmp_path / "clean.json")
    assert outcome.code == 2 and "leaves no face of the validation split" in outcome.err
    assert not (tmp_path / "runs").exists()


def test_a_run_without_an_index_has_no_clean_figure(train):
    card = checkpoints.load(train().out.strip() + "/best.pth").card
    assert "clean" not in card.data and list(card.metrics) == ["validation"] and card.config["clean"] == ""


def test_a_clean_run_is_not_resumed_with_another_index(fer, train, index, index_file, fake_zip, tmp_path):
    folder = train("--clean", index_file).out.strip()
    (tmp_path / "runs" / folder / "metrics.json").unlink()  # as if it had been stopped
    CleanIndex(index.fingerprint, index.left_out[1:]).write(index_file)
    outcome = fer("train", "--resume", folder, "--data", fake_zip)
    assert outcome.code == 2 and "was trained on other data" in outcome.err
    index.write(index_file)
    assert fer("train", "--resume", folder, "--data", fake_zip).code == 0


def test_folds_are_made_of_clean_faces(train, index_file):
    outcome = train("--clean", index_file, "--folds", "2")
    assert outcome.code == 0, outcome.err
    cards = [checkpoints.load(f"{outcome.out.strip()}/fold-{n}/best.pth").card for n in (1, 2)]
    assert sum(card.data["splits"]["validation"]["n"] for card in cards) == 39


# fer data clean


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are always Unicode")
def test_names_that_are_no_utf8_are_found_left_out_and_listed(fer, tmp_path):
    data, found = fakes.write_folder(tmp_path / "data"), tmp_path / "found"
    (one, *_) = sorted((data / "train" / "happy").iterdir())
    shutil.copyfile(one, os.fsencode(one.parent) + b"/zz-caf\xe9" + one.suffix.encode())
    assert fer("data", "check", data, "--out", found).code == 0
    assert "caf\\udce9" in (found / "findings.csv").read_text(encoding="utf-8")
    outcome = fer("data", "clean", data, "--index", found / "clean.json", "--out", tmp_path / "cleaned")
    assert outcome.code == 0, outcome.err
    assert "caf\\udce9" in (tmp_path / "cleaned" / "manifest.csv").read_text(encoding="utf-8")
    left_out = {face.name for face in read_index(found / "clean.json").left_out}
    assert f"train/happy/zz-caf\udce9{one.suffix}" in left_out


def test_the_cleaned_set_has_the_same_faces_labels_and_splits(fer, index, index_file, fake_zip, tmp_path):
    out = tmp_path / "cleaned"
    outcome = fer("data", "clean", fake_zip, "--index", index_file, "--out", out)
    assert outcome.code == 0 and outcome.out.strip() == str(out)
    assert "71 images kept, 6 left out (2 copy, 1 blank, 3 leak)" in outcome.err
    before, after = load(fake_zip), load(out)
    assert list(after.splits) == list(before.splits)
    for split, faces in before.splits.items():
        assert after.split(split).fingerprint == index.select(faces).fingerprint


def test_the_manifest_names_what_went_and_why(fer, index_file, fake_zip, tmp_path):
    fer("data", "clean", fake_zip, "--index", index_file, "--out", tmp_path / "cleaned")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "cleaned" / "manifest.csv").read_text(encoding="utf-8"))))
    assert [(row["split"], row["label"], row["reason"], row["twin"]) for row in rows] == [
        ("train", "happy", "copy", "train/somewhere"),
        ("train", "happy", "copy", "train/somewhere"),
        ("train", "sad", "blank", ""),
        *[("validation", "angry", "leak", "")] * 3,
    ]
    assert [row["name"] for row in rows[:2]] == names(fake_zip, "train", "happy")[:2]


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_other_sources_are_cleaned_too(kind, fer, fake_csv, fake_folder, tmp_path):
    data = {"csv": fake_csv, "folder": fake_folder}[kind]
    corpus = load(data)
    gone = LeftOut("train", corpus.split("train").names[0], "copy")
    CleanIndex(corpus.named_fingerprint, (gone,)).write(tmp_path / "clean.json")
    assert fer("data", "clean", data, "--index", tmp_path / "clean.json", "--out", tmp_path / "new" / "set").code == 0
    assert {name: len(faces) for name, faces in load(tmp_path / "new" / "set").splits.items()} == {
        "train": 41,
        "validation": 21,
        "test": 14,
    }


def test_faces_of_one_name_all_get_a_place(fer, tmp_path):
    data = tmp_path / "set"
    for number, path in enumerate(
        ("x/train/happy/a.b.png", "y/train/happy/A.b.png", "y/train/happy/a-b.png", "train/sad/s.png")
    ):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(fakes.encoded(fakes.fake_face("happy", number)))
    CleanIndex(load(data).named_fingerprint, ()).write(tmp_path / "clean.json")
    assert fer("data", "clean", data, "--index", tmp_path / "clean.json", "--out", tmp_path / "out").code == 0
    assert load(tmp_path / "out").fingerprint == load(data).fingerprint


OUTS = {
    "a full folder": ("full", "exists already"),
    "a file": ("file", "exists already"),
    "the data set": ("set", "exists already"),
    "inside the data set": ("set/train/cleaned", "lies in the data set"),
    "inside a file": ("file/cleaned", "choose another"),
    "the folder one is in": ("", "no name of a new folder"),
}


@pytest.mark.parametrize("kind", OUTS)
def test_nothing_is_written_over_or_into_what_is_there(kind, fer, tmp_path):
    place, words = OUTS[kind]
    data = fakes.write_folder(tmp_path / "set", train=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("kept", encoding="utf-8")
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    CleanIndex(load(data).named_fingerprint, ()).write(tmp_path / "clean.json")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    outcome = fer("data", "clean", data, "--index", tmp_path / "clean.json", "--out", tmp_path / place if place else ".")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and words in line, line
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_an_index_with_unknown_names_leaves_nothing_behind(fer, fake_zip, tmp_path):
    CleanIndex(load(fake_zip).named_fingerprint, (LeftOut("train", "nobody", "copy"),)).write(tmp_path / "clean.json")
    outcome = fer("data", "clean", fake_zip, "--index", tmp_path / "clean.json", "--out", tmp_path / "out")
    assert outcome.code == 2 and "nobody" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["clean.json"]
