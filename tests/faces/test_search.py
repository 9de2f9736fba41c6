"""The choice of a detector, and where it is taken: Predictor, commands, tables."""

import json

import pytest

from fer.bulk import FaceStage
from fer.errors import ConfigError, UnknownNameError, WeightsError
from fer.faces import DETECTORS, Margin, Search
from fer.predict import Predictor
from fer.samples import sample_path
from tests.faces import nets


def test_auto_is_haar_where_nothing_was_fetched():
    assert Search().open().name == "haar"
    assert Predictor("fast_cnn-int8").detector.name == "haar"


def test_a_file_without_a_name_is_known_by_its_ending(tmp_path):
    assert Search("auto", nets.write(tmp_path / "net.ONNX")).open().name == "yunet"
    (tmp_path / "net.bin").touch()
    with pytest.raises(
        ConfigError, match=r"no detector has such files; known: \.onnx \(yunet\), \.tflite \(mediapipe\), \.xml"
    ):
        Search("auto", tmp_path / "net.bin").open()


def test_what_is_not_there_is_an_expected_error(tmp_path):
    with pytest.raises(WeightsError, match="no such file; check the path given to --detector-model"):
        Search("yunet", tmp_path / "nothing.onnx").open()
    with pytest.raises(UnknownNameError, match="unknown detector 'mtcnn'; known: haar, mediapipe, none, yunet, auto"):
        Search("mtcnn").open()
    with pytest.raises(ConfigError, match="leave out --detector-model"):
        Search("none", sample_path()).open()


@pytest.mark.parametrize("name", [name for name in DETECTORS if name not in ("auto", "yunet", "mediapipe")])
def test_every_detector_keeps_the_protocol(name):
    detector = Search(name).open()
    assert detector.name == name
    assert isinstance(detector.margin, Margin)
    assert all(isinstance(angle, float) for angle in detector.leans)


def test_the_command_takes_a_local_file(fer, tmp_path):
    net = nets.write(tmp_path / "net.onnx")
    outcome = fer("predict", sample_path(), "--detector-model", net, "--format", "json", "-c", "fast_cnn-int8")
    assert outcome.code == 0
    (found,) = json.loads(outcome.out)
    assert "no face found" in outcome.err  # the net looks for red squares
    assert found["faces"][0]["box"] == [0, 0, 512, 512]


def test_a_table_says_which_detector_it_was(tmp_path):
    columns = FaceStage("fast_cnn-int8", "haar")({"path": [str(sample_path())]})
    assert columns["detector"].tolist() == ["haar"]


def test_a_stage_says_which_detector_auto_was(tmp_path):
    """What is fetched between two runs of one table would mix its boxes with the other's: the store compares this name."""
    stage = FaceStage("fast_cnn-int8", Search("auto", nets.write(tmp_path / "net.onnx")))
    assert (stage.detector, FaceStage("fast_cnn-int8").detector) == ("yunet", "haar")


def test_explain_takes_a_local_file(fer, tmp_path):
    net = nets.write(tmp_path / "net.onnx")
    outcome = fer("explain", sample_path(), "--detector-model", net, "-c", "fast_cnn-int8", "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "no face found" in outcome.err
