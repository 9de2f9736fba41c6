"""``fer export`` and what runs without torch, as a person calls them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.explain import explain
from fer import checkpoint as checkpoints
from fer import released
from fer.data import load as load_data
from fer.errors import CheckpointError, ExportError, UnknownNameError
from fer.evaluation import evaluate_checkpoint
from fer.export import DEFAULT_OPSET, export
from fer.portable import load
from fer.predict import Predictor, exported_default
from fer.samples import sample_path
from tests.conftest import ROOT
from tests.fer import voted
from tests.fer.fitted import fitted

#: Put before a program: whoever imports these fails, as where they are not installed.
WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "lightning_fabric", "onnx", "sklearn", "pytorch_grad_cam", "gradio"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The released baseline as ONNX."""
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export(checkpoints.load("baseline"), path)
    return path


def without_torch(*arguments, cwd=ROOT):
    """Run a command line of fer where torch is missing; the last line of stderr is its peak memory in megabytes."""
    code = WITHOUT_TORCH + "from fer.cli import main\ncode = main(sys.argv[1:])\n"
    code += "peak = open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
    code += "print(int(peak) // 1024, file=sys.stderr)\nsys.exit(code)"
    words = [sys.executable, "-c", code, *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | {"PYTHONPATH": path})


def test_predict_runs_without_torch_in_little_memory(model):
    done = without_torch("predict", sample_path(), "-c", model, "--format", "json")
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)[0]["faces"]
    (expected,) = Predictor("baseline").predict(sample_path())
    assert face["box"] == expected.face.box.as_list()
    assert face["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    assert int(done.stderr.split()[-1]) <= 200


def test_explain_runs_without_torch_and_shows_the_same(model, tmp_path, fer):
    done = without_torch("explain", sample_path(), "-c", model, "--out", tmp_path / "onnx")
    assert done.returncode == 0, done.stderr
    assert fer("explain", sample_path(), "-c", "baseline", "--out", tmp_path / "torch").code == 0
    found, expected = (
        json.loads((tmp_path / kind / "explanations.json").read_text())["faces"][0] for kind in ("onnx", "torch")
    )
    np.testing.assert_allclose(found["heatmap"], expected["heatmap"], atol=1e-3)
    assert found["target"] == expected["target"]
    assert sorted(p.name for p in (tmp_path / "onnx").iterdir()) == sorted(p.name for p in (tmp_path / "torch").iterdir())


def test_where_no_model_is_named_the_default_answers_without_torch_as_its_checkpoint_does(tmp_path):
    done = without_torch("predict", sample_path(), "--format", "json")
    assert done.returncode == 0, done.stderr
    (face,), (expected,) = json.loads(done.stdout)[0]["faces"], Predictor().predict(sample_path())
    assert face["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    for words in (["explain", "--out", tmp_path / "maps"], ["predict", sample_path(), "--out", tmp_path / "faces.csv"]):
        done = without_torch(*words)
        assert done.returncode == 0, done.stderr
    (mapped,) = json.loads((tmp_path / "maps" / "explanations.json").read_text())["faces"]
    (heatmap,) = explain(checkpoints.load(), [expected.face])
    np.testing.assert_allclose(mapped["heatmap"], heatmap.values, atol=1e-3)


@pytest.mark.parametrize("words", [["--method", "hirescam"], ["--layer", "block1"]])
def test_what_only_a_network_can_show_is_read_from_the_default_checkpoint(words, tmp_path):
    done = without_torch("explain", *words, "--out", tmp_path / "maps")
    assert done.returncode == 2 and "torch" in done.stderr


@pytest.fixture
def shipped(model, tmp_path, monkeypatch):
    """A folder of releases whose default is the baseline, exported, too."""
    for suffix in (".pth", ".json"):
        shutil.copy(released.RELEASED / f"baseline{suffix}", tmp_path / f"own{suffix}")
    shutil.copy(model, tmp_path / "own.onnx")
    (tmp_path / "DEFAULT").write_text("own\n", encoding="utf-8")
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    monkeypatch.setattr(released, "_DEFAULT_FILE", tmp_path / "DEFAULT")
    return tmp_path


def test_the_exported_default_is_that_of_the_default_checkpoints_weights(shipped):
    found = exported_default("flip")
    assert found is not None and found.card.weights_sha256 == checkpoints.load().card.weights_sha256


def _of_other_weights(folder):
    card = replace(checkpoints.load().card, weights_sha256="0" * 64)
    (folder / "own.json").write_text(card.to_json(), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        _of_other_weights,
        lambda folder: (folder / "own.json").unlink(),
        lambda folder: (folder / "own.json").write_text("{}", encoding="utf-8"),
        lambda folder: (folder / "own.onnx").unlink(),
    ],
    ids=["of other weights", "no card beside", "a damaged card beside", "not exported"],
)
def test_without_an_export_of_its_weights_the_checkpoint_answers(change, shipped):
    change(shipped)
    assert exported_default() is None


def test_views_that_are_no_whole_faces_are_for_the_checkpoint(shipped):
    assert exported_default("tencrop") is None
    with pytest.raises(UnknownNameError, match="sevencrop"):
        exported_default("sevencrop")


def test_a_damaged_export_of_the_default_is_said(shipped):
    (shipped / "own.onnx").write_bytes((shipped / "own.onnx").read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"own\.onnx"):
        exported_default()


def test_a_checkpoint_needs_torch_and_says_so(tmp_path):
    done = without_torch("predict", sample_path(), "-c", "baseline")
    assert done.returncode == 2
    assert "needs torch, which is not installed; use an exported .onnx" in done.stderr


def test_export_prints_the_file_and_its_proof(fer, fake_zip, tmp_path):
    path = tmp_path / "m.onnx"
    outcome = fer("export", "baseline", "--data", fake_zip, "--out", path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == str(path)
    assert all(
        words in outcome.out for words in ("21 faces (validation)", "accuracy", "largest difference of a logit", "1.0000")
    )
    as_json = json.loads(fer("export", "baseline", "--data", fake_zip, "--out", path, "--json").out)
    assert as_json["proof"] == json.loads(json.dumps(load(path).seal.proof))
    assert as_json["path"] == str(path)


def test_the_file_is_named_after_the_checkpoint(fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fer("export", "baseline").code == 0
    assert fer("export", "baseline", "--format", "torch-export").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline.onnx", "baseline.pt2"]


def test_evaluate_takes_an_exported_model(fer, fake_zip, tmp_path):
    net = fitted(load_data(fake_zip).split("train"))
    checkpoints.save(tmp_path / "m.pth", net.model.state_dict(), net.card)
    export(net, tmp_path / "m.onnx")
    found, expected = (
        json.loads(fer("evaluate", "-c", tmp_path / name, "-d", fake_zip, "--json").out) for name in ("m.onnx", "m.pth")
    )
    assert found["confusion_matrix"] == expected["confusion_matrix"] == np.diag([3] * 7).tolist()
    assert found["accuracy"] == expected["accuracy"] == 1
    assert found["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-4)


def test_latency_times_every_runtime(fer, model):
    outcome = fer("latency", "baseline", model, "--rounds", 2, "--json")
    results = json.loads(outcome.out)
    assert [result["name"] for result in results] == ["baseline", "m"]
    assert results[0]["runtime"].startswith("torch ") and results[1]["runtime"] == "onnx"
    assert results[1]["megabytes"] == pytest.approx(model.stat().st_size / 1e6)
    assert all(result["latency"]["single"] > 0 < result["latency"]["batched"] for result in results)
    assert all(result["latency"]["threads"] == 1 for result in results)
    table = fer("latency", "baseline", model, "--rounds", 1).out
    assert "baseline" in table and "faces a second" in table
    by_two = json.loads(fer("latency", "baseline", model, "--rounds", 1, "--threads", 2, "--json").out)
    assert [result["latency"]["threads"] for result in by_two] == [2, 2]


BAD = {
    "no faces for int8": (["--format", "onnx-int8"], "--calibrate"),
    "no such data": (["--format", "onnx-int8", "--calibrate", "nowhere.zip"], "nowhere.zip"),
    "unknown format": (["--format", "onxn"], "onnx"),
    "opset too high": (["--opset", "99"], "opset"),
    "opset too low": (["--opset", "3"], "opset"),
    "an opset where there is none": (["--format", "torch-export", "--opset", "18"], "leave out --opset"),
    "no such folder": (["--out", "nowhere/m.onnx"], "nowhere/m.onnx"),
    "not a folder": (["--out", "/dev/null/m.onnx"], "/dev/null/m.onnx"),
    "another suffix": (["--out", "m.pth"], ".onnx"),
    "the name is a folder": (["--out", "folder.onnx"], "folder.onnx"),
    "no such checkpoint": (["nonsense"], "nonsense"),
}


def test_integers_cannot_be_scaled_where_there_is_no_training_face(fer, fake_folder, tmp_path):
    shutil.copytree(fake_folder / "test", tmp_path / "data" / "test")
    outcome = fer("export", "baseline", "--format", "onnx-int8", "--data", tmp_path / "data", "--out", tmp_path / "m.onnx")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and not (tmp_path / "m.onnx").exists()
    assert line.endswith("data has no train split, whose faces scale integers; name data that has one by --calibrate")


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(kind, fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "folder.onnx" / "content").touch()
    words, named = BAD[kind]
    outcome = fer("export", *([] if kind == "no such checkpoint" else ["baseline"]), *words)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and named in line
    assert [path.name for path in tmp_path.rglob("*")] == ["folder.onnx", "content"]


@pytest.mark.parametrize(
    "words",
    [
        ["export", "baseline", "--opset", "99", "--out", "m.onnx"],
        ["export", "baseline", "--opset", "0", "--out", "m.onnx"],
        ["predict", sample_path(), "--checkpoint", "text.pt2"],
        ["predict", sample_path(), "--checkpoint", "text.xml"],
        ["latency", "baseline", "--threads", "0"],
        ["latency", "baseline", "--rounds", "0"],
        ["predict", sample_path(), "--out", "faces.parquet", "--processes", "-1"],
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_other_programs_add_no_lines_of_their_own(words, tmp_path):
    """In a process of its own: a test's logging would hide what a person sees."""
    for suffix in ("pt2", "xml", "bin"):
        (tmp_path / f"text.{suffix}").write_text("no model")
    command = [sys.executable, "-m", "fer", *map(str, words)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("fer: ")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("words", [["latency", "M"], ["export", "baseline"], ["explain", "--list"]], ids=" ".join)
def test_a_missing_package_is_one_line(words, model):
    done = without_torch(*(model if word == "M" else word for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    first, _ = done.stderr.splitlines()  # the second is the memory
    assert first.startswith("fer: this needs ") and first.endswith("which is not installed; pip install ferscope")


def test_a_read_only_folder_is_one_line(fer, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # the superuser of a container may write everywhere
    outcome = fer("export", "baseline", "--out", tmp_path / "m.onnx")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"fer: cannot write {tmp_path / 'm.onnx'}: Permission denied; choose a writable folder\n"


def test_a_default_opset_is_one_that_runtimes_know(model):
    import onnx

    (opset,) = [entry.version for entry in onnx.load(model).opset_import if not entry.domain]
    assert opset == DEFAULT_OPSET


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(sent, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"what was there")
    words = [sys.executable, "-m", "fer", "export", "custom_cnn", "--out", tmp_path / "m.onnx"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)  # until its hidden folder is there
        assert len(list(tmp_path.iterdir())) == 2
        program.send_signal(sent)
        out, err = program.communicate(timeout=120)
    assert (program.returncode, out) == (130, "")
    assert err.strip().splitlines()[-1] == "fer: stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"what was there"


def test_the_proof_is_on_the_labels_that_the_checkpoint_learnt(fer, fake_zip, checkpoint_file, tmp_path):
    """All votes are for another class than the data set's own label, and two validation faces have none."""
    votes = voted.write_votes(tmp_path / "votes.csv", load_data(fake_zip), without=2)
    loaded = checkpoints.load(checkpoint_file)
    card = replace(loaded.card, config={"labels": "ferplus-majority", "votes": str(votes)})
    checkpoints.save(tmp_path / "voted.pth", loaded.model.state_dict(), card)
    words = ["export", tmp_path / "voted.pth", "--data", fake_zip, "--out", tmp_path / "m.onnx", "--json"]
    outcome = fer(*words)
    assert outcome.code == 0, outcome.err
    proof, faces = json.loads(outcome.out)["proof"], load_data(fake_zip).split("validation")
    said = evaluate_checkpoint(loaded, faces).predicted[2:]
    expected = np.mean([place == voted.next_class(label) for place, label in zip(said, faces.labels[2:], strict=True)])
    assert proof["n"] == 21 - 2 and proof["accuracy"][0] == pytest.approx(expected)
    own = np.mean(said == faces.labels[2:].numpy())
    assert own != pytest.approx(expected)  # the data set's own labels would have been something else


def test_scales_of_four_classes_are_read_off_a_set_of_these_alone(fer, fake_folder, checkpoint_file, tmp_path, monkeypatch):
    four = ("angry", "disgust", "fear", "happy")
    for split in ("train", "test"):
        for name in four:
            shutil.copytree(fake_folder / split / name, tmp_path / "data" / split / name)
    loaded, given = checkpoints.load(checkpoint_file), []

    def export(model, path, format, evidence, **_):
        given.append(evidence)
        raise ExportError("that is all that is asked")

    monkeypatch.setattr("fer.export.export", export)
    checkpoints.save(tmp_path / "four.pth", loaded.model.state_dict(), replace(loaded.card, classes=four))
    monkeypatch.setattr("fer.checkpoint.build", lambda _: loaded.model)  # its head is of seven, which nobody asks here
    outcome = fer("export", tmp_path / "four.pth", "--format", "onnx-int8", "--data", tmp_path / "data")
    assert outcome.err == "fer: that is all that is asked\n"
    assert given[0].calibration.shape == (6 * len(four), 1, 48, 48)
    assert given[0].labelled.classes == four and len(given[0].labelled) == 3 * len(four)


def test_faces_for_scales_are_refused_where_no_scale_is_set(fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["--data", "a.zip"], []):
        outcome = fer("export", "baseline", "--format", "onnx", *words, "--calibrate", "b.zip")
        assert (outcome.code, outcome.out) == (2, "")
        (line,) = outcome.err.splitlines()
        assert "--calibrate" in line and "onnx" in line and "--data" in line and "a.zip" not in line


def test_a_program_that_could_not_be_opened_here_is_not_written(fer, tmp_path, monkeypatch):
    """Where the cache cannot be written, nothing says afterwards that the file was exported here."""
    (tmp_path / "taken").write_text("no folder")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "taken"))
    outcome = fer("export", "baseline", "--format", "torch-export", "--out", tmp_path / "m.pt2")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(tmp_path / "taken") in line and "can run code" not in line
    assert not (tmp_path / "m.pt2").exists()


def test_every_runtime_is_timed_on_the_cpu(fer, model, monkeypatch):
    """Exported models run there; "meta" stands for a GPU, and cannot answer."""
    monkeypatch.setattr("fer.checkpoint.best_device", lambda: "meta")
    outcome = fer("latency", "baseline", model, "--rounds", 1, "--json")
    assert outcome.code == 0, outcome.err
