"""The gallery of a data set: which faces it shows, and what is written."""

import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from analysis.explain import HeatmapTable, Question, explain_set
from analysis.figures import gallery
from analysis.finished import open_finished
from analysis.gallery import explain_split, pick
from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import DataError, OutputError
from fer.evaluation import evaluate_checkpoint
from fer.types import Heatmap, PredictionTable


def table_of(*rows: tuple[int, int, float]) -> PredictionTable:
    """Three classes; every row: label, predicted class, how far its logit stands out."""
    logits = np.zeros((len(rows), 3))
    for i, (_, predicted, strength) in enumerate(rows):
        logits[i, predicted] = strength
    names = tuple(f"face{i}" for i in range(len(rows)))
    return PredictionTable(logits, [row[0] for row in rows], names, ("angry", "disgust", "fear"), "validation")


TABLE = table_of(
    (0, 0, 1.0),  # 0 angry, hit, faint
    (0, 0, 5.0),  # 1 angry, hit, sure
    (0, 2, 2.0),  # 2 angry, miss, faint
    (0, 1, 4.0),  # 3 angry, miss, sure
    (0, 0, 3.0),  # 4 angry, hit, between
    (1, 0, 6.0),  # 5 disgust, only a miss
    (0, 0, 5.0),  # 6 angry, hit, as sure as the second
)


def test_every_class_shows_its_surest_hits_then_its_surest_misses():
    assert pick(TABLE, shown=10) == [[1, 6, 4, 0, 3, 2], [5], []]


def test_no_more_than_the_number_asked_for_are_shown_of_each_kind():
    assert pick(TABLE, shown=2) == [[1, 6, 3, 2], [5], []]
    assert pick(TABLE, shown=1) == [[1, 3], [5], []]


def test_by_default_four_hits_and_four_misses_are_shown():
    table = table_of(*[(0, 0, 1.0)] * 6, *[(0, 1, 1.0)] * 6)
    assert pick(table)[0] == [0, 1, 2, 3, 6, 7, 8, 9]


@pytest.fixture
def checkpoint(checkpoint_file):
    return checkpoints.load(checkpoint_file)


@pytest.fixture
def faces(fake_folder):
    return load(fake_folder).split("validation")


def test_picture_and_numbers_of_the_chosen_faces_are_written(checkpoint, faces, tmp_path):
    written, notes = explain_split(checkpoint, faces, tmp_path / "out", Question())
    assert notes == []
    pictures = ["gallery-validation.png", "unsure-validation.png", "averages-validation.png"]
    assert [path.name for path in written] == [
        "predictions.npz",
        "heatmaps.npz",
        *pictures,
        "averages.json",
        "explanations.json",
    ]
    for name in pictures:
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 300
    content = json.loads(written[-1].read_text(encoding="utf-8"))
    assert set(content) == {"checkpoint", "weights_sha256", "faces"}
    table = evaluate_checkpoint(checkpoint, faces)
    shown = [i for surest in (True, False) for row in pick(table, surest=surest) for i in row]
    chosen = list(dict.fromkeys(shown))
    assert [face["name"] for face in content["faces"]] == [table.names[i] for i in chosen]
    for face, i in zip(content["faces"], chosen, strict=True):
        assert face["truth"] == EMOTIONS[faces.labels[i]]
        assert face["truth"] == face["name"].split("/")[-2]
        assert face["label"] == face["target"] == EMOTIONS[table.predicted[i]]
        assert max(face["probabilities"], key=face["probabilities"].get) == face["label"]
        assert face["method"] == "gradcam" and face["peak"] >= 0
        assert np.array(face["heatmap"]).shape == (48, 48)


def test_the_class_asked_for_is_explained_on_every_face(checkpoint, faces, tmp_path):
    written, _ = explain_split(checkpoint, faces, tmp_path, Question("surprise"))
    records = json.loads(written[-1].read_text(encoding="utf-8"))["faces"]
    assert records and {record["target"] for record in records} == {"surprise"}


def test_hits_stand_at_the_left_and_misses_at_the_right_of_their_class(checkpoint, faces):
    labels = faces.labels.numpy()
    logits = np.zeros((len(labels), 7))
    logits[np.arange(len(labels)), labels] = 5.0
    first_sad = int(np.flatnonzero(labels == EMOTIONS.index("sad"))[0])
    logits[first_sad] = np.eye(7)[EMOTIONS.index("fear")] * 9  # the one miss
    table = PredictionTable(logits, labels, faces.names, EMOTIONS, "validation")
    rows = pick(table)
    heatmaps = {i: Heatmap(np.zeros((48, 48)), 0.0, "sad", "gradcam") for row in rows for i in row}
    fig = gallery.figure(table, faces.images.numpy()[:, 0], rows, heatmaps, "title")
    axes = np.array(fig.axes).reshape(7, 6)
    shown = np.array([[len(ax.images) for ax in row] for row in axes])
    sad = EMOTIONS.index("sad")
    assert shown[sad].tolist() == [1, 1, 0, 1, 0, 0]
    assert all(shown[c].tolist() == [1, 1, 1, 0, 0, 0] for c in range(7) if c != sad)
    assert axes[sad, 3].get_title().startswith("fear 100%")
    assert [row[0].texts[0].get_text() for row in axes] == list(EMOTIONS)


def test_the_least_confident_are_chosen_on_request():
    assert pick(TABLE, shown=1, surest=False) == [[0, 2], [5], []]


def test_tables_and_averages_are_those_of_one_pass(checkpoint, faces, tmp_path):
    explain_split(checkpoint, faces, tmp_path)
    table, heatmaps = PredictionTable.load(tmp_path / "predictions.npz"), HeatmapTable.load(tmp_path / "heatmaps.npz")
    expected_table, expected = explain_set(checkpoint, faces)
    np.testing.assert_array_equal(table.logits, expected_table.logits)
    np.testing.assert_array_equal(heatmaps.values, expected.values)
    for average in json.loads((tmp_path / "averages.json").read_text(encoding="utf-8")):
        right = (table.predicted == table.labels) == (average["group"] == "right")
        rows = [i for i in range(len(table)) if table.classes[table.labels[i]] == average["class"] and right[i]]
        assert average["n"] == len(rows)
        mean = sum((expected[i].values.astype(float) for i in rows), np.zeros((48, 48))) / max(1, len(rows))
        np.testing.assert_allclose(average["heatmap"], mean, atol=1e-4)


@pytest.mark.parametrize("damage", ["missing", "no archive", "another table"])
def test_damaged_heatmaps_are_an_expected_error(damage, tmp_path):
    path = tmp_path / "heatmaps.npz"
    if damage == "no archive":
        path.write_bytes(b"no archive")
    if damage == "another table":
        TABLE.save(path)
    with pytest.raises(DataError, match="fer explain --data"):
        HeatmapTable.load(path)


def test_a_folder_that_cannot_be_made_is_an_expected_error(checkpoint, faces, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError):
        explain_split(checkpoint, faces, tmp_path / "file" / "out", Question())


def test_the_command_writes_the_gallery_of_the_split_asked_for(fer, checkpoint_file, fake_folder, tmp_path):
    outcome = fer(
        "explain", "--checkpoint", checkpoint_file, "--data", fake_folder, "--split", "test", "--out", tmp_path / "out"
    )  # fmt: skip
    assert outcome.code == 0
    assert (tmp_path / "out" / "gallery-test.png").is_file()
    assert str(tmp_path / "out" / "explanations.json") in outcome.out


def test_pictures_say_what_was_asked_and_who_was_left_out(checkpoint, faces, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(gallery, "figure", lambda *args: told.append(args[-1]) or Figure())
    shift = torch.full((7,), -1e3)
    last = [m for m in checkpoint.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(shift.index_fill(0, torch.tensor([3]), 0))  # happy, whoever is asked
    explain_split(checkpoint, faces, tmp_path / "a", Question("fear", against="happy", layers=("block1",)))
    assert told[0].endswith("hits (left) and misses (right): gradcam at block1: fear, not happy; validation split, n = 21")
    with pytest.raises(DataError, match="every face is answered happy"):
        explain_split(checkpoint, faces, tmp_path / "b", Question(against="happy"))


@pytest.fixture
def contrast(fer, checkpoint_file, fake_zip, tmp_path):
    """A pass of ``fer explain --against``: its folder, what was said, and how many of the 21 faces are answered so."""
    net = checkpoints.load(checkpoint_file)
    last = [m for m in net.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():  # every second class or so is answered
        scores = evaluate_checkpoint(net, load(fake_zip).split("validation")).logits
        last.bias -= torch.from_numpy(np.median(scores, axis=0))
    checkpoints.save(checkpoint_file, net.model.state_dict(), net.card)
    answers = evaluate_checkpoint(checkpoints.load(checkpoint_file), load(fake_zip).split("validation")).predicted
    most = int(np.bincount(answers).argmax())
    command = ("explain", "-c", checkpoint_file, "--data", fake_zip, "--against", EMOTIONS[most], "--out", tmp_path / "maps")
    outcome, count = fer(*command), int((answers == most).sum())
    assert outcome.code == 0 and 0 < count < 21
    return tmp_path / "maps", outcome, count


def test_who_is_left_out_for_the_answer_is_said_everywhere(contrast):
    folder, outcome, count = contrast
    assert f"of 21 faces {count} left out, whose class would be set against itself" in outcome.err
    assert json.loads((folder / "explanations.json").read_text(encoding="utf-8"))["left_out_by_answer"] == count
    table = PredictionTable.load(folder / "predictions.npz")
    assert len(table) == 21 - count and table.source["left_out_by_answer"] == str(count)


TAKEN_FOR_AN_EVALUATION = {
    "confidence": ["confidence", "--table", "TABLE"],
    "labels": ["labels", "audit", "--table", "TABLE", "--data", "DATA"],
    "mistakes": ["mistakes", "-c", "NET", "--table", "TABLE", "--data", "DATA"],
    "compare": ["compare", "NET", "fast_cnn", "--table", "TABLE", "--data", "DATA"],
    "report": ["report", "-c", "NET", "--from", "FOLDER", "--data", "DATA"],
    "regions": ["regions", "-c", "NET", "--from", "FOLDER", "--data", "DATA"],
}


@pytest.mark.parametrize("command", TAKEN_FOR_AN_EVALUATION)
def test_a_pass_without_the_faces_of_one_answer_is_no_evaluation(command, contrast, fer, checkpoint_file, fake_zip, tmp_path):
    folder, _, count = contrast
    places = {"TABLE": folder / "predictions.npz", "FOLDER": folder, "NET": checkpoint_file, "DATA": fake_zip}
    words = [places.get(word, word) for word in TAKEN_FOR_AN_EVALUATION[command]]
    outcome = fer(*words, "--out", tmp_path / "out")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and not (tmp_path / "out").exists()
    assert f"no evaluation of the validation split: of its faces {count} left out" in line and "without --against" in line


def test_a_finished_contrast_says_that_its_figures_are_of_a_part(contrast, fake_zip):
    folder, _, count = contrast
    for source in (lambda: None, lambda: load(fake_zip)):
        assert open_finished(folder, source).note.startswith(f"Figures are of a part of the split: {count} left out")


def test_a_question_that_is_asked_twice_is_answered_once(fer, checkpoint_file, fake_zip, tmp_path):
    twice = ["-m", "gradcam", "-m", "gradcam", "--layer", "block1", "--layer", "block1"]
    outcome = fer("explain", "-c", checkpoint_file, "--data", fake_zip, *twice, "--out", tmp_path / "out")
    assert outcome.code == 0 and (tmp_path / "out" / "predictions.npz").is_file()
    assert outcome.out.count("predictions.npz") == 1


def test_heatmaps_with_any_byte_damaged_are_an_expected_error_or_still_the_same(checkpoint, faces, tmp_path):
    explain_split(checkpoint, faces.select(torch.arange(2)), tmp_path)
    path = tmp_path / "heatmaps.npz"
    good, whole, refused = path.read_bytes(), HeatmapTable.load(path).values, 0
    for place in [*range(0, 200, 3), *range(200, len(good) - 400, len(good) // 50), *range(len(good) - 400, len(good), 3)]:
        for byte in (good[place] ^ 1, 0, 120):
            path.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
            try:
                np.testing.assert_array_equal(HeatmapTable.load(path).values, whole)
            except DataError as error:
                refused += "fer explain --data" in str(error)
    assert refused > 200
