"""The report: its numbers against the table, its page against its numbers, its JSON against its schema."""

import copy
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError, validate

from analysis.compare import Comparison
from analysis.explain import HeatmapTable
from analysis.question import Question
from analysis.report import Report, schema
from analysis.report.material import gather, recall
from analysis.report.page import html
from analysis.report.section import SECTIONS, Section, Table, section
from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError, OutputError
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.types import PredictionTable
from tests.analysis.reports import Seen, material_of, numbers_in, shown_in
from tests.analysis.tables import all_right, all_wrong, drawn, one_class, toy
from tests.conftest import save_random

EVIL = "</script><img src=x onerror=alert(1)>.png"


def one_face() -> PredictionTable:
    return drawn(1)


def evil() -> PredictionTable:
    table = drawn(40)
    return PredictionTable(table.logits, table.labels, (EVIL, *table.names[1:]), EMOTIONS, "validation", {"checkpoint": "<b>"})


TABLES = {
    "usual": lambda: drawn(120),
    "all right": all_right,
    "all wrong": all_wrong,
    "one class": one_class,
    "one face": one_face,
    "two classes": lambda: toy((True, 0.9), (False, 0.8), (True, 0.7), (True, 0.6), (False, 0.95)),
    "evil": evil,
}


class Made:
    """A report with its material, its page and what is seen there; made once."""

    def __init__(self, name: str, checkpoint: Path) -> None:
        self.name = name
        self.material = material_of(TABLES[name](), checkpoint, votes=name in ("usual", "one class"))
        self.report = Report.of(self.material)
        self.content = json.loads(json.dumps(self.report.to_dict(), allow_nan=False))
        self.page = html(self.report)
        self.seen = Seen(self.page)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str], Made]:
    path = save_random(tmp_path_factory.mktemp("checkpoint") / "random.pth")
    return cache(lambda name: Made(name, path))


@pytest.fixture(params=TABLES)
def one(request, made) -> Made:
    return made(request.param)


@pytest.fixture
def usual(made) -> Made:
    return made("usual")


def test_every_number_on_the_page_is_in_the_json_of_its_section(usual):
    content, words, total = usual.content, usual.seen.words, 0
    for name, numbers in content["sections"].items():
        known, shown = set(numbers_in([content["n"], numbers])), shown_in(words[f"s-{name}"])
        assert set(shown) <= known, name
        total += len(shown)
    assert total > 300  # a search that finds nothing proves nothing


def test_the_search_for_numbers_can_tell():
    assert shown_in("of 3,589 faces 67.85 % (95 %: 66.30 % to 2) weights b14b3e3a…, 39e7a8…, F1 0.5.") == [
        *("3,589", "67.85", "66.30", "2", "0.5")
    ]
    assert not {"67.86", "3588"} & set(numbers_in({"accuracy": 0.678462, "n": 3589}))


def test_json_follows_the_schema(one):
    assert list(Draft202012Validator(schema()).iter_errors(one.content)) == []


@pytest.mark.parametrize(
    ("damage", "place"),
    {
        "no n": (lambda c: c.pop("n"), "'n' is a required property"),
        "another version": (lambda c: c.update(schema=2), "schema"),
        "accuracy above 1": (lambda c: c["sections"]["summary"].update(accuracy=1.2), "accuracy"),
        "text for a count": (lambda c: c["sections"]["classes"]["classes"][0].update(n="3"), "'3' is not of type"),
        "half an interval": (lambda c: c["sections"]["mistakes"].update(ci95=[0.1]), "ci95"),
        "a key too many": (lambda c: c.update(surprise=1), "surprise"),
    }.values(),
)
def test_the_schema_refuses_what_is_wrong(damage, place, usual):
    content = copy.deepcopy(usual.content)
    damage(content)
    with pytest.raises(ValidationError) as refused:
        validate(content, schema())
    assert place in f"{refused.value.json_path}: {refused.value.message}"


def test_the_numbers_are_those_of_the_table(usual):
    content, table = usual.content["sections"], usual.material.table
    expected = evaluate_table(table)
    assert (
        content["summary"]["accuracy"] == expected["accuracy"]
        and content["confusion"]["counts"] == expected["confusion_matrix"]
    )
    assert content["summary"]["right"] == int((table.labels == table.predicted).sum())
    assert content["mistakes"]["wrong"] == 120 - content["summary"]["right"]
    for row in content["classes"]["classes"]:
        assert row["recall"] == pytest.approx(expected["per_class"][row["name"]]["recall"])
        assert row["precision"] == pytest.approx(expected["per_class"][row["name"]]["precision"])
        assert row["recall_ci95"][0] < row["recall"] < row["recall_ci95"][1]
    assert content["confidence"]["mean"]["all"] == pytest.approx(table.probs.max(axis=1).mean())
    assert content["labels"]["taggers"]["n"] == 120
    sure = content["galleries"]["most_confident"]
    assert sure[0]["label"] == "angry" == sure[0]["predicted"]
    angry = [row for row in range(120) if table.labels[row] == table.predicted[row] == 0]
    assert sure[0]["name"] == table.names[max(angry, key=lambda row: table.probs[row].max())]


def test_headings_follow_one_another_and_contents_lead_to_sections(one):
    report, seen = one.report, one.seen
    levels = [level for level, _ in seen.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in seen.tags if tag == "a"]
    assert links[0] == "#content" and {link.removeprefix("#") for link in links} <= set(ids)
    assert set(seen.words) == {link.removeprefix("#") for link in links[1:]}
    assert set(seen.words) == {f"s-{name}" for name in (*report.sections, *report.undefined, "reading")}


def test_every_picture_has_words_and_n(one):
    seen = one.seen
    pictures = [attributes for tag, attributes in seen.tags if tag == "img"]
    assert len(pictures) >= 6 and all(len(picture["alt"]) > 20 for picture in pictures)
    assert all(picture["src"].startswith(("data:image/svg+xml;base64,", "data:image/png;base64,")) for picture in pictures)
    captions = re.findall("<figcaption>(.*?)</figcaption>", one.page)
    assert len(captions) == len(pictures) and all("n\u00a0=\u00a0" in caption or " of " in caption for caption in captions)


def test_the_page_holds_its_json_and_asks_for_nothing(one):
    seen, page = one.seen, one.page
    assert json.loads(seen.blocks["numbers"]) == one.content
    bare = re.sub(r'base64,[^"]*|"sheets":\[.*?\]', "", page)
    assert "://" not in bare and "url(" not in bare and "@import" not in bare and "fetch(" not in bare
    assert all(attributes.get("src", "data:").startswith("data:") for _, attributes in seen.tags)
    policy = next(a["content"] for _, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "onerror" not in {key for _, attributes in seen.tags for key in attributes}


HALVES = "one face of the validation split cannot be halved"
UNUSUAL = {
    "one face": {"calibration": HALVES, "abstention": HALVES, "labels": "are labelled"},
    "one class": {"labels": "labelled happy"},
}


def test_what_cannot_be_said_is_said_in_its_place(one):
    name, report, words = one.name, one.report, one.seen.words
    missing = UNUSUAL.get(name, {})
    assert set(report.undefined) == set(missing)
    for key, why in missing.items():
        assert why in words[f"s-{key}"] and "Not shown" in words[f"s-{key}"]
    if name == "all right":
        assert "No face of 14 is judged wrong" in words["s-mistakes"]
    if name == "all wrong":
        assert "14 of 14 faces are judged wrong" in words["s-mistakes"] and "No threshold" in words["s-summary"]
    assert set(report.absent) == {"faithfulness", "regions", "features", "robustness", "comparison"}
    assert "--with regions.json" in words["s-reading"]
    if "labels" in report.sections:
        assert ("--votes" in words["s-labels"]) == (name != "usual")


def test_one_pass_gives_what_separate_ones_give(checkpoint_file, fake_folder, tmp_path):
    model, corpus = checkpoints.load(checkpoint_file), load(fake_folder)
    told = []
    made = gather(model, corpus, "validation", progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(made.table.logits, evaluate_checkpoint(model, corpus.split("validation")).logits)
    assert told[-1] == (21, 21)
    made.table.save(tmp_path / "predictions.npz")
    made.heatmaps.save(tmp_path / "heatmaps.npz")
    again = recall(model, corpus, tmp_path)
    assert Report.of(again).to_dict() == Report.of(made).to_dict()


def test_heatmaps_of_other_faces_are_refused(checkpoint_file, fake_folder, tmp_path):
    model, corpus = checkpoints.load(checkpoint_file), load(fake_folder)
    gather(model, corpus, "validation").table.save(tmp_path / "predictions.npz")
    gather(model, corpus, "test").heatmaps.save(tmp_path / "heatmaps.npz")
    with pytest.raises(DataError, match="different faces"):
        recall(model, corpus, tmp_path)


def test_a_pass_of_another_checkpoint_is_refused(checkpoint_file, fake_folder, tmp_path):
    model, corpus = checkpoints.load(checkpoint_file), load(fake_folder)
    made = gather(model, corpus, "validation")
    made.table.save(tmp_path / "predictions.npz")
    made.heatmaps.save(tmp_path / "heatmaps.npz")
    with pytest.raises(ConfigError, match="not by baseline"):
        recall(checkpoints.load("baseline"), corpus, tmp_path)


@pytest.mark.parametrize(
    ("question", "caption"),
    [
        (Question(), "gradcam for the prediction"),
        (Question("fear"), "gradcam for fear"),
        (Question("fear", against="happy"), "gradcam for fear against happy"),
        (Question("fear", against="top2", layers=("block2",)), "gradcam for fear against other classes (block2)"),
    ],
    ids=["own", "one", "contrast", "layer"],
)
def test_captions_say_what_the_maps_explain(question, caption, usual):
    material = usual.material
    table = material.table
    fear, happy = (table.classes.index(name) for name in ("fear", "happy"))
    targets = table.predicted if question.target is None else np.full(len(table), fear)
    others = np.where(np.arange(len(table)) % 2, happy, happy + 1) if question.against == "top2" else np.full(len(table), happy)
    against = others if question.against else np.full(len(table), -1)
    about = (table.classes, question.method, table.names)
    maps = HeatmapTable(material.heatmaps.values, material.heatmaps.peaks, targets, *about, against, question.layers)
    assert replace(material, heatmaps=maps).question == caption


def test_a_new_section_is_one_function(usual, monkeypatch):
    monkeypatch.setattr(SECTIONS, "_entries", dict(SECTIONS._entries))

    @section("weather", "Weather")
    def weather(material):
        return Section({"degrees": 21}, ("It is 21 degrees.", Table("days", ("day", "rain"), (("Monday", "<none>"),))))

    report = Report.of(usual.material)
    assert report.to_dict()["sections"]["weather"] == {"degrees": 21}
    assert "It is 21 degrees." in Seen(html(report)).words["s-weather"] and "&lt;none&gt;" in html(report)


def test_a_comparison_is_shown(checkpoint_file):
    one, other = drawn(60), drawn(60, temperature=3.0)
    found = Comparison.of({"one": one, "other": PredictionTable(-other.logits, one.labels, one.names, EMOTIONS, "validation")})
    report = Report.of(material_of(one, checkpoint_file, comparison=found))
    words = Seen(html(report)).words["s-comparison"]
    assert "other against one" in words and f"{100 * found.pairs[0].difference:+.2f}" in words
    assert set(shown_in(words)) <= set(numbers_in(json.loads(json.dumps(report.to_dict()["sections"]["comparison"]))))


def test_files_are_whole_or_absent(usual, tmp_path):
    report = usual.report
    paths = report.write(tmp_path / "out")
    assert [path.name for path in paths] == ["report.html", "report.json"]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == usual.content
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError):
        report.write(tmp_path / "file" / "out")
