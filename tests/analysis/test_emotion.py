"""One class looked at closely: which faces are drawn, what is counted, what is shown."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from analysis.emotion import describe_sample, judged_faces, look_at, sample_faces
from analysis.figures import face_grid
from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import COLOURS, EMOTIONS
from fer.errors import ConfigError, DataError, UnknownNameError
from fer.evaluation import evaluate_checkpoint
from fer.metrics import wilson_interval
from tests.analysis.tables import all_right, all_wrong, drawn


@pytest.fixture
def faces(fake_folder):
    return load(fake_folder).split("train")


# which faces


def test_all_faces_of_the_class_are_looked_at_where_no_number_is_given(faces):
    chosen, available = sample_faces(faces, "Fearful", EMOTIONS)
    assert chosen.classes == ("fear",) and len(chosen) == available == 6
    assert all("/fear/" in name for name in chosen.names)


def test_a_sample_is_drawn_once_for_a_seed_without_repeats_in_the_order_of_the_set(faces):
    samples = [sample_faces(faces, "sad", EMOTIONS, 4, seed)[0].names for seed in (0, 0, 1, 2, 3, 4)]
    assert samples[0] == samples[1] and len(set(samples)) > 1
    everyone = sample_faces(faces, "sad", EMOTIONS)[0].names
    for names in samples:
        assert len(set(names)) == 4 and list(names) == [name for name in everyone if name in names]


@pytest.mark.parametrize("number", [6, 7, 10_000])
def test_more_than_there_are_is_all(number, faces):
    chosen, available = sample_faces(faces, "sad", EMOTIONS, number)
    assert len(chosen) == available == 6


def test_every_face_is_drawn_about_equally_often(faces):
    counts = dict.fromkeys(sample_faces(faces, "sad", EMOTIONS)[0].names, 0)
    for seed in range(300):
        for name in sample_faces(faces, "sad", EMOTIONS, 2, seed)[0].names:
            counts[name] += 1
    assert all(70 <= count <= 130 for count in counts.values())


@pytest.mark.parametrize(
    ("emotion", "among", "number", "error", "words"),
    [
        ("contempt", EMOTIONS, None, UnknownNameError, "contempt"),
        ("fear", ("happy", "sad"), None, ConfigError, "none of the answers.*happy, sad"),
        ("fear", EMOTIONS, 0, ConfigError, "give 1 or more"),
        ("fear", EMOTIONS, -3, ConfigError, "give 1 or more"),
    ],
)
def test_what_cannot_be_looked_at_is_said(emotion, among, number, error, words, faces):
    with pytest.raises(error, match=words):
        sample_faces(faces, emotion, among, number)


def test_a_class_without_faces_is_said(faces):
    with pytest.raises(DataError, match="no face of fear"):
        sample_faces(faces.only(["sad", "happy"]), "fear", EMOTIONS)


# what is counted


def test_figures_are_those_of_the_rows_of_the_class():
    table = drawn(2000)
    sad = EMOTIONS.index("sad")
    rows = [i for i in range(2000) if table.labels[i] == sad]
    hits = [i for i in rows if table.predicted[i] == sad]
    misses = [i for i in rows if table.predicted[i] != sad]
    look = look_at(table, "sad", available=5000)
    assert (look.n, look.available, look.split) == (len(rows), 5000, "validation")
    assert look.accuracy == pytest.approx(len(hits) / len(rows))
    assert look.interval == wilson_interval(len(hits), len(rows))
    assert look.answers == {name: sum(table.predicted[i] == c for i in rows) for c, name in enumerate(EMOTIONS)}
    assert look.confidence_right == pytest.approx(np.mean([table.probs[i].max() for i in hits]))
    assert look.confidence_wrong == pytest.approx(np.mean([table.probs[i].max() for i in misses]))
    assert (sum(look.histogram.right), sum(look.histogram.wrong)) == (len(hits), len(misses))
    assert json.loads(json.dumps(look.to_dict()))["answers"] == look.answers


def test_zero_mistakes_and_nothing_but_mistakes():
    right, wrong = look_at(all_right(), "fear"), look_at(all_wrong(), "fear")
    assert (right.accuracy, right.confidence_wrong, right.answers["fear"]) == (1, None, 2)
    assert (wrong.accuracy, wrong.confidence_right, wrong.answers["happy"]) == (0, None, 2)
    assert describe_sample(right) == "2" and describe_sample(replace(right, available=40)) == "2 of 40 (drawn with seed 0)"


def test_a_table_without_the_class_is_said():
    with pytest.raises(DataError, match="no face of angry"):
        look_at(drawn(50).rows(drawn(50).labels > 0), "angry")


# the gallery


@pytest.fixture
def judged(faces, checkpoint_file):
    chosen, _ = sample_faces(faces, "fear", EMOTIONS)
    table = evaluate_checkpoint(checkpoints.load(checkpoint_file), chosen)
    return table, chosen, judged_faces(table, chosen)


def test_the_surest_face_comes_first_and_each_has_its_own_answer(judged):
    table, faces, shown = judged
    order = sorted(range(6), key=lambda i: -table.probs[i].max())
    for face, i in zip(shown, order, strict=True):
        assert torch.equal(torch.tensor(face.image), faces.images[i, 0])
        assert face.label == EMOTIONS[table.predicted[i]] and face.right == (face.label == "fear")
        assert face.confidence == pytest.approx(table.probs[i].max())


def test_of_too_many_faces_the_shown_ones_reach_from_the_surest_to_the_least_sure(judged):
    table, faces, everyone = judged
    few = judged_faces(table, faces, most=3)
    assert [face.confidence for face in few] == [everyone[i].confidence for i in (0, 2, 5)]
    assert len(judged_faces(table, faces, most=1)) == 1


def test_frames_tell_answer_and_verdict():
    image = np.zeros((48, 48), np.uint8)
    shown = [face_grid.Judged(image, "fear", 0.9, True), face_grid.Judged(image, "sad", 0.4, False)] * 6
    figure = face_grid.figure(shown, "fear, n = 12")
    (ax,) = figure.axes
    assert len(ax.images) == len(ax.patches) == 12
    assert [text.get_text() for text in ax.texts[:2]] == ["✓ fear 90%", "✗ sad 40%"]
    assert [to_hex(frame.get_edgecolor()) for frame in ax.patches[:2]] == [COLOURS["fear"], COLOURS["sad"]]
    assert ax.patches[0].get_linestyle() in ("solid", "-") and ax.patches[1].get_linestyle() not in ("solid", "-")
    corners = [(round(frame.get_x(), 6), round(frame.get_y(), 6)) for frame in ax.patches]
    assert len(set(corners)) == 12 and len({y for _, y in corners}) == 2  # ten, then two
    assert figure.get_suptitle().startswith("fear, n = 12\n")


# the command


def test_the_command_writes_numbers_histogram_and_gallery(fer, checkpoint_file, fake_folder, tmp_path):
    out = tmp_path / "out"
    outcome = fer(
        "evaluate", "-c", checkpoint_file, "-d", fake_folder, "--split", "train", "--emotion", "fear", "--num-samples", 4,
        "--out", out, "--json", "--table", tmp_path / "t.npz",
    )  # fmt: skip
    assert outcome.code == 0
    assert sorted(path.name for path in out.iterdir()) == ["fear-emotion.json", "fear-gallery.png", "fear-histogram.png"]
    said, written = json.loads(outcome.out), json.loads((out / "fear-emotion.json").read_text(encoding="utf-8"))
    assert said.items() <= written.items() and written["checkpoint"] == "random"
    assert (said["emotion"], said["n"], said["available"], said["seed"], sum(said["answers"].values())) == ("fear", 4, 6, 0, 4)
    for name in ("fear-gallery.png", "fear-histogram.png"):
        assert str(out / name) in outcome.err
        with Image.open(out / name) as picture:
            assert min(picture.size) > 200 and picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_two_classes_in_one_folder_keep_their_numbers(fer, checkpoint_file, fake_folder, tmp_path):
    usual, said = ("evaluate", "-c", checkpoint_file, "-d", fake_folder, "--out", tmp_path / "out", "--json"), {}
    for name in ("fear", "happy"):
        said[name] = json.loads(fer(*usual, "--emotion", name).out)
    for name, look in said.items():
        written = json.loads((tmp_path / "out" / f"{name}-emotion.json").read_text(encoding="utf-8"))
        assert look.items() <= written.items() and written["emotion"] == name


def test_the_command_prints_two_tables_and_writes_nothing_unasked(fer, checkpoint_file, fake_folder, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("evaluate", "-c", checkpoint_file, "-d", fake_folder, "--emotion", "sadness", "--num-samples", 2)
    assert outcome.code == 0 and outcome.err == "" and list((tmp_path / "work").iterdir()) == []
    assert "2 of 3 (drawn with seed 0)" in outcome.out and all(name in outcome.out for name in EMOTIONS)


def test_views_and_subsets_of_classes_go_together_with_it(fer, checkpoint_file, fake_folder):
    outcome = fer(
        "evaluate", "-c", checkpoint_file, "-d", fake_folder, "--emotion", "sad", "--classes", "sad,happy",
        "--tta", "flip", "--json",
    )  # fmt: skip
    assert outcome.code == 0 and set(json.loads(outcome.out)["answers"]) == {"happy", "sad"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--num-samples", 5], ["--emotion"]),
        (["--out", "here"], ["--emotion"]),
        (["--emotion", "contempt"], ["contempt", *EMOTIONS]),
        (["--emotion", "fear", "--num-samples", 0], ["1 or more"]),
        (["--emotion", "fear", "--num-samples", "many"], ["--num-samples"]),
        (["--emotion", "fear", "--classes", "happy,sad"], ["fear", "happy, sad"]),
        (["--emotion", "fear", "--classes", "fear"], ["two or more"]),
        (["--emotion", "fear", "--split", "PublicTest"], ["PublicTest", "validation"]),
        (["--emotion", "fear", "--checkpoint", "nobody"], ["nobody"]),
    ],
)
def test_what_does_not_go_together_is_one_line(options, words, fer, checkpoint_file, fake_folder, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("evaluate", "-d", fake_folder, "-c", checkpoint_file, *options)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert all(word in line for word in words), line
    assert list((tmp_path / "work").iterdir()) == []
