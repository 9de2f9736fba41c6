"""``fer detectors``: the list, the files, the table."""

import json

import pytest

from tests.conftest import REAL_DATA
from tests.faces import nets


def test_the_list_says_what_is_at_hand(fer):
    rows = {row["detector"]: row["ready"] for row in json.loads(fer("detectors", "--json").out)}
    assert set(rows) == {"auto", "haar", "yunet", "mediapipe", "none"}
    assert (rows["haar"], rows["none"], rows["yunet"]) == ("yes", "yes", "file not fetched")
    assert "cascade frontalface_alt2" in fer("detectors").out


def test_a_file_that_cannot_be_fetched_is_one_line(fer, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    outcome = fer("detectors", "--fetch", "yunet")
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: cannot fetch face_detection_yunet_2023mar.onnx")
    assert "--detector-model FILE" in line


@pytest.mark.parametrize(("name", "says"), [("haar", "needs no file"), ("mtcnn", "unknown detector 'mtcnn'")])
def test_what_has_no_file_is_one_line(fer, name, says):
    outcome = fer("detectors", "--fetch", name)
    assert outcome.code == 2
    assert says in outcome.err


IGNORED = {
    "data": (["--data", "faces.zip"], "--measure"),
    "checkpoint": (["--checkpoint", "baseline"], "--measure"),
    "detector model": (["--detector-model", "net.onnx"], "--measure"),
    "fetch with data": (["--fetch", "yunet", "--data", "faces.zip"], "--measure"),
    "fetch and measure": (["--fetch", "yunet", "--measure"], "--fetch"),
    "fetch as JSON": (["--fetch", "yunet", "--json"], "--fetch"),
}


@pytest.mark.parametrize("kind", IGNORED)
def test_options_that_would_be_ignored_are_refused(kind, fer):
    arguments, word = IGNORED[kind]
    outcome = fer("detectors", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert word in line and "leave" in line


@pytest.mark.realdata
def test_the_table_measures_those_at_hand_and_given_files(fer, tmp_path, monkeypatch):
    from fer.cli import detectors

    monkeypatch.setattr(detectors, "_EVERY", 100)
    outcome = fer("detectors", "--measure", "--data", REAL_DATA, "--json")
    assert outcome.code == 0
    (row,) = json.loads(outcome.out)
    assert (row["detector"], row["cut by"]) == ("haar", "1.06, +0.00")
    assert row["LFW faces found"].endswith(" of 100")
    assert row["FER faces found"].endswith(" of 36")
    four = fer("detectors", "--measure", "--data", REAL_DATA, "--json", "--checkpoint", "fast_cnn-four")
    (row,) = json.loads(four.out)
    assert row["FER faces found"].endswith(" of 20")  # of 1,914 faces of its four classes
    blind = fer("detectors", "--measure", "--data", REAL_DATA, "--detector-model", nets.write(tmp_path / "net.onnx"))
    assert blind.code == 2
    assert "yunet finds none of 36 faces" in blind.err
