"""The files of ``fer mistakes``: numbers against the table, the page against mistakes.json, faces against their pixels."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.figures.mistakes import gallery
from analysis.map_layers import layer_of
from analysis.mistakes import find_mistakes
from analysis.mistakes_page import SHEET_SIDE, MistakesReport, sheets
from fer.data.ferplus import CANDIDATES
from fer.emotions import COLOURS, EMOTIONS
from fer.errors import OutputError
from fer.types import Heatmap, PredictionTable
from tests import fakes

EVIL = "</script><img src=x onerror=alert(1)>.png"


def report_of(count=30, *, votes=True, layers=1, wrong=0.5, first_name=EVIL):
    """Fake faces in class order over and over; about ``wrong`` of them judged wrong; the second one without votes."""
    rng = np.random.default_rng(8)
    labels = np.arange(count) % 7
    shown = np.where(rng.random(count) < wrong, (labels + 1 + rng.integers(0, 6, count)) % 7, labels)
    logits = 2 * np.eye(7)[shown] + rng.random((count, 7))
    names = (first_name, *(f"train/{EMOTIONS[label]}/{row:05}.png" for row, label in enumerate(labels)))[:count]
    source = {"checkpoint": "random", "weights_sha256": "0" * 64}
    table = PredictionTable(logits, labels, names, EMOTIONS, "validation", source)
    images = torch.stack([torch.from_numpy(fakes.fake_face(EMOTIONS[label], row))[None] for row, label in enumerate(labels)])
    maps = [Heatmap(np.roll(np.eye(12), row, axis=1), 0.1 * (row + 1), "sad", "gradcam") for row in range(count)]
    counts = rng.multinomial(10, np.ones(10) / 10, count)
    counts[min(1, count - 1)] = -1
    asked = [layer_of(f"question {number}", range(count), maps) for number in range(layers)]
    return MistakesReport(table, images, counts if votes else None, asked)


class Blocks(HTMLParser):
    """Text of the page's scripts by id, as a browser cuts them out; every tag and its attributes."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags, self._inside = {}, [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id", "script") if tag == "script" else None

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag):
        self._inside = None


@pytest.fixture(scope="module")
def report():
    return report_of()


@pytest.fixture(scope="module")
def blocks(report):
    return Blocks(report.html())


def test_the_numbers_are_those_of_the_table(report):
    content = json.loads(json.dumps(report.to_dict()))
    table = report.table
    assert (content["n"], content["split"], content["classes"]) == (30, "validation", list(EMOTIONS))
    assert content["wrong"] == int((table.labels != table.predicted).sum()) == sum(pair["count"] for pair in content["pairs"])
    assert content["source"]["checkpoint"] == "random" and content["candidates"] == list(CANDIDATES)
    for row, face in enumerate(content["faces"]):
        assert (face["name"], face["label"]) == (table.names[row], EMOTIONS[table.labels[row]])
        assert face["predicted"] == EMOTIONS[table.predicted[row]]
        np.testing.assert_allclose(face["probabilities"], table.probs[row], atol=1e-5)
        assert face["votes"] == (None if row == 1 else report.votes[row].tolist())


def test_the_files_hold_the_same_numbers(report, tmp_path):
    paths = report.write(tmp_path / "out")
    assert [path.name for path in paths] == ["mistakes.json", "mistakes.html", "mistakes.png"]
    embedded = Blocks(paths[1].read_text(encoding="utf-8")).texts["numbers"]
    assert json.loads(embedded) == json.loads(paths[0].read_text(encoding="utf-8")) == json.loads(json.dumps(report.to_dict()))
    with Image.open(paths[2]) as picture:
        assert picture.format == "PNG" and min(picture.size) > 300


def test_a_file_name_cannot_leave_its_place(report, blocks):
    assert json.loads(blocks.texts["numbers"])["faces"][0]["name"] == EVIL
    assert [tag for tag, _ in blocks.tags].count("script") == 3 and "img" not in [tag for tag, _ in blocks.tags]
    assert "<" not in blocks.texts["numbers"] + blocks.texts["pictures"]


def test_the_page_asks_for_nothing_from_elsewhere(report, blocks):
    text = re.sub(r'"sheets":\[.*?\]', "", report.html())
    assert "://" not in text and "url(" not in text and "@import" not in text and "fetch(" not in text
    policy = next(attrs["content"] for tag, attrs in blocks.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert [attrs for _, attrs in blocks.tags if attrs.get("href", "data:") != "data:," and "href" in attrs] == []
    assert [attrs for _, attrs in blocks.tags if "src" in attrs] == []


@pytest.mark.parametrize("count", [1, 16, 255, 256, 257, 600])
def test_every_face_stands_in_its_place_on_its_sheet(count):
    images = torch.from_numpy(np.random.default_rng(count).integers(0, 256, (count, 1, 48, 48)).astype(np.uint8))
    found = sheets(images)
    assert len(found) == -(-count // 256)
    for row in {0, count // 2, count - 1}:
        sheet, place = found[row // 256], row % 256
        y, x = 48 * (place // SHEET_SIDE), 48 * (place % SHEET_SIDE)
        assert np.array_equal(sheet[y : y + 48, x : x + 48], images[row, 0])
    assert all(sheet.shape[1] == 768 and sheet.shape[0] % 48 == 0 for sheet in found)


def test_the_faces_of_the_page_look_like_the_faces(report, blocks):
    pictures = json.loads(blocks.texts["pictures"])
    assert pictures["colours"] == COLOURS and (pictures["side"], pictures["columns"]) == (48, SHEET_SIDE)
    with Image.open(io.BytesIO(base64.b64decode(pictures["sheets"][0]))) as sheet:
        pixels = np.asarray(sheet).astype(int)
    for row in range(30):
        y, x = 48 * (row // SHEET_SIDE), 48 * (row % SHEET_SIDE)
        assert np.abs(pixels[y : y + 48, x : x + 48] - report.images[row, 0].numpy()).mean() < 6  # noise is the worst for JPEG


def test_several_layers_of_maps_are_kept_apart():
    content = report_of(layers=2).to_dict()
    assert [layer["title"] for layer in content["maps"]] == ["question 0", "question 1"]


@pytest.mark.parametrize(
    ("kind", "options"),
    {
        "no votes, no maps": {"votes": False, "layers": 0},
        "one face": {"count": 1, "wrong": 1},
        "no mistake": {"wrong": 0},
        "all mistakes": {"wrong": 1},
    }.items(),
)
def test_unusual_splits_give_all_files(kind, options, tmp_path):
    report = report_of(**options)
    expected = {"no mistake": 0, "all mistakes": 30, "one face": 1}.get(kind, report.mistakes.wrong)
    assert report.mistakes.wrong == expected
    report.write(tmp_path)
    content = json.loads((tmp_path / "mistakes.json").read_text(encoding="utf-8"))
    assert content["wrong"] == expected and len(content["faces"]) == len(report.table)
    assert {path.name for path in tmp_path.iterdir()} == {"mistakes.json", "mistakes.html", "mistakes.png"}


def test_a_folder_that_cannot_be_made_is_an_expected_error(report, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError):
        report.write(tmp_path / "file" / "out")


def test_the_gallery_has_a_row_a_pair_and_its_most_confident_faces(report):
    found = find_mistakes(report.table)
    fig = gallery(found, report.table, report.images, report.layers[0].heatmap)
    axes = np.array(fig.axes).reshape(-1, 10)
    assert len(axes) == min(8, len(found.pairs))
    for line, pair in zip(axes, found.pairs, strict=False):
        assert f"{pair.label} → {pair.predicted}" in line[0].texts[0].get_text()
        assert [bool(ax.images) for ax in line] == [place < pair.count for place in range(10)]
        assert line[0].get_title() == f"{report.table.probs[pair.rows[0]].max():.0%}"
    assert f"{found.wrong} of 30 wrong" in fig.get_suptitle()


def test_the_gallery_shows_bare_faces_where_there_are_no_maps(report):
    found = find_mistakes(report.table)
    bare = gallery(found, report.table, report.images, lambda row: None).axes[0].images[0].get_array()
    assert np.array_equal(bare[..., 0], report.images[found.pairs[0].rows[0], 0])
    covered = gallery(found, report.table, report.images, report.layers[0].heatmap).axes[0].images[0].get_array()
    assert not np.array_equal(bare, covered)


def test_a_gallery_without_mistakes_says_so():
    report = report_of(wrong=0)
    fig = gallery(report.mistakes, report.table, report.images, lambda row: None)
    assert any("no face is judged wrong" in text.get_text() for ax in fig.axes for text in ax.texts)
