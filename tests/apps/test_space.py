"""``fer export --space``: the folder starts on its own, where neither torch nor this project is installed."""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata

import pytest
import yaml
from gradio_client import Client, handle_file

from apps.space import REQUIREMENTS
from fer.predict import Predictor, open_model
from fer.released import RELEASED
from fer.samples import sample_path
from tests.apps.started import free_port
from tests.conftest import ROOT
from tests.fer.test_export_cli import WITHOUT_TORCH

# what the folder's own requirements do not name must not be needed, and this clone must not be found
ALONE = WITHOUT_TORCH.replace(', "gradio"', "") + f"sys.path[:] = [place for place in sys.path if place != {str(ROOT)!r}]\n"


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The folder as the command writes it."""
    folder = tmp_path_factory.mktemp("space") / "demo"
    words = [sys.executable, "-m", "fer", "export", "baseline", "--space", folder, "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["path"] == str(folder / "baseline.onnx")
    return folder


def test_the_folder_holds_what_a_space_needs(space):
    names = {path.name for path in space.iterdir()}
    assert names == {"README.md", "app.py", "requirements.txt", "packages.txt", "baseline.onnx", "fer", "analysis", "apps"}
    _, front, text = (space / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["sdk"] == "gradio" and facts["sdk_version"] == metadata.version("gradio")
    assert facts["app_file"] == "app.py" and facts["license"] == "mit"
    assert len(facts["short_description"]) <= 60  # the hub's limit
    assert "baseline.onnx" in text
    assert {line.split("==")[0] for line in (space / "requirements.txt").read_text().split()} == set(REQUIREMENTS)
    assert all(name.isascii() and " " not in name for name in (space / "packages.txt").read_text().split("\n"))
    assert [path.name for path in space.parent.iterdir()] == ["demo"]


def test_a_strange_name_breaks_nothing(fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a\"b'{x}.pth"
    shutil.copy(RELEASED / "baseline.pth", tmp_path / name)
    assert fer("export", name, "--space", "deep/below").code == 0
    program = (tmp_path / "deep" / "below" / "app.py").read_text(encoding="utf-8")
    strings = [node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)]
    assert name.replace(".pth", ".onnx") in strings


def test_it_starts_from_that_folder_alone(space, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    port = free_port()
    words = [sys.executable, "app.py", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("w") as file:
        program = subprocess.Popen(
            words, cwd=space, env=environment | {"PYTHONPATH": str(tmp_path)}, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 120
            while "open http" not in log.read_text() and program.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
            assert "open http" in log.read_text(), log.read_text()
            client = Client(f"http://127.0.0.1:{port}", verbose=False)
            told = client.predict(handle_file(str(sample_path())), "baseline", api_name="/look")
            client.close()
        finally:
            program.terminate()
            program.wait(30)
    (expected,) = Predictor("baseline").predict(sample_path())
    assert told["note"] == "1 face found."
    (face,) = told["faces"]
    assert face["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)


def test_a_model_without_heatmaps_promises_none(fer, tmp_path, monkeypatch):
    path = RELEASED / "fast_cnn-int8.onnx"
    known = open_model(path)
    mute = replace(known, seal=replace(known.seal, lacks_maps="its head has two layers"))
    monkeypatch.setattr("fer.export.export", lambda _, target, *__, **___: shutil.copy(path, target) and mute.seal)
    monkeypatch.setattr("fer.portable.load", lambda _: mute)
    outcome = fer("export", "baseline", "--space", tmp_path / "demo")
    assert outcome.code == 0
    assert "its head has two layers" in outcome.err and "verdicts without heatmaps" in outcome.err
    text = (tmp_path / "demo" / "README.md").read_text(encoding="utf-8")
    assert "heatmap" not in text and "reasons" not in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--space", "used"], "used exists already"),
        (["--space", "s", "--out", "m.onnx"], "leave out --out"),
        (["--space", "s", "--format", "openvino"], "a Space runs ONNX"),
        (["--space", "/dev/null/s"], "/dev/null"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(words, named, fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    outcome = fer("export", "baseline", *words)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and named in line
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
