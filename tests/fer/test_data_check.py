"""``fer data check``: every planted defect is found, with its twin; counts are made by hand."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer.data import Corpus, load
from fer.data.check import check
from fer.data.clean import read_index
from fer.data.report import CLEANED, KINDS, OPTIONAL
from fer.errors import UnknownNameError
from tests.conftest import REAL_DATA
from tests.fer import planted


@pytest.fixture
def data(tmp_path):
    return planted.write(tmp_path / "planted")


@pytest.fixture
def report(data):
    return check(load(data))


def place(finding):
    return finding.split, finding.name.removeprefix(f"{finding.split}/").removesuffix(".png")


def twin(finding):
    return finding.twin.removesuffix(".png")


@pytest.mark.parametrize("kind", KINDS)
def test_every_defect_is_found_and_nothing_else(kind, report):
    assert {place(f): twin(f) for f in report.findings if f.kind == kind} == planted.FOUND[kind]


def test_the_counts_are_those_of_the_hand(report):
    counts = report.to_dict()
    assert counts["exact"] == {"groups": 5, "surplus": 5, "conflicting_groups": 3}  # a1, a2, a3, a4 and blank
    assert counts["mirrored"] == {"groups": 7, "surplus": 7, "conflicting_groups": 3}  # and a5, b1
    assert counts["near"] | {"threshold": 0} == {"pairs": 2, "mirrored_pairs": 0, "conflicting_pairs": 0, "threshold": 0}
    assert counts["leaks"] == {"validation": {"n": 8, "exact": 3, "exact_or_mirrored": 4, "near": 1, "conflicting": 2}}
    assert counts["kinds"] == {
        kind: {split: sum(where == split for where, _ in found) for split in ("train", "validation")}
        for kind, found in planted.FOUND.items()
    }
    assert counts["fingerprint"] == load(Path(counts["origin"])).fingerprint


def test_splits_are_measured_as_numpy_does(report):
    for split, files in planted.PLANTED.items():
        pixels = np.stack(list(files.values())).astype(np.float64)
        figures = report.splits[split]
        assert figures.n == len(files)
        assert figures.counts["happy"] == sum(name.startswith("happy") for name in files)
        assert figures.imbalance is None  # five classes have no image
        assert figures.brightness == pytest.approx(pixels.mean(), rel=1e-5)
        assert figures.contrast == pytest.approx(pixels.std(axis=(1, 2)).mean(), rel=1e-5)


def test_balance_is_largest_to_smallest_class(fake_folder):
    assert {figures.imbalance for figures in check(load(fake_folder)).splits.values()} == {1.0}


def test_a_blurred_split_beside_a_sharp_one_is_named():
    sharp = [planted.face(n) for n in range(12)]
    import cv2

    soft = [cv2.GaussianBlur(planted.face(n), (0, 0), 1) for n in range(20, 32)]
    splits = {"train": planted.face_set(planted.stack(*sharp)), "test": planted.face_set(planted.stack(*soft), "test")}
    assert check(Corpus(Path("x"), splits)).blurred_splits == ("test",)
    alike = {**splits, "test": planted.face_set(planted.stack(*[planted.face(n) for n in range(20, 32)]), "test")}
    assert check(Corpus(Path("x"), alike)).blurred_splits == ()


def test_near_copies_keep_one_of_a_row():
    """Three of one photo: the first stays, the others repeat it."""
    faces = planted.stack(
        planted.face(1), planted.fainter(planted.face(1)), planted.compressed(planted.face(1)), planted.face(2)
    )
    found = check(Corpus(Path("x"), {"train": planted.face_set(faces)})).findings
    assert [(f.kind, f.name, f.twin) for f in found] == [
        ("near-copy", "train-1", "train-0"),
        ("near-copy", "train-2", "train-0"),
    ]


# the index


def test_every_face_is_left_out_once_for_its_first_reason(report):
    index = report.index()
    expected = {}
    for kind in CLEANED:
        for where in planted.FOUND[kind]:
            expected.setdefault(where, kind)
    assert {place(face): face.reason for face in index.left_out} == expected
    assert index.fingerprint == report.named_fingerprint
    (copy,) = [face for face in index.left_out if "c1" in face.name]
    assert (copy.reason, copy.twin) == ("leak", "train/train/happy/a4.png")


@pytest.mark.parametrize("kind", OPTIONAL)
def test_more_is_left_out_when_asked(kind, report):
    more = {place(face) for face in report.index([kind]).left_out} - {place(face) for face in report.index().left_out}
    assert more == set(planted.FOUND[kind])


def test_what_is_not_optional_cannot_be_asked_for(report):
    with pytest.raises(UnknownNameError, match=r"unknown finding 'dim'.*near-copy, dark, blurred, non-face"):
        report.index(["dim"])


# the command


def test_the_command_prints_json(fer, data, report):
    outcome = fer("data", "check", data, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == report.to_dict()


def test_the_command_prints_tables(fer, data):
    outcome = fer("data", "check", data)
    assert outcome.code == 0
    assert "exact copies: 5 surplus images in 5 groups, 3 groups with conflicting labels; mirror images: 2 more" in outcome.out
    assert (
        "leak: 3 of 8 validation images have an exact twin in an earlier split (4 with mirrored ones), 1 others" in outcome.out
    )
    assert all(kind in outcome.out for kind in KINDS)


def test_the_folder_holds_list_index_report_and_sheets(fer, data, report, tmp_path):
    out = tmp_path / "new" / "out"
    assert fer("data", "check", data, "--out", out, "--also", "dark, blurred").code == 0
    assert read_index(out / "clean.json") == report.index(["dark", "blurred"])
    rows = list(csv.DictReader(io.StringIO((out / "findings.csv").read_text(encoding="utf-8"))))
    assert [(row["kind"], row["name"], row["twin"]) for row in rows] == [(f.kind, f.name, f.twin) for f in report.findings]
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report.to_dict()
    sheets = {"near-lowest", "near-random", "conflict", "blank", "dark", "blurred"}
    assert {path.stem for path in out.glob("*.png")} == sheets
    assert all(min(Image.open(io.BytesIO(path.read_bytes())).size) > 48 for path in out.glob("*.png"))
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def write_some(root, wanted):
    for split, files in planted.PLANTED.items():
        for name, pixels in files.items():
            if wanted(split, name):
                path = root / split / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return root


def test_one_split_only_is_said(fer, tmp_path):
    outcome = fer("data", "check", write_some(tmp_path / "set", lambda split, _: split == "train"), "--json")
    assert outcome.code == 0 and "only a train split: nothing can leak from one split into another" in outcome.err
    assert json.loads(outcome.out)["leaks"] == {}


def test_one_class_only_is_said(fer, tmp_path):
    outcome = fer("data", "check", write_some(tmp_path / "set", lambda _, name: name.startswith("sad")), "--json")
    assert outcome.code == 0 and "the train split has only one class, sad: nothing to tell apart" in outcome.err


def test_a_single_image_is_checked(fer, tmp_path):
    outcome = fer("data", "check", write_some(tmp_path / "set", lambda _, name: name == "happy/a1"), "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["near"]["pairs"] == 0


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nowhere"], ["no data at", "nowhere"]),
        (["{data}", "--also", "bright"], ["unknown finding 'bright'", *OPTIONAL]),
        (["{data}", "--also", "dark"], ["--also", "--out"]),
        (["{data}", "--also", "blank"], ["unknown finding 'blank'", *OPTIONAL]),
        (["{data}", "--out", "{data}"], ["exists already", "new folder"]),
        (["{data}", "--out", "{data}/train/happy/a1.png"], ["exists already", "new folder"]),
        (["{data}", "--out", "{data}/train/happy/a1.png/out"], ["a1.png", "choose another"]),
        (["nowhere", "--out", "{data}/train/happy/a1.png/out"], ["a1.png", "choose another"]),  # before anything is read
        (["nowhere", "--out", "."], [". is no name of a new folder"]),
        (["{data}", "--out", "{data}/found"], ["lies in the data set", "outside"]),
    ],
)
def test_bad_input_is_one_line(arguments, names, fer, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(data.rglob("*"))
    outcome = fer("data", "check", *[text.format(data=data) for text in arguments])
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and all(name in line for name in names), line
    assert sorted(data.rglob("*")) == before


@pytest.mark.realdata
def test_the_known_defects_of_the_real_set():
    """Counted independently with a dictionary of pixels."""
    report = check(load(REAL_DATA))
    assert (report.splits["train"].n, report.splits["validation"].n) == (28_709, 3_589)
    assert (report.exact.surplus, report.exact.conflicting_groups) == (1532, 47)
    assert report.leaks["validation"].exact == report.leaks["validation"].exact_or_mirrored == 280
    assert sum(report.kinds["blank"].values()) == 12
    assert 400 <= report.leaks["validation"].near <= 460
    assert report.near.mirrored_pairs < 0.03 * report.near.pairs
    assert report.blurred_splits == ()
