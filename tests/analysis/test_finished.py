"""Results that commands wrote, opened again: the same answers, faces and maps."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.explain.heatmaps import HeatmapTable
from analysis.finished import find_finished, named, open_finished
from analysis.mistakes_page import MistakesReport
from analysis.passes import save_pass
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.types import PredictionTable
from tests.analysis.test_mistakes_page import report_of


@pytest.fixture(scope="module")
def data(fake_folder):
    return load(fake_folder)


def table_of(faces, seed=4):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(faces), 7))
    labels = faces.labels.numpy()
    return PredictionTable(logits, labels, faces.names, EMOTIONS, faces.split, {"checkpoint": "best"})


def save_run(folder, table):
    folder.mkdir(parents=True)
    table.save(folder / "validation.npz")
    (folder / "metrics.json").write_text("{}")
    return folder


def save_explanations(folder, table):
    folder.mkdir(parents=True)
    n = len(table)
    values = np.random.default_rng(1).random((n, 48, 48))
    maps = HeatmapTable(values, np.ones(n), table.predicted, table.classes, "gradcam", table.names)
    save_pass(folder, table, maps)
    return folder, maps


def test_a_run_gives_its_table_and_with_the_data_its_faces(tmp_path, data):
    faces = data.split("validation")
    run = save_run(tmp_path / "run", table_of(faces))
    opened = open_finished(run, lambda: data)
    assert opened.kind == "run"
    np.testing.assert_array_equal(opened.table.logits, table_of(faces).logits)
    np.testing.assert_array_equal(opened.images, faces.images.numpy()[:, 0])
    assert opened.maps(0) is None and opened.question == opened.note == ""


def test_folders_that_cannot_be_read_are_passed_over(tmp_path, data, monkeypatch):
    run = save_run(tmp_path / "run", table_of(data.split("validation")))
    (tmp_path / "locked").mkdir()
    iterdir = Path.iterdir

    def guarded(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    assert find_finished(tmp_path) == [run]


def test_without_the_data_it_says_what_is_missing(tmp_path, data):
    opened = open_finished(save_run(tmp_path / "run", table_of(data.split("validation"))))
    assert opened.images is None
    assert "name the data set" in opened.note


def test_other_data_than_its_own_is_said(tmp_path, data):
    table = table_of(data.split("validation"))
    other = PredictionTable(table.logits, table.labels, tuple(f"other-{n}" for n in table.names), EMOTIONS, "validation")
    opened = open_finished(save_run(tmp_path / "run", other), lambda: data)
    assert opened.images is None
    assert "No faces are shown: " in opened.note and "other-" in opened.note


def test_explanations_bring_their_maps(tmp_path, data):
    folder, maps = save_explanations(tmp_path / "explanations", table_of(data.split("validation")))
    opened = open_finished(folder, lambda: data)
    assert (opened.kind, opened.question) == ("explanations", "gradcam for the prediction")
    np.testing.assert_array_equal(opened.maps(3).values, maps[3].values)


@pytest.mark.parametrize("votes", [True, False])
def test_a_page_of_mistakes_gives_back_what_it_was_made_of(tmp_path, votes):
    made = report_of(300, votes=votes)  # more than one sheet
    made.write(tmp_path)
    opened = open_finished(tmp_path)
    assert (opened.kind, opened.question) == ("mistakes", made.layers[0].title)
    assert (opened.table.names, opened.table.classes, opened.table.split) == (
        made.table.names,
        made.table.classes,
        made.table.split,
    )
    np.testing.assert_array_equal(opened.table.labels, made.table.labels)
    np.testing.assert_array_equal(opened.table.predicted, made.table.predicted)
    np.testing.assert_allclose(opened.table.probs, made.table.probs, atol=2e-5)
    difference = np.abs(opened.images.astype(int) - made.images.numpy()[:, 0])
    assert difference.mean() < 4  # JPEG
    for row in (0, 17, 299):
        np.testing.assert_array_equal(opened.maps(row).values, made.layers[0].heatmap(row).values)


def test_equal_probabilities_keep_the_answer(tmp_path):
    made = report_of(9)
    logits = np.zeros((9, 7), np.float32)
    logits[:, 5] = 1e-7
    even = PredictionTable(logits, made.table.labels, made.table.names, EMOTIONS, "validation")
    MistakesReport(even, made.images).write(tmp_path)
    opened = open_finished(tmp_path)
    assert (opened.table.predicted == 5).all()
    assert opened.maps(0) is None


def test_a_report_gives_back_its_faces(fer, checkpoint_file, fake_folder, tmp_path):
    assert fer("report", "-c", checkpoint_file, "--data", fake_folder, "--out", tmp_path / "report").code == 0
    opened = open_finished(tmp_path / "report")
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert opened.kind == "report"
    assert len(opened.table) == told["n"]
    assert (opened.table.predicted == opened.table.labels).mean() == pytest.approx(told["sections"]["summary"]["accuracy"])
    original = load(fake_folder).split("validation").images.numpy()[:, 0]
    assert np.abs(opened.images.astype(int) - original).mean() < 4


def test_results_are_found_by_what_they_hold_and_named_without_the_folders_above(tmp_path, data):
    table = table_of(data.split("validation"))
    save_run(tmp_path / "runs" / "first", table)
    save_run(tmp_path / "runs" / "zoo" / "second", table)
    save_run(tmp_path / "runs" / "too" / "deep" / "third", table)
    save_run(tmp_path / "runs" / ".hidden", table)
    (tmp_path / "runs" / "unfinished").mkdir()
    save_explanations(tmp_path / "explanations", table)
    assert find_finished(tmp_path / "nowhere") == []
    found = named([tmp_path / "runs", tmp_path / "explanations", tmp_path / "runs"])
    assert list(found) == ["runs/first", "runs/zoo/second", "explanations"]
    assert found["runs/zoo/second"] == (tmp_path / "runs" / "zoo" / "second").resolve()


def test_two_of_one_name_are_told_apart(tmp_path, data):
    for place in ("a", "b"):
        save_run(tmp_path / place / "runs" / "x", table_of(data.split("validation")))
    assert list(named([tmp_path / "a" / "runs", tmp_path / "b" / "runs"])) == ["runs/x", "runs/x (2)"]


def spoil(folder, how):
    page = folder / "mistakes.html"
    text = page.read_text(encoding="utf-8")
    if how == "cut":
        page.write_text(text[: len(text) // 2], encoding="utf-8")
    elif how == "numbers":
        page.write_text(text.replace('"predicted"', '"prediction"'), encoding="utf-8")
    elif how == "class":
        page.write_text(text.replace('"label":"angry"', '"label":"bored"'), encoding="utf-8")
    elif how == "classes":
        page.write_text(
            text.replace('"happy"', '"<b>happy</b>"').replace("<b>", "\\u003cb>").replace("</b>", "\\u003c/b>"),
            encoding="utf-8",
        )
    elif how == "sheet":
        page.write_text(text.replace('"sheets":["', '"sheets":["AAAA'), encoding="utf-8")
    elif how == "no page":
        page.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("how", ["cut", "numbers", "class", "classes", "sheet", "no page"])
def test_what_is_damaged_is_an_expected_error(tmp_path, how):
    report_of(30, first_name="a.png").write(tmp_path)
    spoil(tmp_path, how)
    with pytest.raises(DataError, match="is damaged"):
        open_finished(tmp_path)


def test_a_damaged_table_and_maps_of_other_faces_are_expected_errors(tmp_path, data):
    table = table_of(data.split("validation"))
    run = save_run(tmp_path / "run", table)
    (run / "validation.npz").write_bytes(b"PK")
    with pytest.raises(DataError):
        open_finished(run)
    folder, _ = save_explanations(tmp_path / "explanations", table)
    save_run(tmp_path / "other", table_of(data.split("train")))
    PredictionTable.load(tmp_path / "other" / "validation.npz").save(folder / "predictions.npz")
    with pytest.raises(DataError, match="different faces"):
        open_finished(folder)


def test_a_folder_of_nothing_is_an_expected_error(tmp_path):
    with pytest.raises(DataError, match="no finished result"):
        open_finished(tmp_path)
