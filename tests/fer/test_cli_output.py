"""What the commands print when all is well: shapes that other programs read, values computed again by hand."""

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image

import fer as package
from analysis.explain import METHODS
from fer import checkpoint as checkpoints
from fer import environment, released
from fer.cli import COMMANDS
from fer.cli.models import describe
from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.samples import sample_path
from fer.types import PredictionTable
from tests import fakes
from tests.conftest import ROOT
from tests.faces.test_haar import FACE

FACE_KEYS = ["box", "score", "detector", "label", "confidence", "probabilities"]
METRIC_KEYS = {
    "accuracy",
    "top3_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "mcc",
    "log_loss",
    "roc_auc",
    "ece",
    "adaptive_ece",
    "brier",
    "n",
    "ci95",
    "per_class",
    "confusion_matrix",
}


@pytest.fixture
def small_face(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(fakes.fake_face("happy", 1)).save(path)
    return path


@pytest.fixture
def slope(tmp_path):
    """A picture without a face."""
    path = tmp_path / "slope.png"
    Image.fromarray(np.tile(np.linspace(40, 200, 200).astype(np.uint8), (160, 1))).save(path)
    return path


# predict


def test_predict_prints_the_promised_json(fer, checkpoint_file, small_face):
    outcome = fer("predict", sample_path(), small_face, "--checkpoint", checkpoint_file, "--format", "json")
    assert outcome.code == 0
    results = json.loads(outcome.out)
    assert [list(result) for result in results] == [["path", "faces"]] * 2
    assert [result["path"] for result in results] == [str(sample_path()), str(small_face)]
    for face in (face for result in results for face in result["faces"]):
        assert list(face) == FACE_KEYS
        assert list(face["probabilities"]) == list(EMOTIONS)
        assert math.isclose(sum(face["probabilities"].values()), 1, abs_tol=1e-5)
        assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
        assert face["confidence"] == face["probabilities"][face["label"]]
        assert face["score"] >= 0


def test_the_box_of_the_portrait_surrounds_her_face(fer, checkpoint_file):
    (result,) = json.loads(fer("predict", sample_path(), "--checkpoint", checkpoint_file, "--format", "json").out)
    (face,) = result["faces"]
    np.testing.assert_allclose(face["box"], FACE, atol=8)
    assert all(isinstance(corner, int) for corner in face["box"])
    assert face["score"] > 0


def test_probabilities_are_the_softmax_of_the_network(fer, checkpoint_file, small_face):
    """The whole way again in plain torch: read, scale to 0..1, standardise, run, softmax."""
    loaded = checkpoints.load(checkpoint_file)
    pixels = torch.from_numpy(fakes.fake_face("happy", 1).astype(np.float32) / 255)[None, None]
    pre = loaded.card.preprocess
    with torch.no_grad():
        expected = torch.softmax(loaded.model.cpu()((pixels - pre.mean[0]) / pre.std[0]), dim=1)[0]
    (result,) = json.loads(fer("predict", small_face, "--checkpoint", checkpoint_file, "--format", "json").out)
    np.testing.assert_allclose(list(result["faces"][0]["probabilities"].values()), expected, atol=1e-5)


def test_a_face_already_cut_out_is_used_whole(fer, checkpoint_file, small_face):
    outcome = fer("predict", small_face, "--checkpoint", checkpoint_file, "--format", "json")
    (result,) = json.loads(outcome.out)
    assert [face["box"] for face in result["faces"]] == [[0, 0, 48, 48]]


@pytest.mark.parametrize(("tta", "passes"), [("none", None), ("flip", 2), ("tencrop", 10), ("multicrop", 20)])
def test_predict_says_what_test_time_augmentation_costs(tta, passes, fer, checkpoint_file, small_face, tmp_path):
    arguments = ("predict", small_face, "--checkpoint", checkpoint_file, "--tta", tta)
    for outcome in (fer(*arguments), fer(*arguments, "--out", tmp_path / "faces.csv")):
        assert outcome.code == 0
        said = [line for line in outcome.err.splitlines() if "passes a face" in line]
        assert said == ([f"--tta {tta}: {passes} passes a face"] if passes else [])


@pytest.mark.parametrize("kind", ["json", "csv", "table"])
def test_no_face_is_said_on_stderr_and_the_whole_image_used(kind, fer, checkpoint_file, slope):
    outcome = fer("predict", slope, "--checkpoint", checkpoint_file, "--format", kind)
    assert outcome.code == 0
    assert outcome.err.splitlines() == [f"{slope}: no face found: whole image used"]
    assert "no face found" not in outcome.out


def test_a_small_picture_is_not_said_to_have_been_searched(fer, checkpoint_file, small_face):
    outcome = fer("predict", small_face, "--checkpoint", checkpoint_file)
    assert outcome.err.splitlines() == [f"{small_face}: small picture: taken as a face already cut out"]
    assert fer("predict", small_face, "--checkpoint", checkpoint_file, "--detector", "none").err == ""


def test_predict_prints_csv_with_one_row_a_face(fer, checkpoint_file, small_face, slope):
    arguments = ["predict", sample_path(), small_face, slope, "--checkpoint", checkpoint_file]
    rows = list(csv.DictReader(io.StringIO(fer(*arguments, "--format", "csv").out)))
    faces = [(r["path"], f) for r in json.loads(fer(*arguments, "--format", "json").out) for f in r["faces"]]
    assert len(rows) == len(faces)
    for row, (path, face) in zip(rows, faces, strict=True):
        assert row["path"] == path and row["label"] == face["label"]
        assert [int(row[key]) for key in ("x1", "y1", "x2", "y2")] == face["box"]
        assert float(row["confidence"]) == pytest.approx(face["confidence"], abs=1e-6)
        assert [float(row[name]) for name in EMOTIONS] == pytest.approx(list(face["probabilities"].values()), abs=1e-6)


def test_predict_prints_a_table_by_default(fer, checkpoint_file, small_face):
    arguments = ["predict", small_face, "--checkpoint", checkpoint_file]
    (result,) = json.loads(fer(*arguments, "--format", "json").out)
    default = fer(*arguments).out
    assert default == fer(*arguments, "--format", "table").out
    assert result["faces"][0]["label"] in default and "face" in default


def test_the_shipped_default_is_used_everywhere(fer, tmp_path):
    default = released.default_name()
    arguments = ["predict", sample_path(), "--format", "json"]
    ((ours,), (named,)) = (json.loads(fer(*words).out)[0]["faces"] for words in (arguments, [*arguments, "-c", default]))
    assert ours.pop("probabilities") == pytest.approx(named.pop("probabilities"), abs=1e-5)  # one is exported
    assert ours.pop("confidence") == pytest.approx(named.pop("confidence"), abs=1e-5)
    assert ours == named and ours["label"] == "happy"
    assert fer("explain", "--out", tmp_path).code == 0
    assert json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))["checkpoint"] == default


# evaluate


@pytest.fixture
def evaluated(fer, checkpoint_file, fake_zip, tmp_path):
    table = tmp_path / "table.npz"
    outcome = fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip, "--json", "--table", table)
    assert outcome.code == 0 and outcome.err == ""
    return json.loads(outcome.out), PredictionTable.load(table)


def test_evaluate_prints_one_object_with_the_promised_keys(evaluated):
    metrics, _ = evaluated
    assert set(metrics) == METRIC_KEYS
    assert list(metrics["per_class"]) == list(EMOTIONS)
    assert metrics["n"] == 21


def test_the_figures_follow_from_the_table(evaluated):
    """Counted by hand, row by row."""
    metrics, table = evaluated
    classes = range(len(EMOTIONS))
    matrix = [[0] * 7 for _ in classes]
    top3, loss = 0, 0.0
    for row, label in zip(table.logits.astype(float), table.labels, strict=True):
        order = sorted(classes, key=lambda c: -row[c])
        matrix[label][order[0]] += 1
        top3 += label in order[:3]
        loss -= row[label] - math.log(sum(math.exp(x) for x in row))
    recall = [matrix[c][c] / 3 for c in classes]
    assert metrics["confusion_matrix"] == matrix
    assert metrics["accuracy"] == pytest.approx(sum(matrix[c][c] for c in classes) / 21)
    assert metrics["top3_accuracy"] == pytest.approx(top3 / 21)
    assert metrics["log_loss"] == pytest.approx(loss / 21, rel=1e-4)
    assert metrics["macro_recall"] == pytest.approx(sum(recall) / 7)
    assert [metrics["per_class"][name]["recall"] for name in EMOTIONS] == pytest.approx(recall)
    low, high = metrics["ci95"]
    assert 0 <= low <= metrics["accuracy"] <= high <= 1


@pytest.mark.parametrize(("split", "n"), [("train", 42), ("validation", 21), ("test", 14)])
def test_each_split_can_be_evaluated(split, n, fer, checkpoint_file, fake_csv):
    outcome = fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_csv, "--split", split, "--json")
    assert json.loads(outcome.out)["n"] == n


def test_evaluate_without_json_prints_the_same_figures_for_people(fer, checkpoint_file, fake_zip, evaluated):
    out = fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip).out
    assert f"{100 * evaluated[0]['accuracy']:.2f} %" in out
    assert all(name in out for name in (*EMOTIONS, "top3_accuracy", "macro_f1", "ece"))


def test_a_split_with_one_class_only_is_evaluated(fer, checkpoint_file, tmp_path):
    """ROC-AUC is undefined there: null in JSON, never NaN, which is no JSON."""
    rows = [fakes.csv_line("happy", fakes.fake_face("happy", n), "PublicTest") for n in range(3)]
    (tmp_path / "one.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
    outcome = fer("evaluate", "--checkpoint", checkpoint_file, "--data", tmp_path / "one.csv", "--json")
    others = ", ".join(name for name in EMOTIONS if name != "happy")
    told = f"no face of {others} is among these: counted as 0 in macro precision, recall and F1\n"
    assert outcome.code == 0 and outcome.err == told
    figures = json.loads(outcome.out, parse_constant=pytest.fail)
    assert figures["roc_auc"] is None and figures["macro_recall"] == pytest.approx(figures["per_class"]["happy"]["recall"] / 7)


# explain


def test_explain_without_pictures_explains_the_sample(fer, checkpoint_file, tmp_path):
    outcome = fer("explain", "--checkpoint", checkpoint_file, "--out", tmp_path / "out")
    assert outcome.code == 0 and outcome.err == ""
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sorted(outcome.out.split()) == [str(tmp_path / "out" / name) for name in written]
    (picture,) = (name for name in written if name.endswith(".png"))
    with Image.open(tmp_path / "out" / picture) as image:
        assert image.format == "PNG" and min(image.size) > 100
    assert [name for name in written if name.endswith(".json")] == ["explanations.json"]


def test_the_numbers_of_an_explanation_stand_in_its_json(fer, checkpoint_file, tmp_path):
    fer("explain", "--checkpoint", checkpoint_file, "--out", tmp_path)
    (face,) = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))["faces"]
    (predicted,) = json.loads(fer("predict", sample_path(), "--checkpoint", checkpoint_file, "--format", "json").out)
    assert face["path"] == str(sample_path())
    assert face["box"] == predicted["faces"][0]["box"]
    assert face["label"] == face["target"] == predicted["faces"][0]["label"]
    heatmap = np.array(face["heatmap"])
    assert heatmap.ndim == 2 and heatmap.min() >= 0 and heatmap.max() <= 1
    assert face["peak"] >= 0 and (tmp_path / face["picture"]).is_file()


def test_explain_writes_into_the_working_folder_by_default(fer, checkpoint_file, small_face, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("explain", small_face, "--checkpoint", checkpoint_file)
    assert outcome.code == 0
    assert all((tmp_path / "work" / line).is_file() for line in outcome.out.splitlines())


def test_the_methods_are_listed_and_nothing_is_written(fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = fer("explain", "--list")
    assert outcome.code == 0 and outcome.err == ""
    words = {word for line in outcome.out.splitlines() for word in line.split()}
    assert set(METHODS) <= words
    assert all(" ".join(METHODS[name].summary.split()[:2]) in " ".join(outcome.out.split()) for name in METHODS)
    assert list(tmp_path.iterdir()) == []


def test_explaining_a_data_set_gives_a_gallery(fer, checkpoint_file, fake_zip, tmp_path):
    outcome = fer("explain", "--checkpoint", checkpoint_file, "--data", fake_zip, "--out", tmp_path / "out")
    assert outcome.code == 0 and outcome.err == ""
    tables, pictures = ("predictions.npz", "heatmaps.npz"), ("gallery", "unsure", "averages")
    names = [*tables, *(f"{name}-validation.png" for name in pictures), "averages.json", "explanations.json"]
    assert outcome.out.split() == [str(tmp_path / "out" / name) for name in names]
    faces = json.loads((tmp_path / "out" / "explanations.json").read_text(encoding="utf-8"))["faces"]
    assert {face["truth"] for face in faces} == set(EMOTIONS)


# models, info, help


def test_models_as_json_lists_every_form_of_every_architecture(fer):
    rows = json.loads(fer("models", "--json").out)
    assert {(row["name"], row["variant"]) for row in rows} == {(n, v) for n in MODELS for v in MODELS[n].variants}
    assert {"baseline", "custom_cnn", "resnet18"} <= {row["name"] for row in rows}
    assert all(row["cam_layers"] and row["reference"] and row["summary"] for row in rows)
    modes = {(row["name"], row["variant"]): row["modes"] for row in rows}
    assert modes["baseline", "small"] == ["scratch", "finetune", "feature-extract", "gradual"]
    assert modes["resnet18", "imagenet"] == ["finetune", "feature-extract", "gradual"]
    assert modes["ensemble", "small"] == ["scratch", "finetune"]


def test_the_weights_of_the_baseline_are_counted_right(fer):
    (row,) = (row for row in json.loads(fer("models", "--json").out) if row["name"] == "baseline")
    convolutions = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128
    assert row["parameters"] == convolutions + (6 * 6 * 128 + 1) * 512 + (512 + 1) * 7
    assert (row["size"], row["channels"]) == (48, 1)


@pytest.mark.parametrize("name", ["custom_cnn", "mobilenet_v3_small"])
def test_weights_are_counted_as_in_real_networks_but_not_drawn(name, monkeypatch):
    entry, devices = MODELS[name], []

    def watched(spec):
        def build(*arguments):
            devices.append(torch.empty(0).device.type)
            return spec.build(*arguments)

        return replace(spec, build=build)

    spied = replace(entry, variants={form: watched(spec) for form, spec in entry.variants.items()})
    monkeypatch.setattr("fer.models.MODELS", {name: spied})
    counts = {row["variant"]: row["parameters"] for row in describe()}
    assert devices == ["meta"] * len(counts)
    for form, spec in entry.variants.items():
        assert counts[form] == sum(weights.numel() for weights in spec.build(7, 0.0).parameters())


def test_models_without_json_is_a_table_of_the_same(fer):
    out = fer("models").out
    assert all(name in out for name in MODELS) and "3×224×224" in out


def test_info_tells_versions_device_and_path(fer):
    out = fer("info").out
    assert str(ROOT / "fer") in out
    assert all(metadata.version(name) in out for name in ("torch", "torchvision", "lightning-fabric", "numpy"))
    assert environment.device_name() in out
    assert [line for line in out.splitlines() if line.startswith("problem: ")] == [
        f"problem: {problem.what}; {problem.cure}" for problem in environment.problems()
    ]
    assert ("nothing wrong was found" in out) == (environment.problems() == [])


def test_info_as_json(fer):
    facts = json.loads(fer("info", "--json").out)
    assert facts["path"] == str(next(iter(package.__path__)))
    assert facts["versions"]["torch"] == metadata.version("torch")
    assert facts["device"] == environment.device_name()
    assert facts["problems"] == [{"what": problem.what, "cure": problem.cure} for problem in environment.problems()]
    assert facts["checkpoints"][0] == released.default_name()


def test_info_names_another_package_that_imports_as_fer(fer, tmp_path, monkeypatch):
    (tmp_path / "fer").mkdir()
    (tmp_path / "fer" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    problems = json.loads(fer("info", "--json").out)["problems"]
    assert any(str(tmp_path / "fer") in problem["what"] for problem in problems)


HEAVY = ("torch", "torchvision", "matplotlib", "cv2", "sklearn", "gradio", "lightning_fabric", "PIL")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_all_commands_and_imports_nothing_heavy(arguments):
    program = (
        "import sys\nfrom fer.cli import main\ncode = main(sys.argv[1:])\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\nsys.exit(f'loaded: {{loaded}}' if loaded else code)"
    )
    answer = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    listed = [line.split()[0] for line in answer.stdout.partition("Commands:")[2].splitlines() if line[2:3].strip()]
    assert listed == list(COMMANDS)


#: What only some architectures and methods need, and what takes longer to import than a face takes to be judged.
LEFT_ALONE = ("torchvision", "torch._dynamo", "pytorch_grad_cam", "captum", "sklearn", "pandas", "gradio", "lightning_fabric")


@pytest.mark.parametrize(
    "arguments", [["predict"], ["explain", "--out", "maps"], ["explain", "--method", "layercam", "--out", "maps"]]
)
def test_a_picture_is_judged_and_explained_without_what_its_network_does_not_need(arguments, tmp_path):
    program = (
        "import sys\nfrom fer.cli import main\ncode = main(sys.argv[1:])\n"
        f"loaded = [name for name in {LEFT_ALONE} if name in sys.modules]\nsys.exit(f'loaded: {{loaded}}' if loaded else code)"
    )
    command = [arguments[0], str(sample_path()), "--checkpoint", "fast_cnn", *arguments[1:]]
    answer = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, "loaded" in answer.stderr) == (0, False), answer.stderr
    assert "astronaut" in answer.stdout


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command, fer):
    outcome = fer(command, "--help")
    assert outcome.code == 0 and outcome.err == "" and f"fer {command}" in outcome.out
