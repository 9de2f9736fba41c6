"""What a program without a browser may ask for: the examples of docs/page.md, run as they stand there."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest
from gradio_client import Client, handle_file

from fer.predict import Predictor
from fer.samples import sample_path
from tests.conftest import ROOT, save_random

pytestmark = pytest.mark.browser  # the page is started as for the browser's tests

GUIDE = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")


def example(language, url):
    """The guide's example, asked of the page under test."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert "http://127.0.0.1:7860/" in text
    return text.replace("http://127.0.0.1:7860/", url)


@pytest.fixture
def face(tmp_path):
    (tmp_path / "face.jpg").write_bytes(sample_path().read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def client(url):
    client = Client(url, verbose=False)
    yield client
    client.close()


def test_the_guides_python_example_prints_the_face(url, face):
    done = subprocess.run([sys.executable, "-c", example("python", url)], cwd=face, capture_output=True, text=True, check=False)
    (prediction,) = Predictor("fast_cnn").predict(sample_path())
    expected = f"{prediction.label} {round(prediction.confidence, 3)} {prediction.face.box.as_list()}"
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_the_guides_curl_example_prints_the_answer(url, face):
    done = subprocess.run(["bash", "-euc", example("sh", url)], cwd=face, capture_output=True, text=True, check=True)
    event, data = done.stdout.strip().split("\n", 1)
    assert event == "event: complete"
    (told,) = json.loads(data.removeprefix("data: "))
    (prediction,) = Predictor("fast_cnn").predict(sample_path())
    (found,) = told["faces"]
    assert found["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-6)


def test_the_answer_is_that_of_the_command_line_and_of_python(client, checkpoint, fer, tmp_path):
    told = client.predict(picture=handle_file(str(sample_path())), checkpoint=checkpoint.stem, api_name="/look")
    assert fer("explain", sample_path(), "-c", checkpoint, "--out", tmp_path).code == 0
    by_command = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))
    (here,), (there,), (prediction,) = told["faces"], by_command["faces"], Predictor(checkpoint).predict(sample_path())
    assert here["box"] == there["box"] == prediction.face.box.as_list()
    assert told["weights_sha256"] == by_command["weights_sha256"]
    for label, value in prediction.probabilities.items():
        assert here["probabilities"][label] == pytest.approx(value, abs=1e-6)
        assert there["probabilities"][label] == pytest.approx(value, abs=1e-6)
    assert here["heatmap"] == there["heatmap"]


def test_a_class_can_be_set_against_another(client):
    words = {"picture": handle_file(str(sample_path())), "checkpoint": "fast_cnn", "target": "sad", "against": "fear"}
    (face,) = client.predict(**words, api_name="/look")["faces"]
    assert (face["label"], face["target"], face["against"]) == ("happy", "sad", "fear")


def test_several_checkpoints_are_compared(client):
    told = client.predict(
        handle_file(str(sample_path())), ["fast_cnn", "fast_cnn-int8"], ["gradcam", "layercam"], api_name="/compare"
    )
    (prediction,) = Predictor("fast_cnn-int8").predict(sample_path())
    first, second = told["opinions"]
    assert (first["checkpoint"], second["checkpoint"]) == ("fast_cnn", "fast_cnn-int8")
    assert second["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-6)
    assert [one["method"] for one in first["maps"]] == ["gradcam", "layercam"]
    assert "knows gradcam only" in second["maps"][1]["reason"]
    assert told["box"] == prediction.face.box.as_list()


def test_what_cannot_be_answered_is_said(client, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for picture, named in ((None, "no picture; give one"), (handle_file(str(tmp_path / "text.jpg")), "text.jpg")):
        with pytest.raises(Exception, match=named) as said:
            client.predict(picture, "fast_cnn", api_name="/look")
        assert str(tmp_path) not in str(said.value)


def test_a_checkpoint_that_is_not_offered_is_not_read(client, tmp_path):
    other = save_random(tmp_path / "other.pth", seed=3)
    with pytest.raises(Exception, match="not in the list of choices"):
        client.predict(handle_file(str(sample_path())), str(other), api_name="/look")


def test_every_endpoint_is_named_typed_and_described_and_the_stream_is_hidden(url):
    with urllib.request.urlopen(f"{url}gradio_api/info", timeout=30) as answer:
        endpoints = json.load(answer)["named_endpoints"]
    assert set(endpoints) == {"/look", "/compare"}
    for name, endpoint in endpoints.items():
        assert f"`{name}`" in GUIDE
        assert endpoint["description"].strip()
        for parameter in endpoint["parameters"]:
            assert parameter["parameter_name"] in endpoint["description"]
            assert parameter["type"]
    names = [parameter["parameter_name"] for parameter in endpoints["/look"]["parameters"]]
    assert names == ["picture", "checkpoint", "method", "target", "against"]
    assert "fast_cnn" in endpoints["/look"]["parameters"][1]["type"]["enum"]
