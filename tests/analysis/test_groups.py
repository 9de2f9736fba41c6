"""Accuracy by groups: figures by hand and by scipy, and files that do not fit."""

import json

import numpy as np
import pytest
from scipy import stats

from analysis.groups import GroupFile, Grouping
from analysis.significance import holm
from fer.errors import DataError
from fer.metrics import wilson_interval
from fer.types import PredictionTable


def table_of(right, names=None):
    """Two classes; every face is angry, and answered so where ``right``."""
    right = np.asarray(right, dtype=bool)
    logits = np.where(right[:, None], [[2.0, 0.0]], [[0.0, 2.0]])
    names = names or tuple(f"test/angry/{i}.png" for i in range(len(right)))
    return PredictionTable(logits, np.zeros(len(right), dtype=int), names, ("angry", "fear"), "validation")


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def of(table, groups):
    return Grouping.of(table, "kind", dict(zip(table.names, groups, strict=True)))


def test_groups_by_hand_and_by_scipy():
    right = [1] * 60 + [0] * 20 + [1] * 20 + [0] * 30
    grouping = of(table_of(right), ["old"] * 80 + ["young"] * 50)
    old, young = grouping.groups
    assert (old.name, old.n, old.accuracy, old.ci95) == ("old", 80, 0.75, wilson_interval(60, 80))
    assert (young.n, young.accuracy) == (50, 0.4)
    assert old.difference == pytest.approx(0.35) and young.difference == pytest.approx(-0.35)
    expected = stats.fisher_exact([[60, 20], [20, 30]]).pvalue
    assert old.p == pytest.approx(expected) and young.p == pytest.approx(expected)
    assert old.p_holm == young.p_holm == pytest.approx(expected)  # one test: each group is the rest of the other
    assert old.note == young.note == ""


def test_three_groups_are_corrected_together_and_small_ones_are_marked():
    right = [1] * 40 + [0] * 40 + [1] * 5 + [0] * 30
    grouping = of(table_of(right), ["a"] * 50 + ["b"] * 45 + ["c"] * 20)
    assert [group.p_holm for group in grouping.groups] == pytest.approx(holm([group.p for group in grouping.groups]))
    assert [group.note for group in grouping.groups] == ["", "", "fewer than 30 faces"]


def test_faces_without_a_group_are_counted_and_left_out():
    grouping = of(table_of([1, 1, 0, 0]), ["a", "", "b", ""])
    assert grouping.without == 2
    assert [(group.name, group.n, group.accuracy) for group in grouping.groups] == [("a", 1, 1.0), ("b", 1, 0.0)]
    assert grouping.groups[0].difference == 1 and grouping.groups[0].p == 1


def test_one_group_has_no_rest_and_none_is_an_empty_list():
    (group,) = of(table_of([1, 0]), ["a", "a"]).groups
    assert (group.difference, group.p, group.p_holm) == (None, None, None) and "nothing to compare" in group.note
    assert of(table_of([1, 0]), ["", ""]).groups == ()
    json.dumps(of(table_of([1, 0]), ["a", "a"]).to_dict(), allow_nan=False)


NAMES = ("test/angry/1.png", "test/angry/2.png", "test/sad/3.png")


@pytest.mark.parametrize("header", ["name", "file", "image", " Name "])
@pytest.mark.parametrize("form", ["{}", "/data/fer/{}", "base"], ids=["as it is", "moved", "base name"])
def test_faces_are_found_by_their_whole_name_and_by_its_end(header, form, tmp_path):
    given = [name.rsplit("/", 1)[1] if form == "base" else form.format(name) for name in NAMES]
    text = f"{header},Age\n" + "".join(f"{name},{age}\n" for name, age in zip(given, ("old", "young", "old"), strict=True))
    file = GroupFile.read(written(tmp_path / "groups.csv", text), NAMES)
    assert file.values == {"age": dict(zip(NAMES, ("old", "young", "old"), strict=True))}
    assert file.note == ""


def test_missing_and_unknown_names_are_counted_in_the_note(tmp_path):
    path = written(tmp_path / "groups.csv", "name,age\n1.png,old\n77.png,old\n78.png,old\n")
    file = GroupFile.read(path, NAMES)
    assert file.values["age"] == {NAMES[0]: "old", NAMES[1]: "", NAMES[2]: ""}
    assert "2 faces have no row" in file.note and "2 of its rows name no face" in file.note and str(path) in file.note


def test_a_face_named_twice_belongs_to_no_group(tmp_path):
    path = written(tmp_path / "groups.csv", "name,age\n1.png,old\n1.png,young\n2.png,old\n")
    assert GroupFile.read(path, NAMES).values["age"][NAMES[0]] == ""


def test_all_columns_are_taken_or_one(tmp_path):
    path = written(tmp_path / "groups.csv", "age,name,light\nold,1.png,dim\nyoung,2.png,\n")
    assert list(GroupFile.read(path, NAMES).values) == ["age", "light"]
    assert GroupFile.read(path, NAMES, "light").values == {"light": {NAMES[0]: "dim", NAMES[1]: "", NAMES[2]: ""}}


BAD = {
    "no file": (None, "cannot read"),
    "empty": ("", "no column name or file or image"),
    "no name column": ("face,age\n1.png,old\n", "face, age"),
    "no groups": ("name\n1.png\n", "no column beside name"),
    "header only": ("name,age\n", "not one of the 3 faces"),
    "strangers only": ("name,age\n9.png,old\n", "9.png"),
    "a measurement": ("name,age\n" + "".join(f"{i}.png,{i}\n" for i in range(60)), "51 groups|60 values"),
    "not text": (b"\xff\xfe\x00\x01", "cannot read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_line(kind, tmp_path):
    content, expected = BAD[kind]
    path = tmp_path / "groups.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    names = tuple(f"{i}.png" for i in range(60)) if kind == "a measurement" else NAMES
    with pytest.raises(DataError, match=expected) as caught:
        GroupFile.read(path, names)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_an_unknown_column_suggests_the_nearest(tmp_path):
    path = written(tmp_path / "groups.csv", "name,age\n1.png,old\n")
    with pytest.raises(DataError, match="did you mean 'age'"):
        GroupFile.read(path, NAMES, "agee")


# the command


@pytest.fixture
def groups(fake_zip, tmp_path):
    from fer.data import load

    names = load(fake_zip).split("validation").names
    rows = [f"{name.rsplit('/', 1)[1]},{'even' if i % 2 else 'odd'},[/b]x" for i, name in enumerate(names)]
    return written(tmp_path / "groups.csv", "\n".join(["file,parity,strange", *rows]) + "\n")


def test_evaluate_gives_groups_as_json_and_as_tables(fer, checkpoint_file, fake_zip, groups):
    arguments = ("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip, "--groups", groups)
    outcome = fer(*arguments, "--json", "--column", "Parity")
    assert outcome.code == 0 and outcome.err == ""
    metrics = json.loads(outcome.out)
    (grouping,) = metrics["groups"]
    assert grouping["column"] == "parity" and [group["n"] for group in grouping["groups"]] == [10, 11]
    right = sum(group["accuracy"] * group["n"] for group in grouping["groups"])
    assert right / 21 == pytest.approx(metrics["accuracy"])
    out = fer(*arguments).out
    assert all(text in out for text in ("by parity", "by strange", "even", "[/b]x", "fewer than 30 faces", "p (Holm)"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--column", "age"], ["--column age", "--groups"]),
        (["--groups", "nowhere.csv"], ["nowhere.csv", "cannot read"]),
        (["--groups", "{groups}", "--column", "parrity"], ["parrity", "did you mean 'parity'"]),
    ],
)
def test_bad_groups_at_the_command_line(arguments, words, fer, checkpoint_file, fake_zip, groups):
    arguments = [argument.format(groups=groups) for argument in arguments]
    outcome = fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip, *arguments)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and all(word in line for word in words), line
