"""The zoo: trained by one command, released when better, measured as stored."""

import hashlib
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from fer import checkpoint as checkpoints
from fer import release as releases
from fer import released
from fer.calibration import halves
from fer.cli import console, main
from fer.cli.zoo import _chosen
from fer.combine import fit_weights
from fer.data import load
from fer.data.photos import clean
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError, ConfigError, InterruptedRunError
from fer.evaluation import evaluate_checkpoint, validation_faces
from fer.export import export
from fer.export.onnx import write_proto
from fer.latency import Latency
from fer.metrics import evaluate_table
from fer.models import MODELS
from fer.models.head import last_linear
from fer.overrides import recipe_config
from fer.pareto import PEER, points
from fer.release import MEASURED_TTA, TABLE_END, TABLE_START, release
from fer.zoo import ENSEMBLES, ZOO, release_best, verdict
from tests import fakes
from tests.conftest import ROOT, save_random

README = ROOT / "README.md"

FAST = ["--set", "epochs=2", "--set", "batch_size=14", "--set", "precision=fp32", "--set", "small_epochs=0"]


def fer(*words: object) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    console.messages.cache_clear()  # a console keeps the stream it was made with
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    console.messages.cache_clear()
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def place(fake_zip, tmp_path_factory) -> Path:
    """A folder with the baseline trained and released."""
    folder = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        code, out, err = train(folder, fake_zip)
    assert code == 0, err
    assert out.startswith(f"{folder / 'released' / 'baseline.pth'} ")
    assert "(stored; " in out
    return folder


def train(folder: Path, data: Path, *names: str) -> tuple[int, str, str]:
    words = ["zoo", "train", *(names or ["baseline"]), "--data", data, "--runs", folder / "runs", "--out", folder / "released"]
    return fer(*words, *FAST)


@pytest.fixture(scope="module")
def corpus(fake_zip, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load(fake_zip)


def test_a_release_has_weights_card_and_history(place):
    released = place / "released"
    assert sorted(path.name for path in released.iterdir()) == ["baseline.csv", "baseline.json", "baseline.pth"]
    card = checkpoints.load(released / "baseline.pth").card
    assert json.loads((released / "baseline.json").read_text()) == json.loads(card.to_json())
    assert len((released / "baseline.csv").read_text().splitlines()) == 1 + 2
    assert card.config["epochs"] == 2 and card.hardware["minutes"] >= 0


def test_its_figures_are_those_of_the_stored_file(place, corpus):
    stored = checkpoints.load(place / "released" / "baseline.pth")
    train_faces, validation = corpus.for_training()
    card = stored.card
    for tta in ("none", *MEASURED_TTA):
        measured = evaluate_table(evaluate_checkpoint(stored, validation, tta=tta))
        stated = card.metrics["validation" if tta == "none" else f"validation/{tta}"]
        assert measured["accuracy"] == stated["accuracy"]
        assert measured["log_loss"] == pytest.approx(stated["log_loss"], abs=1e-5)
    unknown = validation.select(clean(validation, train_faces))
    assert card.metrics["validation/clean"]["n"] == len(unknown)
    assert card.metrics["validation/clean"]["accuracy"] == evaluate_table(evaluate_checkpoint(stored, unknown))["accuracy"]


def test_it_is_calibrated_on_one_half_and_judged_on_the_other(place):
    stored = checkpoints.load(place / "released" / "baseline.pth")
    card = stored.card
    assert card.temperature != 1.0
    classes, n = len(card.classes), card.metrics["validation"]["n"]
    assert abs(card.metrics["validation/held-out"]["n"] - n / 2) <= classes


@pytest.mark.parametrize("pay", [True, False])
def test_biases_that_pay_are_in_the_last_layer_and_in_the_card(place, corpus, tmp_path, monkeypatch, pay):
    monkeypatch.setattr(releases, "biases_pay", lambda one, other: pay)
    trained = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    stored = trained
    for _ in range(2):  # one that is released again keeps the sum of what was added
        card = release(stored, corpus, tmp_path / "b.pth")
        stored = checkpoints.load(tmp_path / "b.pth")
        assert len(card.biases) == (len(card.classes) if pay else 0)
        moved = last_linear(stored.model, "head").bias - last_linear(trained.model, "head").bias
        expected = torch.tensor(card.biases or [0.0] * len(card.classes))
        torch.testing.assert_close(moved, expected, rtol=0, atol=3e-3)  # half precision, twice


def test_no_biases_are_moved_where_several_heads_are_mixed(place, corpus, tmp_path, monkeypatch):
    """The logits would move by a part of them only."""
    trained = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    variants = MODELS["baseline"].variants
    monkeypatch.setitem(variants, "small", replace(variants["small"], more_heads=("hidden",)))
    monkeypatch.setattr(releases, "biases_pay", lambda one, other: True)
    assert release(trained, corpus, tmp_path / "b.pth").biases == ()


def test_a_finished_run_is_not_trained_again_and_an_equal_one_replaces_nothing(place, fake_zip):
    best = place / "runs" / "baseline" / "best.pth"
    before = (best.stat().st_mtime_ns, (place / "released" / "baseline.pth").read_bytes())
    code, out, _ = train(place, fake_zip)
    assert code == 0
    assert out.startswith(f"{best} ") and f"(not stored, {place / 'released' / 'baseline.pth'} is as good; " in out
    assert (best.stat().st_mtime_ns, (place / "released" / "baseline.pth").read_bytes()) == before


@pytest.mark.parametrize("other", ["settings", "data"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_run_of_other_settings_or_data_is_no_release(finished, other, place, fake_zip, tmp_path):
    """Its card would say what it was not trained with."""
    folder = Path(shutil.copytree(place, tmp_path / "zoo"))
    if not finished:
        (folder / "runs" / "baseline" / "metrics.json").unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3) if other == "data" else fake_zip
    words = ["zoo", "train", "baseline", "--data", data, "--runs", folder / "runs", "--out", folder / "released", *FAST]
    code, out, err = fer(*words, *(["--set", "dropout=.1"] if other == "settings" else []))
    assert code == 2 and out == "" and f"other {other}" in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_worse_model_is_not_released_and_leaves_nothing_behind(place, corpus, tmp_path):
    good = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    zeros = {name: torch.zeros_like(value) for name, value in good.model.state_dict().items()}
    checkpoints.save(tmp_path / "best.pth", zeros, good.card)
    before = {path.name: path.read_bytes() for path in (place / "released").iterdir()}
    card, stored = release_best("baseline", tmp_path / "best.pth", corpus, place / "released")
    assert not stored
    assert card.validation_accuracy == pytest.approx(1 / 7)  # always the first class
    assert {path.name: path.read_bytes() for path in (place / "released").iterdir()} == before


def test_a_better_model_replaces_the_released_one(place, corpus, tmp_path):
    good = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    zeros = {name: torch.zeros_like(value) for name, value in good.model.state_dict().items()}
    release(replace(good, model=reloaded(good, zeros)), corpus, tmp_path / "baseline.pth")
    card, stored = release_best("baseline", place / "runs" / "baseline" / "best.pth", corpus, tmp_path)
    assert stored
    assert checkpoints.load(tmp_path / "baseline.pth").card == card
    assert (tmp_path / "baseline.csv").read_text() == (place / "runs" / "baseline" / "history.csv").read_text()


def reloaded(checkpoint, state):
    model = checkpoints.build(checkpoint.card)
    model.load_state_dict(state)
    return model.eval()


def test_one_that_fails_does_not_stop_the_others(place, fake_zip, tmp_path):
    """In the place of the first run lies a folder that holds something else."""
    runs = place / "runs"
    (runs / "net").mkdir(exist_ok=True)
    (runs / "net" / "last.pth").write_bytes(b"no checkpoint")
    code, out, err = train(place, fake_zip, "net", "baseline")
    assert code == 2
    assert "baseline.pth" in out
    assert err.splitlines()[-1] == "fer: not trained: net; the reasons stand above"
    assert any(line.startswith("net: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet"], "unknown released model 'resnet'"),
        (["baseline", "--set", "epoch=3"], "epochs"),
        (["baseline", "--data", "nowhere.zip"], "nowhere.zip"),
        (["baseline", "--runs", __file__], __file__),
    ],
    ids=["name", "key", "data", "runs"],
)
def test_bad_input_is_one_line(words, message, tmp_path):
    code, out, err = fer("zoo", "train", "--out", tmp_path / "out", "--runs", tmp_path / "runs", *words)
    assert (code, out) == (2, "")
    assert message in err and len(err.strip().splitlines()) == 1


@pytest.fixture
def votes(corpus, tmp_path) -> Path:
    """All votes for the true class, but for one validation face of each class, on which the taggers are split."""
    columns = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
    ours = dict(zip(columns, ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"), strict=False))
    lines = ["file,usage," + ",".join(columns)]
    for faces in corpus.splits.values():
        seen = set()
        for name, label in zip(faces.names, faces.labels.tolist(), strict=True):
            split_up = faces.split == "validation" and label not in seen
            seen.add(label)
            cells = ["4" if split_up and column == "unknown" else "0" for column in columns]
            cells[[ours.get(column) for column in columns].index(faces.classes[label])] = "5" if split_up else "10"
            if split_up:
                cells[-3] = "1"
            lines.append(f"{name},Training," + ",".join(cells))
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_model_of_soft_votes_is_also_judged_by_their_majority(fake_zip, corpus, votes, tmp_path):
    words = ["--labels", "ferplus-soft", "--votes", votes, "--data", fake_zip, "--runs", tmp_path / "runs", *FAST]
    code, out, err = fer("train", "baseline", *words)
    assert code == 0, err
    trained = checkpoints.load(Path(out.strip()) / "best.pth")
    card = release(trained, corpus, tmp_path / "soft.pth")
    words = ["-c", tmp_path / "soft.pth", "--data", fake_zip, "--votes", votes, "--json"]
    for rule, key in (("ferplus-soft", "validation"), ("ferplus-majority", "validation/ferplus-majority")):
        for tta, end in (("none", ""), ("flip", "/flip"), ("tencrop", "/tencrop")):
            code, out, err = fer("evaluate", *words, "--labels", rule, "--tta", tta)
            assert code == 0, err
            assert f"labels {rule}" in err
            measured, stated = json.loads(out), card.metrics[key + end]
            assert (measured["n"], measured["accuracy"]) == (stated["n"], stated["accuracy"])
        assert card.metrics[f"{key}/clean"]["n"] <= card.metrics[key]["n"]
    stored = checkpoints.load(tmp_path / "soft.pth")
    unseen = set(halves(evaluate_checkpoint(stored, validation_faces(trained.card, corpus)))[1].names)
    agreed = validation_faces(trained.card, corpus, labels="ferplus-majority")
    own = agreed.select(torch.tensor([name in unseen for name in agreed.names]))
    stated, measured = (card.metrics["validation/ferplus-majority/held-out"], evaluate_table(evaluate_checkpoint(stored, own)))
    assert 0 < stated["n"] == measured["n"] < len(agreed)
    assert stated["ece"] == pytest.approx(measured["ece"], abs=1e-5)


def test_floors_and_tables_judge_a_model_of_soft_votes_by_their_majority(place, tmp_path, monkeypatch):
    one = checkpoints.load(place / "released" / "baseline.pth")
    by_vote = {"accuracy": 0.86, "ci95": (0.85, 0.87), "n": 3199, "macro_f1": 0.7}
    others = {
        "/flip": {**by_vote, "accuracy": 0.851},
        "/tencrop": {**by_vote, "accuracy": 0.849},
        "/clean": {**by_vote, "n": 9},
        "/held-out": {**by_vote, "ece": 0.0314},
    }
    metrics = one.card.metrics | {f"validation/ferplus-majority{end}": it for end, it in {"": by_vote, **others}.items()}
    card = replace(one.card, metrics=metrics)
    assert verdict("fast_cnn-ferplus", card) == "reaches its floor"
    poor = metrics | {"validation/ferplus-majority": {**by_vote, "accuracy": 0.849}}
    assert verdict("fast_cnn-ferplus", replace(card, metrics=poor)) == "84.90 % with --tta none, floor 85.0 %"
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    checkpoints.save(tmp_path / "fast_cnn-ferplus.pth", one.model.state_dict(), card)
    row = releases.markdown_table().splitlines()[2]
    cells = [
        "86.00 % (85.0–87.0)",
        "85.10 % (85.0–87.0)",
        "84.90 % (85.0–87.0)",
        "3,199 (9)",
        "0.700",
        "0.031 (open)",
        "85.0 (85.0) reached",
    ]
    assert [cell for cell in cells if cell not in row] == []


def test_a_released_card_names_files_without_the_folders_of_the_machine(fake_zip, corpus, votes, tmp_path):
    start, weights = tmp_path / "deep" / "start.pth", tmp_path / "deep" / "weights.json"
    start.parent.mkdir()
    weights.write_text(json.dumps(dict.fromkeys(EMOTIONS, 1.0)))
    words = ["--labels", "ferplus-soft", "--votes", votes, "--data", fake_zip, "--runs", tmp_path / "runs", *FAST]
    code, out, err = fer("train", "baseline", *words)
    assert code == 0, err
    shutil.copy(Path(out.strip()) / "best.pth", start)
    words += ["--mode", "finetune", "--init", start, "--teacher", start, "--class-weights", weights]
    code, out, err = fer("train", "baseline", *words)
    assert code == 0, err
    card = release(checkpoints.load(Path(out.strip()) / "best.pth"), corpus, tmp_path / "soft.pth")
    assert str(tmp_path) not in card.to_json()
    named = (card.config["init"], card.config["votes"], card.config["distillation"]["teachers"], card.config["loss"])
    assert named[:3] == ("start.pth", votes.name, ["start.pth"]) and named[3]["class_weights"] == "weights.json"
    # and the votes are found beside the data
    beside = tmp_path / "elsewhere"
    beside.mkdir()
    shutil.copy(votes, beside / votes.name)
    moved = replace(corpus, origin=beside / fake_zip.name)
    agreed = validation_faces(card, moved, labels="ferplus-majority")
    assert len(agreed) == card.metrics["validation/ferplus-majority"]["n"]


def test_models_of_votes_are_left_out_where_there_are_none(fake_zip, tmp_path):
    code, _, err = fer("zoo", "train", "--data", tmp_path / "nowhere.zip")
    assert code == 2
    assert "resnet18-ferplus learns from FER+ votes: left out" in err
    code, _, err = fer("zoo", "train", "resnet18-ferplus", "--data", fake_zip, "--runs", tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert "--votes" in err


@pytest.mark.parametrize("name", list(ZOO))
def test_every_release_has_a_recipe_that_names_its_architecture(name):
    config = recipe_config(name)
    assert name.startswith(config.model)


def test_weights_stay_in_full_precision_where_half_would_change_a_figure(place, corpus, tmp_path, monkeypatch):
    best = place / "runs" / "baseline" / "best.pth"
    release(checkpoints.load(best), corpus, tmp_path / "half.pth")
    monkeypatch.setattr(releases, "HALF_TOLERANCE", -1.0)
    release(checkpoints.load(best), corpus, tmp_path / "full.pth")
    exact = checkpoints.load(best).model.state_dict()
    for name, value in checkpoints.load(tmp_path / "full.pth").model.state_dict().items():
        assert torch.equal(value, exact[name]) or name == "head.1.bias"  # calibration may move it
    assert (tmp_path / "full.pth").stat().st_size > 1.9 * (tmp_path / "half.pth").stat().st_size


def test_the_largest_weights_are_halved_where_all_would_change_a_figure(place, corpus, tmp_path, monkeypatch):
    best = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    sizes = {name: value.numel() for name, value in best.model.state_dict().items()}
    small = {name for name, size in sizes.items() if size < 0.01 * sum(sizes.values())}
    asked: list[set[str]] = []
    as_stored = checkpoints.rounded

    def fatal_where_small_ones_are_rounded(state, half):
        """The real rounding; whoever rounds a small tensor loses it."""
        asked.append(set(half))
        found = as_stored(state, half)
        return {name: value.zero_() if name in small and name in half else value for name, value in found.items()}

    monkeypatch.setattr(checkpoints, "rounded", fatal_where_small_ones_are_rounded)
    release(best, corpus, tmp_path / "part.pth")
    assert asked == [set(sizes), set(sizes) - small]
    stored = torch.load(tmp_path / "part.pth", weights_only=True)["state_dict"]
    assert {name for name, value in stored.items() if value.dtype == torch.float16} == set(sizes) - small
    part = checkpoints.load(tmp_path / "part.pth")
    measured = evaluate_table(evaluate_checkpoint(part, corpus.split("validation")))
    assert part.card.validation_accuracy == measured["accuracy"]


def test_what_is_missing_is_said_with_both_figures(place):
    card = checkpoints.load(place / "released" / "baseline.pth").card
    metrics = {"validation/flip": {"accuracy": 0.66}, "validation/tencrop": {"accuracy": 0.64}}
    assert verdict("baseline", replace(card, validation_accuracy=0.641, metrics=metrics)) == "reaches its floor"
    assert verdict("net-long", card) == "no floor is set"
    metrics = {"validation/flip": {"accuracy": 0.6412}, "validation/tencrop": {"accuracy": 0.64}}
    assert verdict("baseline", replace(card, validation_accuracy=0.63, metrics=metrics)) == (
        "63.00 % with --tta none, floor 64.0 %; 64.12 % with --tta flip, floor 65.0 %"
    )


def test_a_run_against_the_clock_says_when_it_ended_and_how_good_it_is(fake_zip, tmp_path):
    recipe = tmp_path / "quick.yaml"
    recipe.write_text("model: baseline\nepochs: 2\nbatch_size: 14\nprecision: fp32\n")
    code, out, err = fer("zoo", "speedrun", "--recipe", recipe, "--data", fake_zip, "--runs", tmp_path / "runs")
    assert code == 0, err
    result = json.loads(out)
    rows = np.genfromtxt(Path(result["folder"]) / "history.csv", delimiter=",", names=True)
    assert result["accuracy"] == pytest.approx(rows["validation_accuracy"].max())
    assert result["seconds"] >= rows["seconds"].sum() - 0.1
    assert result["seconds"] >= result["seconds_loading"]
    assert len(err.strip().splitlines()) == 2


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder in place of checkpoints/, whose tables are counted instead of written."""
    folder, written = tmp_path / "checkpoints", []
    folder.mkdir()
    monkeypatch.setattr(released, "RELEASED", folder)
    monkeypatch.setattr(released, "_DEFAULT_FILE", folder / "DEFAULT")
    monkeypatch.setattr(releases, "write_tables", lambda: written.append(folder))
    return folder, written


def test_without_any_release_there_is_one_line_for_what_starts_with_the_fastest(shelf):
    with pytest.raises(CheckpointError, match="no default checkpoint is shipped; name one with --checkpoint"):
        released.live_names()
    assert released.live_names("mine.pth") == ["mine.pth"]


def test_a_checkpoint_is_added_with_its_history_and_only_a_better_one_replaces_it(place, fake_zip, shelf):
    folder, written = shelf
    run = place / "runs" / "baseline"
    code, out, err = fer("zoo", "add", run / "best.pth", "mine", "--data", fake_zip)
    assert code == 0 and out.startswith(f"{folder / 'mine.pth'} ") and len(written) == 1, err
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".json", ".pth"]
    assert (folder / "mine.csv").read_bytes() == (run / "history.csv").read_bytes()
    code, out, err = fer("zoo", "add", run / "best.pth", "mine", "--data", fake_zip)
    assert (code, out, len(written)) == (2, "", 1) and "not stored" in err and "another name" in err


@pytest.mark.parametrize("name", ["../mine", "a/b", "", ".", "..", "/tmp/mine", "a b"])
def test_a_release_is_named_like_a_file(name, place, fake_zip, shelf):
    code, out, err = fer("zoo", "add", place / "runs" / "baseline" / "best.pth", name, "--data", fake_zip)
    assert (code, out) == (2, "") and "no name for a release" in err
    assert list(shelf[0].iterdir()) == []


def test_another_architecture_takes_no_releases_place(place, fake_zip, checkpoint_file, shelf):
    assert fer("zoo", "add", place / "runs" / "baseline" / "best.pth", "mine", "--data", fake_zip)[0] == 0
    before = {path.name: path.read_bytes() for path in shelf[0].iterdir()}
    code, out, err = fer("zoo", "add", checkpoint_file, "mine", "--data", fake_zip)
    assert (code, out) == (2, "") and "mine is a released baseline" in err
    assert {path.name: path.read_bytes() for path in shelf[0].iterdir()} == before


@pytest.mark.parametrize("stopped", [InterruptedRunError("saved", 130), KeyboardInterrupt()])
def test_tables_are_written_also_where_training_is_stopped(stopped, fake_zip, shelf, monkeypatch):
    def train(*_):
        raise stopped

    monkeypatch.setattr("fer.zoo.train_release", train)
    monkeypatch.chdir(shelf[0].parent)
    words = ["zoo", "train", "baseline", "--data", fake_zip, "--runs", shelf[0].parent / "runs", *FAST]
    for more in ([], ["--out", "checkpoints"]):
        code, _, err = fer(*words, *more)
        goes_on = "fer: baseline: saved; the same command goes on with it"
        assert code == 130 and (goes_on in err) == isinstance(stopped, InterruptedRunError)
    assert len(shelf[1]) == 2


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, "baseline"),
        ({"config": {"labels": "ferplus-soft"}}, "baseline, labels ferplus-soft: another task"),
        ({"data": {"pretrained": {"data": "natural.tar"}}}, "baseline, pretrained on natural.tar"),
        ({"config": {"distillation": {"teachers": ["a.pth"]}}}, "baseline, distilled"),
        ({"classes": ("happy", "sad")}, "baseline, 2 classes"),
    ],
    ids=["plain", "votes", "pretrained", "distilled", "classes"],
)
def test_the_table_marks_what_is_not_comparable(changes, marks, place, tmp_path, monkeypatch):
    loaded = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    card = replace(loaded.card, **changes)
    checkpoints.save(tmp_path / "some.pth", loaded.model.state_dict(), card)
    (tmp_path / "DEFAULT").write_text("some\n")
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    monkeypatch.setattr(released, "_DEFAULT_FILE", tmp_path / "DEFAULT")
    row = releases.markdown_table().splitlines()[2]
    assert row.split(" | ")[:2] == ["| `some` (default)", marks]


def test_the_table_says_which_floors_are_reached_and_which_wait(place, tmp_path, monkeypatch):
    loaded = checkpoints.load(place / "released" / "baseline.pth")
    for name, accuracy in (("baseline", 0.65), ("net", 0.65), ("mine", 0.65)):
        metrics = {**loaded.card.metrics, "validation/flip": {"accuracy": 0.651, "ci95": [0.64, 0.66]}}
        card = replace(loaded.card, validation_accuracy=accuracy, metrics=metrics)
        checkpoints.save(tmp_path / f"{name}.pth", loaded.model.state_dict(), card)
    (tmp_path / "DEFAULT").write_text("mine\n")
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    monkeypatch.setattr(released, "_DEFAULT_FILE", tmp_path / "DEFAULT")
    *rows, _, waiting = releases.markdown_table().splitlines()
    assert [row.split(" | ")[-1] for row in rows[2:]] == ["– |", "64.0 (65.0) reached |", "70.5 (71.5) open |"]
    assert "`resnet18` 72.0 (73.0)" in waiting and "`ensemble` – (74.5)" in waiting
    assert "`net`" not in waiting and "baseline" not in waiting


@pytest.mark.parametrize(("ece", "cell"), [(0.0301, "0.030 (open)"), (0.03, "0.030"), (0.012, "0.012")])
def test_the_table_says_where_an_ece_is_above_what_was_asked_for(ece, cell, place, tmp_path, monkeypatch):
    loaded = checkpoints.load(place / "released" / "baseline.pth")
    metrics = {**loaded.card.metrics, "validation/held-out": {"ece": ece}}
    checkpoints.save(tmp_path / "some.pth", loaded.model.state_dict(), replace(loaded.card, metrics=metrics))
    (tmp_path / "DEFAULT").write_text("some\n")
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    monkeypatch.setattr(released, "_DEFAULT_FILE", tmp_path / "DEFAULT")
    head, _, row, *_ = releases.markdown_table().splitlines()
    assert dict(zip(head.split(" | "), row.split(" | "), strict=True))["ECE"] == cell


@pytest.mark.parametrize("words", [["--recipe", "nothing"], ["--runs", __file__]], ids=["recipe", "runs"])
def test_a_race_that_cannot_be_run_does_not_read_the_data(words):
    code, out, err = fer("zoo", "speedrun", *words, "--data", "nowhere.zip")
    assert (code, out) == (2, "") and words[1] in err and "nowhere" not in err and len(err.splitlines()) == 1


def test_the_table_gives_every_accuracy_with_its_interval_and_n(place, tmp_path, monkeypatch):
    loaded = checkpoints.load(place / "released" / "baseline.pth")
    figures = {
        "validation": {"accuracy": 0.6543, "ci95": [0.6387, 0.6697], "n": 3589, "macro_f1": 0.6},
        "validation/flip": {"accuracy": 0.66, "ci95": [0.6443, 0.6753]},
        "validation/tencrop": {"accuracy": 0.65, "ci95": [0.6342, 0.6654]},
        "validation/clean": {"accuracy": 0.64, "ci95": [0.6235, 0.6562], "n": 3309},
    }
    card = replace(loaded.card, metrics={**loaded.card.metrics, **figures})
    checkpoints.save(tmp_path / "some.pth", loaded.model.state_dict(), card)
    (tmp_path / "DEFAULT").write_text("some\n")
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    monkeypatch.setattr(released, "_DEFAULT_FILE", tmp_path / "DEFAULT")
    head, _, row, *_ = releases.markdown_table().splitlines()
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert [cells[name] for name in ("accuracy (95 %)", "flip", "ten-crop", "clean", "n (clean)")] == [
        "65.43 % (63.9–67.0)",
        "66.00 % (64.4–67.5)",
        "65.00 % (63.4–66.5)",
        "64.00 % (62.4–65.6)",
        "3,589 (3,309)",
    ]


def test_checksums_are_those_of_the_files():
    lines = (released.RELEASED / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(
        path.name for suffix in ("pth", "onnx") for path in released.RELEASED.glob(f"*.{suffix}")
    )
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((released.RELEASED / name).read_bytes()).hexdigest() == digest


def test_fewer_epochs_keep_their_share_of_small_faces():
    chosen = _chosen(["custom_cnn"], None, ["epochs=10"])
    recipe = recipe_config("custom_cnn")
    assert (recipe.epochs, recipe.small_epochs) == (45, 22)
    assert (chosen["custom_cnn"].epochs, chosen["custom_cnn"].small_epochs) == (10, 4)


def test_a_file_in_the_place_of_the_releases_is_said_in_one_line(fake_zip, tmp_path):
    (tmp_path / "taken").write_text("mine")
    code, out, err = fer("zoo", "train", "baseline", "--data", fake_zip, "--runs", tmp_path, "--out", tmp_path / "taken")
    assert (code, out, len(err.splitlines())) == (2, "", 1) and "taken" in err


def test_a_release_measured_on_other_data_is_not_replaced(place, fake_zip, tmp_path, shelf):
    """Whatever is better on two classes, or on other faces, is not better than what was measured on these."""
    folder = shelf[0]
    shutil.copytree(place / "released", folder, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    best = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    splits = {"splits": {"validation": {"n": 21, "fingerprint": "ab" * 32}}}
    for changes in ({"classes": ("happy", "sad")}, {"data": splits}, {"data": {}}):
        checkpoints.save(tmp_path / "best.pth", best.model.state_dict(), replace(best.card, **changes))
        code, out, err = fer("zoo", "add", tmp_path / "best.pth", "baseline", "--data", "nowhere.zip")
        assert (code, out) == (2, "") and "measured on other data" in err and "nowhere.zip" not in err
        with pytest.raises(ConfigError, match=r"measured on other data .* by another name .* another folder"):
            release_best("baseline", tmp_path / "best.pth", None, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("other", ["classes", "data"])
def test_nothing_is_trained_for_a_place_that_it_could_not_take(other, place, fake_zip, tmp_path):
    folder = Path(shutil.copytree(place / "released", tmp_path / "released"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3) if other == "data" else fake_zip
    words = ["zoo", "train", "baseline", "--data", data, "--runs", tmp_path / "runs", "--out", folder, *FAST]
    code, out, err = fer(*words, *(["--set", "classes=happy,sad"] if other == "classes" else []))
    assert (code, out) == (2, "") and "measured on other data" in err
    assert not (tmp_path / "runs").exists()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_is_released_on_the_validation_faces_of_its_run(place, tmp_path, shelf):
    """Its card tells of these, and the figures would be of others."""
    data = fakes.write_zip(tmp_path / "other.zip", train=6, validation=2)
    code, out, err = fer("zoo", "add", place / "runs" / "baseline" / "best.pth", "mine", "--data", data)
    assert (code, out) == (2, "") and "chosen on other validation faces" in err and str(data) in err
    assert list(shelf[0].iterdir()) == []


def test_a_model_of_four_classes_is_released_on_a_set_of_these_alone(fake_folder, tmp_path, shelf):
    four = ("angry", "disgust", "fear", "happy")
    for split in ("train", "test"):
        for name in four:
            shutil.copytree(fake_folder / split / name, tmp_path / "data" / split / name)
    words = ["--classes", ",".join(four), "--data", tmp_path / "data", "--runs", tmp_path / "runs"]
    code, out, err = fer("train", "baseline", *words, "--set", "epochs=1", "--set", "batch_size=8", "--set", "precision=fp32")
    assert code == 0, err
    code, out, err = fer("zoo", "add", Path(out.strip()) / "best.pth", "four", "--data", tmp_path / "data")
    assert code == 0, err
    assert checkpoints.load(shelf[0] / "four.pth").card.metrics["validation"]["n"] == 3 * len(four)


@pytest.mark.parametrize("name", list(ZOO))
def test_teachers_are_trained_before_their_students(name):
    earlier = ZOO[: ZOO.index(name)]
    assert set(recipe_config(name).distillation.teachers) | set(ENSEMBLES.get(name, ())) <= set(earlier)


@pytest.fixture
def pair(place, shelf, monkeypatch) -> tuple[Path, Path]:
    """An ensemble of two: one member in a folder of releases, the other, with another net's weights, on the shelf."""
    monkeypatch.setattr("fer.zoo.ENSEMBLES", {"ensemble": ("baseline", "other")})
    out = shelf[0].parent / "out"
    out.mkdir()
    shutil.copy(place / "released" / "baseline.pth", out)
    return out, save_random(shelf[0] / "other.pth", "baseline", seed=5)


def test_an_ensemble_is_put_together_from_its_released_members(pair, corpus, fake_zip, tmp_path):
    out, other = pair
    words = ["zoo", "train", "ensemble", "--data", fake_zip, "--runs", tmp_path / "runs", "--out", out]
    code, printed, err = fer(*words)
    assert code == 0, err
    assert printed.startswith(f"{out / 'ensemble.pth'} ") and "(stored; " in printed and "floor 74.5 %" in printed
    stored = checkpoints.load(out / "ensemble.pth")
    assert [each["name"] for each in stored.card.members] == ["baseline", "other"]
    faces = corpus.for_training()[1]
    tables = [evaluate_checkpoint(checkpoints.load(path), faces) for path in (out / "baseline.pth", other)]
    weights = fit_weights(tables)
    assert [each["weight"] for each in stored.card.members] == pytest.approx(weights)
    mean = sum(share * table.probs for share, table in zip(weights, tables, strict=True))
    assert stored.card.validation_accuracy == (mean.argmax(1) == tables[0].labels).mean()
    assert {"validation/flip", "validation/tencrop", "validation/held-out"} <= set(stored.card.metrics)
    again = fer(*words)
    assert again[0] == 0 and "not stored" in again[1]


def test_an_ensemble_says_which_of_its_members_is_not_released(pair, fake_zip, tmp_path):
    pair[1].unlink()
    code, out, err = fer("zoo", "train", "ensemble", "--data", fake_zip, "--runs", tmp_path / "runs", "--out", pair[0])
    assert (code, out) == (2, "")
    assert "ensemble: ensemble is made of baseline, other; not released: other; train them first: fer zoo train other" in err


def test_no_release_hides_an_export(place, fake_zip, shelf):
    export = shelf[0] / "fast-int8.onnx"
    export.write_bytes(b"exported")
    code, out, err = fer("zoo", "add", place / "runs" / "baseline" / "best.pth", "fast-int8", "--data", fake_zip)
    assert (code, out) == (2, "") and f"is the exported model {export}" in err
    assert list(shelf[0].iterdir()) == [export]


def test_where_no_validation_face_is_clean_there_is_no_such_figure(place, tmp_path):
    best = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    for image in fakes.fake_set(train=3, validation=0):
        for split, prefix in (("train", "Training"), ("test", "PublicTest")):
            path = tmp_path / "data" / image.path.replace("train/", f"{split}/").replace("Training", prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fakes.encoded(image.pixels))
    earlier = {"validation/clean": best.card.metrics["validation"]}
    source = replace(best, card=replace(best.card, data={}, metrics=earlier))
    card = release(source, load(tmp_path / "data"), tmp_path / "copies.pth")
    assert card.metrics["validation"]["n"] == 21 and "validation/clean" not in card.metrics


def test_a_release_that_was_killed_half_way_is_stored_by_the_same_command(place, corpus, tmp_path, monkeypatch):
    good = place / "runs" / "baseline" / "best.pth"
    loaded = checkpoints.load(good)
    zeros = {name: torch.zeros_like(value) for name, value in loaded.model.state_dict().items()}
    checkpoints.save(tmp_path / "best.pth", zeros, loaded.card)
    (tmp_path / "out").mkdir()
    release_best("some", tmp_path / "best.pth", corpus, tmp_path / "out")
    plain, moved = Path.replace, []

    def replace_once(self, target):
        """Killed before the second file has its name."""
        if Path(target).stem == "some" and moved:
            raise KeyboardInterrupt
        moved.extend([target] if Path(target).stem == "some" else [])
        return plain(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_once)
        with pytest.raises(KeyboardInterrupt):
            release_best("some", good, corpus, tmp_path / "out")
    card, _ = release_best("some", good, corpus, tmp_path / "out")
    assert checkpoints.load(tmp_path / "out" / "some.pth").card == card
    assert json.loads((tmp_path / "out" / "some.json").read_text()) == json.loads(card.to_json())
    assert (tmp_path / "out" / "some.csv").read_text() == good.with_name("history.csv").read_text()


@pytest.fixture
def project(place, tmp_path, monkeypatch):
    """A clone's README and checkpoints/, which commands write into in place of the real ones."""
    before = {path: path.read_bytes() for path in [README, *released.RELEASED.iterdir()]}
    folder = tmp_path / "clone" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setattr(released, "RELEASED", folder)
    monkeypatch.setattr(released, "_DEFAULT_FILE", folder / "DEFAULT")
    (folder.parent / "README.md").write_text(f"# A page\n\n{TABLE_START}\nold\n{TABLE_END}\n\nmore\n", encoding="utf-8")
    yield folder
    assert {path: path.read_bytes() for path in before} == before


def stored_as_is(place: Path, path: Path, **changes: object) -> checkpoints.Checkpoint:
    """A checkpoint as it left its run, with another card."""
    loaded = checkpoints.load(place / "runs" / "baseline" / "best.pth")
    checkpoints.save(path, loaded.model.state_dict(), replace(loaded.card, **changes))
    return checkpoints.load(path)


def exported_as(checkpoint: checkpoints.Checkpoint, path: Path, **proof: object) -> None:
    """An export whose proof says what it is told to."""
    seal = export(checkpoint, path)
    write_proto(onnx.load(path), path, replace(seal, proof={**seal.proof, **proof}))


def test_the_commands_write_default_tables_and_sums(place, fake_zip, project):
    best = place / "runs" / "baseline" / "best.pth"
    code, out, err = fer("zoo", "add", best, "mine", "--data", fake_zip, "--default")
    assert code == 0, err
    assert (project / "DEFAULT").read_text() == "mine\n"
    exported_as(checkpoints.load(best), project / "mine-float.onnx")
    (project / ".other.new.pth").write_bytes(b"half")
    code, out, err = fer("zoo", "table")
    assert code == 0, err
    table = releases.markdown_table()
    assert out == f"{table}\n" and "| `mine` (default) | baseline |" in table and "other" not in table
    page = (project.parent / "README.md").read_text(encoding="utf-8")
    assert page == f"# A page\n\n{TABLE_START}\n{table}\n{TABLE_END}\n\nmore\n"
    own = (project / "README.md").read_text(encoding="utf-8")
    assert table in own and releases.exports_table() in own
    sums = [f"{hashlib.sha256((project / name).read_bytes()).hexdigest()}  {name}" for name in ("mine-float.onnx", "mine.pth")]
    assert (project / "SHA256SUMS").read_text(encoding="utf-8").splitlines() == sums


@pytest.mark.parametrize(
    "page", [None, "# A page without marks\n", f"{TABLE_START}\nno end\n"], ids=["none", "no marks", "one"]
)
def test_no_table_is_written_where_the_page_has_no_place_for_it(page, place, project):
    shutil.copytree(place / "released", project, dirs_exist_ok=True)
    (project / "DEFAULT").write_text("baseline\n")
    for name in ("README.md", "SHA256SUMS"):
        (project / name).write_text("as it was\n")
    readme = project.parent / "README.md"
    readme.unlink() if page is None else readme.write_text(page)
    before = {path: path.read_bytes() for path in project.parent.rglob("*") if path.is_file()}
    code, out, err = fer("zoo", "table")
    (line,) = err.splitlines()
    assert (code, out) == (2, "") and str(readme) in line
    assert {path: path.read_bytes() for path in project.parent.rglob("*") if path.is_file()} == before


def test_tables_have_a_dash_where_nothing_was_measured(place, project):
    """A run's best.pth, a state without figures, and an export on random pixels that is called like its checkpoint."""
    (project / "DEFAULT").write_text("baseline\n")
    best = stored_as_is(place, project / "baseline.pth")
    stored_as_is(place, project / "last.pth", metrics={})
    exported_as(best, project / "baseline.onnx", map_correlation=None)
    assert "no figure with --tta flip or tencrop" in verdict("baseline", best.card)
    assert fer("zoo", "table")[0] == 0
    rows = {row.split("`")[1]: row.split(" | ") for row in releases.markdown_table().splitlines()[2:4]}
    figures = best.card.metrics["validation"]
    assert rows["baseline"][3:7] == ["–", "–", "–", f"{figures['n']}"] and rows["baseline"][-1] == "64.0 (65.0) open |"
    assert rows["last"][2:9] == ["–"] * 7
    (row,) = releases.exports_table().splitlines()[2:]
    assert row.split(" | ")[:3] == ["| `baseline.onnx`", "onnx", "–"] and row.split(" | ")[3:6] == ["–", "100.00 %", "–"]


def test_points_are_of_one_task_each_file_once_and_all_on_the_cpu(place, project, monkeypatch):
    monkeypatch.setattr("fer.checkpoint.best_device", lambda: "meta")  # as a GPU that cannot answer
    (project / "DEFAULT").write_text("plain\n")
    loaded = checkpoints.load(place / "released" / "baseline.pth", "cpu")
    for name, changes in {
        "plain": {},
        "votes": {"config": {"labels": "ferplus-soft"}},
        "two": {"classes": ("happy", "sad"), "biases": ()},
        "unmeasured": {"metrics": {}},
    }.items():
        model = loaded.model if name != "two" else None
        card = replace(loaded.card, **changes)
        state = model.state_dict() if model else checkpoints.build(card).state_dict()
        checkpoints.save(project / f"{name}.pth", state, card)
    exported_as(loaded, project / "plain.onnx", accuracy=(0.5, 0.6), n=1000)
    exported_as(loaded, project / "pixels.onnx")
    timed = []

    def measure(model):
        timed.append(model.name if isinstance(model, checkpoints.Checkpoint) else f"{model.name}.onnx")
        return Latency(len(timed), [4.0, 6.0, 2.0, 8.0, 3.0, 9.0, 5.0, 7.0, 0.5, 1.0][len(timed) - 1], 2)

    monkeypatch.setattr("fer.pareto.measure", measure)
    rows = {row["name"]: row for row in points()}
    assert list(rows) == ["plain", "plain.onnx", PEER["name"]] and timed == ["plain", "plain.onnx"] * 5
    assert [(row["milliseconds"], row.get("milliseconds_single")) for row in rows.values()] == [
        (3.0, 5),
        (7.0, 6),
        (0.43, None),
    ]
    assert [row.get("default") for row in rows.values()] == [True, False, None]
    assert rows["plain"]["megabytes"] == (project / "plain.pth").stat().st_size / 1e6
    assert rows["plain.onnx"]["megabytes"] == (project / "plain.onnx").stat().st_size / 1e6
    # Wilson's interval of 600 of 1,000 by hand: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.96
    assert rows["plain.onnx"]["accuracy"] == 0.6
    assert rows["plain.onnx"]["ci95"] == pytest.approx([0.5693, 0.6299], abs=1e-4)
