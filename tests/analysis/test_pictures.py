"""Explained pictures: the files, the numbers, the notes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from analysis.explain import Question
from analysis.figures import panel
from analysis.pictures import explain_pictures
from fer import checkpoint as checkpoints
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, ImageError, OutputError
from fer.predict import Predictor
from fer.samples import sample_path
from fer.types import Box, Face, Heatmap, Prediction


@pytest.fixture
def checkpoint(checkpoint_file):
    return checkpoints.load(checkpoint_file)


def faceless(path):
    """A picture without a face: a smooth slope of grey."""
    Image.fromarray(np.tile(np.linspace(40, 200, 200).astype(np.uint8), (160, 1))).save(path)
    return path


def test_the_sample_gives_one_picture_and_its_numbers(checkpoint, tmp_path):
    written, notes = explain_pictures(checkpoint, [sample_path()], tmp_path / "out")
    assert [path.name for path in written] == ["astronaut-face1.png", "explanations.json"]
    assert notes == []
    with Image.open(written[0]) as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width > picture.height
    content = json.loads(written[1].read_text(encoding="utf-8"))
    assert content["checkpoint"] == "random"
    assert content["weights_sha256"] == checkpoint.card.weights_sha256
    (face,) = content["faces"]
    (prediction,) = Predictor(checkpoint).predict(sample_path())
    assert face["path"] == str(sample_path()) and face["face"] == 1 and face["picture"] == "astronaut-face1.png"
    assert face["box"] == prediction.face.box.as_list()
    assert face["label"] == face["target"] == prediction.label
    assert face["confidence"] == pytest.approx(prediction.confidence)
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["method"] == "gradcam" and face["peak"] >= 0
    values = np.array(face["heatmap"])
    assert values.shape == (48, 48) and values.min() >= 0 and values.max() <= 1


def test_the_class_asked_for_is_explained(checkpoint, tmp_path):
    written, _ = explain_pictures(checkpoint, [sample_path()], tmp_path, [Question("fear")])
    (face,) = json.loads(written[-1].read_text(encoding="utf-8"))["faces"]
    assert face["target"] == "fear"


def test_a_picture_without_a_face_is_explained_whole_and_said_so(checkpoint, tmp_path):
    path = faceless(tmp_path / "slope.png")
    written, notes = explain_pictures(checkpoint, [path], tmp_path / "out")
    assert notes == [f"{path}: no face found: whole image used"]
    (face,) = json.loads(written[-1].read_text(encoding="utf-8"))["faces"]
    assert face["box"] == [0, 0, 200, 160]


def test_without_a_detector_nothing_is_said_to_be_missing(checkpoint, tmp_path):
    _, notes = explain_pictures(checkpoint, [faceless(tmp_path / "a.png")], tmp_path / "out", detector="none")
    assert notes == []


def test_pictures_of_the_same_name_do_not_overwrite_one_another(checkpoint, tmp_path):
    paths = [tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg", tmp_path / "z" / "a-2.jpg"]
    for path in paths:
        path.parent.mkdir()
        shutil.copy(sample_path(), path)
    written, _ = explain_pictures(checkpoint, paths, tmp_path / "out")
    assert len(set(written)) == 4
    faces = json.loads(written[-1].read_text(encoding="utf-8"))["faces"]
    assert [face["path"] for face in faces] == [str(path) for path in paths]
    assert len({face["picture"] for face in faces}) == 3


def test_nothing_is_written_where_one_of_the_pictures_is_none(checkpoint, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture", encoding="utf-8")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        explain_pictures(checkpoint, [sample_path(), broken], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_an_expected_error(checkpoint, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="file"):
        explain_pictures(checkpoint, [sample_path()], tmp_path / "file" / "out")


def test_the_command_explains_the_sample_by_default_and_prints_what_it_wrote(fer, checkpoint_file, tmp_path):
    outcome = fer("explain", "--checkpoint", checkpoint_file, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.out.split() == [str(tmp_path / "out" / name) for name in ("astronaut-face1.png", "explanations.json")]


def test_several_methods_targets_and_layers_give_one_picture_and_a_record_each(fer, tmp_path):
    outcome = fer(
        *("explain", "-c", "custom_cnn", "-m", "gradcam", "-m", "layercam"),
        *("--target", "all", "--layer", "each", "--out", tmp_path),
    )  # fmt: skip
    assert outcome.code == 0 and outcome.err == ""
    faces = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))["faces"]
    found = [(face["method"], face["target"], *face["layers"]) for face in faces]
    assert found == [(m, t, f"block{i}") for m in ("gradcam", "layercam") for t in EMOTIONS for i in (1, 2, 3)]
    assert {face["picture"] for face in faces} == {"astronaut-face1.png"}


def test_a_panel_of_several_maps_shows_each_under_its_name_with_its_peak():
    prediction = Prediction(Face(np.zeros((48, 48, 3), np.uint8), Box(0, 0, 48, 48), 1.0, "haar"), np.eye(7)[3])
    peaks = ("0", "0.12", "0.25", "0.38", "0.5", "0.62", "0.75", "0.88", "1")
    maps = [Heatmap(np.eye(48) * i / 9, i / 8, "happy", f"method{i}") for i in range(9)]
    fig = panel.figure(prediction, maps)
    shown = [ax for ax in fig.axes if ax.images][1:]
    assert [ax.get_title() for ax in shown] == [f"method{i}\nhappy\npeak {peak}" for i, peak in enumerate(peaks)]
    assert len({ax.images[0].get_array().tobytes() for ax in shown}) == 9


def test_why_this_and_not_that(fer, tmp_path):
    assert fer("explain", "--target", "fear", "--against", "surprise", "--out", tmp_path).code == 0
    (face,) = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))["faces"]
    assert (face["target"], face["against"]) == ("fear", "surprise")


REFUSED = {
    "a class against itself": (["--target", "fear", "--against", "fear"], "two different classes"),
    "the prediction against itself": (["--against", "top1"], "two different classes"),
    "an unknown contrast": (["--against", "bored"], "unknown class 'bored'"),
    "no such layer": (["--layer", "block9"], "no layer block9"),
    "rollout without attention": (["-m", "rollout"], "choose another method"),
    "an unknown method beside a known one": (["-m", "gradcam", "-m", "lime"], "unknown explanation method 'lime'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_one_line_and_leaves_nothing(case, fer, tmp_path):
    arguments, words = REFUSED[case]
    outcome = fer("explain", *arguments, "--out", tmp_path / "out")
    assert outcome.code == 2 and outcome.out == "" and len(outcome.err.splitlines()) == 1 and words in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_prediction_is_not_set_against_itself(checkpoint, tmp_path):
    (prediction,) = Predictor(checkpoint).predict(sample_path())
    with pytest.raises(ConfigError, match="name two different classes"):
        explain_pictures(checkpoint, [sample_path()], tmp_path / "out", [Question(against=prediction.label)])
    assert not (tmp_path / "out").exists()
    every = [Question(name, against="top1") for name in EMOTIONS]
    written, notes = explain_pictures(checkpoint, [sample_path()], tmp_path / "out", every)
    faces = json.loads(written[-1].read_text(encoding="utf-8"))["faces"]
    assert [face["target"] for face in faces] == [name for name in EMOTIONS if name != prediction.label]
    assert {face["against"] for face in faces} == {prediction.label}
    assert notes == ["1 maps left out, whose class would be set against itself"]
