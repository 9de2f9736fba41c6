"""Files of a label audit: the same numbers in JSON, csv and figures."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.figures import labels as figures
from analysis.labels.audit import audit
from analysis.labels.report import LabelReport, votes_in_words, votes_of
from analysis.labels.tagger_votes import check
from fer.data import FaceSet
from fer.data.ferplus import CANDIDATES
from fer.emotions import EMOTIONS
from fer.types import PredictionTable
from tests import fakes

COUNT = 70


def report_of(*, votes=True, wrong=12):
    """Fake faces, ``wrong`` of them labelled one class further; taggers vote for what is shown, with two exceptions."""
    rng = np.random.default_rng(2)
    shown = np.arange(COUNT) % 7
    labels = shown.copy()
    labels[:wrong] = (labels[:wrong] + 1) % 7
    names = tuple(f"{row:03}.png" for row in range(COUNT))
    table = PredictionTable(4 * np.eye(7)[shown] + rng.random((COUNT, 7)), labels, names, EMOTIONS, "train", {"folds": "3"})
    images = torch.stack([torch.from_numpy(fakes.fake_face(EMOTIONS[c], row))[None] for row, c in enumerate(shown)])
    counts = np.zeros((COUNT, 10), dtype=np.int64)
    counts[np.arange(COUNT), shown] = 10
    counts[0] = -1  # nobody voted
    counts[1, shown[1]], counts[1, labels[1]] = 4, 6  # most taggers share the label
    found, faces = audit(table), FaceSet(images, torch.from_numpy(labels), names, "train")
    if not votes:
        return LabelReport(found, faces)
    return LabelReport(found, faces, counts, check(table, found.order, counts, len(found.suspects)))


@pytest.fixture(scope="module")
def report():
    return report_of()


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert [path.name for path in report.write(out / "audit", 5)] == [
        "label-audit.json", "suspects.csv", "suspects.png", "precision.png", "agreement.png",
    ]  # fmt: skip
    return out / "audit"


def test_the_json_holds_what_was_found(report, folder):
    content = json.loads((folder / "label-audit.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(report.to_dict()))
    assert {suspect["row"] for suspect in content["ranking"]} == set(range(12))
    for suspect in content["ranking"]:
        row = suspect["row"]
        shown = EMOTIONS[row % 7]
        assert (suspect["suggested"], suspect["label"]) == (shown, EMOTIONS[(row + 1) % 7])
        expected = {0: None, 1: {shown: 4, suspect["label"]: 6}}
        assert suspect["votes"] == expected.get(row, {shown: 10})
    # all but face 0 have votes; of the labels made wrong only that of face 1 has support
    taggers = content["taggers"]
    assert (taggers["n"], taggers["without_votes"], taggers["flagged"]) == (69, 1, 11)
    assert taggers["base_rate"] == pytest.approx(10 / 69)
    assert {at["k"]: at["hits"] for at in taggers["precision"]} == {11: 10, 50: 10, 69: 10}
    assert [kind["errors"] for kind in taggers["mistakes"]] == [10, 0, 1]


def test_the_csv_has_a_row_a_suspect(report, folder):
    with (folder / "suspects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [suspect.name for suspect in report.audit.suspects]
    assert [int(row["rank"]) for row in rows] == list(range(1, 13))
    for row, suspect in zip(rows, report.audit.suspects, strict=True):
        assert (row["label"], row["suggested"]) == (suspect.label, suspect.suggested)
        assert float(row["probability of the label"]) == pytest.approx(suspect.score, abs=1e-6)
        counts = [row[name] for name in CANDIDATES]
        assert sum(map(int, filter(None, counts))) == (0 if suspect.row == 0 else 10)
        assert (counts == [""] * 10) == (suspect.row == 0)


def test_names_that_are_no_unicode_are_written_escaped(report, tmp_path):
    """As files of older systems are called."""
    odd, *others = report.audit.suspects
    found = replace(report.audit, suspects=(replace(odd, name="caf\udce9.png"), *others))
    replace(report, audit=found).write(tmp_path, top=1)
    assert "caf\\udce9.png" in (tmp_path / "suspects.csv").read_text(encoding="utf-8")


def test_the_gallery_shows_the_first_suspects_and_their_faces(report):
    shown = report.audit.suspects[:9]
    images = [report.faces.images[suspect.row, 0].numpy() for suspect in shown]
    fig = figures.suspects_figure(report.audit, images, ["8 sad"] * 9)
    axes = [ax for ax in fig.axes if ax.images]
    assert len(axes) == 9 and len(fig.axes) == 16
    for number, (ax, suspect) in enumerate(zip(axes, shown, strict=True), 1):
        assert np.array_equal(ax.images[0].get_array(), report.faces.images[suspect.row, 0])
        assert ax.get_title() == f"{number}. {suspect.label}\n→ {suspect.suggested}"
        assert f"{suspect.score:.1%}" in ax.texts[0].get_text() and "8 sad" in ax.texts[0].get_text()
    assert "9 of 12 suspect labels among 70" in fig.get_suptitle()


def test_the_curves_are_drawn_from_the_numbers(report):
    ax = figures.precision_figure(report.check).axes[0]
    ranking, base = ax.lines[:2]
    assert [tuple(point) for point in ranking.get_xydata()] == [(k, p) for k, p in report.check.curve]
    assert set(base.get_ydata()) == {report.check.base_rate} and f"{report.check.base_rate:.1%}" in base.get_label()
    assert "n = 69" in ax.get_title() and ax.get_xlabel() and ax.get_ylabel()
    left, right = figures.agreement_figure(report.check).axes
    heights = [bar.get_height() for bar in left.patches]
    assert heights == [at.rate for at in report.check.by_agreement if at.rate is not None]
    assert [bar.get_width() for bar in right.patches] == [
        10,
        10,
        0,
        0,
        1,
        0,
    ]  # mistakes, and those where taggers side with the model


def test_without_votes_nothing_is_said_of_taggers(tmp_path):
    report_of().write(tmp_path, 5)  # an earlier audit with votes, of which nothing may stay
    report, names = report_of(votes=False), ["label-audit.json", "suspects.csv", "suspects.png"]
    assert [path.name for path in report.write(tmp_path, 5)] == sorted(path.name for path in tmp_path.iterdir()) == names
    content = json.loads((tmp_path / "label-audit.json").read_text(encoding="utf-8"))
    assert content["taggers"] is None and {suspect["votes"] for suspect in content["ranking"]} == {None}
    assert (tmp_path / "suspects.csv").read_text(encoding="utf-8").splitlines()[0].endswith("probability of the label")


def test_without_a_suspect_the_gallery_says_so(tmp_path):
    report = report_of(wrong=0)
    assert report.audit.suspects == ()
    report.write(tmp_path, 5)
    with Image.open(tmp_path / "suspects.png") as picture:
        assert picture.format == "PNG"
    fig = figures.suspects_figure(report.audit, [], [])
    assert any("no label is suspect" in text.get_text() for ax in fig.axes for text in ax.texts)
    assert len((tmp_path / "suspects.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_votes_by_hand():
    votes = np.array([[0, 0, 3, 0, 5, 0, 0, 0, 2, 0], [-1] * 10])
    assert votes_of(votes, 0) == {"fear": 3, "neutral": 5, "unknown": 2}
    assert votes_of(votes, 1) is None and votes_of(None, 0) is None
    assert votes_in_words(votes_of(votes, 0)) == "5 neutral, 3 fear, …"
    assert votes_in_words({"sad": 10}) == "10 sad" and votes_in_words(None) == "no votes known"
