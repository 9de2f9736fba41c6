"""Models under stress: every figure computed again, what is written, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from analysis import robustness as stressing
from analysis.explain import explain
from analysis.figures import robustness as curves
from analysis.figures import strip as strip_figure
from analysis.robustness import Condition, Plan, Robustness, Stress, judged, stress
from analysis.strip import portrait, strips
from fer import checkpoint as checkpoints
from fer.data import load
from fer.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from fer.errors import UnknownNameError
from fer.evaluation import evaluate_checkpoint
from fer.types import PredictionTable
from tests import fakes
from tests.conftest import REAL_DATA
from tests.oracles import calibration_error_by_sklearn


@pytest.fixture
def checkpoint(checkpoint_file):
    return checkpoints.load(checkpoint_file)


@pytest.fixture
def faces(fake_zip):
    return load(fake_zip).split("validation")


def result_of(accuracies, clean=0.7, correlations=(0.9, 0.8, 0.7, 0.6, -0.1)):
    """Each corruption with its accuracies by severity."""
    stresses = tuple(
        Stress(
            name, severity, CORRUPTIONS[name].level(severity), CORRUPTIONS[name].unit, Condition(a, (a - 0.1, a + 0.1), 0.2, r)
        )
        for name, values in accuracies.items()
        for severity, a, r in zip(SEVERITIES, values, correlations, strict=True)
    )
    return Robustness("net", "validation", 40, 8, "gradcam", 0, 0.3, Condition(clean, (0.6, 0.8), 0.1), stresses)


def test_every_condition_is_that_of_the_damaged_faces(checkpoint, faces):
    plan = Plan(("noise", "mask"), faces=99, maps=0, seed=3)
    result = stress(checkpoint, faces, plan)
    assert (result.n, result.maps, result.corruptions) == (21, 0, ("noise", "mask"))
    for found in result.stresses:
        images = corrupt(faces.images, found.corruption, found.severity, 3)
        table = evaluate_checkpoint(checkpoint, replace(faces, images=images))
        right = int((table.predicted == faces.labels.numpy()).sum())
        interval = stats.binomtest(right, 21).proportion_ci(0.95, "wilson")
        ece = calibration_error_by_sklearn(faces.labels.numpy(), table.probs)
        assert found.level == CORRUPTIONS[found.corruption].levels[found.severity - 1]
        assert found.condition.accuracy == right / 21
        assert found.condition.ci95 == pytest.approx((interval.low, interval.high), abs=1e-6)
        assert found.condition.ece == pytest.approx(ece, abs=1e-6)
        assert found.condition.map_correlation is None


def test_the_clean_pass_and_every_other_are_run_once(checkpoint, faces, monkeypatch):
    passes = []
    monkeypatch.setattr(stressing, "evaluate_checkpoint", lambda *a: passes.append(len(a[1])) or evaluate_checkpoint(*a))
    told = []
    stress(checkpoint, faces, Plan(("blur", "darker"), faces=9, maps=0), lambda *done: told.append(done))
    assert passes == [9] * 11
    assert told == [(done, 10) for done in range(1, 11)]


def correlation(one, other):
    pairs = [(x.ravel(), y.ravel()) for x, y in zip(one, other, strict=True)]
    known = [stats.pearsonr(x, y).statistic for x, y in pairs if x.std() and y.std()]
    return np.mean(known) if known else None, len(pairs) - len(known)


def test_the_help_names_every_corruption(fer):
    assert ", ".join(CORRUPTIONS) in " ".join(fer("robustness", "--help").out.replace("│", " ").split())


@pytest.mark.parametrize("name", ["blur", "rotation"])
def test_maps_are_of_the_clean_answer_and_follow_the_face(name, checkpoint, faces):
    result = stress(checkpoint, faces, Plan((name,), faces=99, maps=99))
    answers = [checkpoint.card.classes[i] for i in evaluate_checkpoint(checkpoint, faces).predicted]
    clean = np.stack([heatmap.values for heatmap in explain(checkpoint, faces.images, answers)])
    for found in result.stresses:
        images = corrupt(faces.images, name, found.severity)
        after = [heatmap.values for heatmap in explain(checkpoint, images, answers)]
        before = clean if name == "blur" else CORRUPTIONS[name].moves(clean, found.level)
        expected, empty = correlation(before, after)
        assert found.condition.map_correlation == pytest.approx(expected, abs=1e-4)
        assert found.condition.empty_maps == empty
    assert result.map_floor == pytest.approx(correlation(clean, np.roll(clean, 1, axis=0))[0], abs=1e-4)


def test_the_same_seed_gives_the_same_result(checkpoint, faces):
    plan = Plan(("noise",), faces=10, maps=3, seed=5)
    assert stress(checkpoint, faces, plan) == stress(checkpoint, faces, plan)
    assert stress(checkpoint, faces, plan) != stress(checkpoint, faces, replace(plan, seed=6))


def test_drops_by_hand():
    result = result_of({"blur": (0.7, 0.6, 0.5, 0.4, 0.3), "mask": (0.6, 0.6, 0.6, 0.6, 0.6)})
    assert result.drop("blur") == pytest.approx(0.2) and result.drop("mask") == pytest.approx(0.1)
    assert result.mean_drop == pytest.approx(0.15)
    plain = result.to_dict()
    assert plain["drops"] == {"blur": result.drop("blur"), "mask": result.drop("mask")}
    json.dumps(plain, allow_nan=False)


@pytest.mark.parametrize("answers", [[0, 0, 0], [1, 1, 1]], ids=["all right", "all wrong"])
def test_all_right_and_all_wrong_are_judged(answers):
    table = PredictionTable(np.eye(7)[answers] * 9, [0, 0, 0], ("a", "b", "c"), tuple(fakes.EMOTIONS), "test")
    condition = judged(table)
    assert condition.accuracy == (1.0 if answers[0] == 0 else 0.0)
    assert 0 <= condition.ci95[0] < condition.ci95[1] <= 1 and 0 <= condition.ece <= 1


def test_an_unknown_corruption_is_said_before_anything_runs(checkpoint, faces, monkeypatch):
    monkeypatch.setattr(stressing, "evaluate_checkpoint", lambda *_: pytest.fail("a pass was made"))
    with pytest.raises(UnknownNameError, match="did you mean 'blur'"):
        stress(checkpoint, faces, Plan(("noise", "blurr")))


# the portrait


def test_the_portrait_is_shown_as_the_corruptions_make_it(checkpoint):
    face = portrait(checkpoint)
    found = strips(checkpoint, face, ["blur", "mask"], seed=2)
    assert list(found) == ["blur", "mask"] and [tile.severity for tile in found["mask"]] == [0, *SEVERITIES]
    assert np.array_equal(found["mask"][0].face, face[0, 0].numpy())
    assert np.array_equal(found["mask"][4].face, corrupt(face, "mask", 4, seed=2)[0, 0].numpy())
    figure = strip_figure.figure(found, "net")
    assert len(figure.axes) == 12
    titles = [f"{tile.label} {tile.confidence:.0%}" for row in found.values() for tile in row]
    assert [ax.get_title() for ax in figure.axes] == titles
    assert [figure.axes[0].get_ylabel(), figure.axes[6].get_ylabel()] == ["blur", "mask"]
    assert figure.axes[11].get_xlabel() == "severity 5"


# curves


def test_the_curves_are_the_numbers():
    result = result_of({"blur": (0.7, 0.6, 0.5, 0.4, 0.3)})
    (ax,) = curves.figure(result).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert lines["accuracy"] == [0.7, 0.7, 0.6, 0.5, 0.4, 0.3]
    assert lines["ECE"] == [0.1, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert lines["correlation of maps"] == [0.9, 0.8, 0.7, 0.6, -0.1]
    assert lines["that of different faces"] == [0.3, 0.3]
    assert ax.get_ylim()[0] == -0.1
    assert [label.get_text() for label in ax.get_xticklabels()] == ["clean", "0.5", "0.75", "1", "1.5", "2"]
    assert "-20.0 points" in ax.get_title() and "σ" in ax.get_xlabel()


def test_without_maps_there_is_no_curve_of_maps():
    figure = curves.figure(result_of({"mask": (0.6,) * 5}, correlations=(None,) * 5))
    assert [line.get_label() for line in figure.axes[0].lines] == ["accuracy", "ECE"]
    assert "n = 40" in figure.get_suptitle()


# the command


def test_all_is_written_and_printed(fer, checkpoint_file, fake_zip, tmp_path):
    model_and_data = ("--checkpoint", checkpoint_file, "--data", fake_zip, "--faces", "8", "--maps", "2")
    chosen = ("--corruption", "mask", "--corruption", "blur")
    outcome = fer("robustness", *model_and_data, *chosen, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    content = json.loads(outcome.out, parse_constant=pytest.fail)
    assert content == json.loads((tmp_path / "out" / "robustness.json").read_text(encoding="utf-8"))
    assert (content["n"], content["maps"], list(content["drops"])) == (8, 2, ["mask", "blur"])
    assert content["mean_drop"] == pytest.approx(np.mean(list(content["drops"].values())))
    assert [len(row) for row in content["sample"].values()] == [6, 6]
    for name in ("robustness.png", "corruptions.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert round(picture.info["dpi"][0]) >= 150
        assert f"wrote {tmp_path / 'out' / name}" in outcome.err


def test_without_json_the_same_is_printed_for_people(fer, checkpoint_file, fake_zip, tmp_path):
    arguments = ("--checkpoint", checkpoint_file, "--data", fake_zip, "--maps", "0", "--corruption", "jpeg", "--out", tmp_path)
    out = fer("robustness", *arguments).out
    content = json.loads((tmp_path / "robustness.json").read_text(encoding="utf-8"))
    assert f"{100 * content['mean_drop']:.2f}" in out and "JPEG quality" in out
    assert all(f"{100 * found['condition']['accuracy']:.2f} %" in out for found in content["stresses"])


def test_a_single_face_is_stressed(fer, checkpoint_file, tmp_path):
    row = fakes.csv_line("happy", fakes.fake_face("happy", 1), "PublicTest")
    (tmp_path / "one.csv").write_text(f"emotion,pixels,Usage\n{row}\n", encoding="utf-8")
    model_and_data = ("--checkpoint", checkpoint_file, "--data", tmp_path / "one.csv")
    outcome = fer("robustness", *model_and_data, "--corruption", "mask", "--out", tmp_path / "out", "--json")
    content = json.loads(outcome.out, parse_constant=pytest.fail)
    assert (outcome.code, content["n"], content["maps"], content["map_floor"]) == (0, 1, 1, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--corruption", "fog"], ["fog", *CORRUPTIONS]),
        (["--method", "lime"], ["lime", "gradcam"]),
        (["--split", "PublicTest"], ["PublicTest", "validation"]),
        (["--data", "nowhere.zip"], ["nowhere.zip"]),
        (["--checkpoint", "nobody"], ["nobody", "custom_cnn"]),
        (["--faces", "0"], ["--faces"]),
        (["--maps", "-1"], ["--maps"]),
    ],
)
def test_bad_requests_are_one_line(arguments, words, fer, checkpoint_file, fake_zip, tmp_path):
    outcome = fer("robustness", "--checkpoint", checkpoint_file, "--data", fake_zip, *arguments, "--out", tmp_path / "out")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and not (tmp_path / "out").exists()
    assert all(word in line for word in words), line


@pytest.mark.realdata
def test_blur_costs_the_default_model_accuracy_on_real_faces():
    faces = load(REAL_DATA).split("validation")
    result = stress(checkpoints.load(), faces, Plan(("blur",), faces=300, maps=8))
    mild, *_, strong = result.of("blur")
    assert result.clean.accuracy > 0.6
    assert strong.condition.accuracy < mild.condition.accuracy - 0.1
    assert strong.condition.map_correlation < mild.condition.map_correlation
