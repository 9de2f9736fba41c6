"""The whole way on a fake set: archive → training → figures → explanation → what the page shows."""

import csv
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps.look import Wish, look
from fer import checkpoint as checkpoints
from fer.cli import main
from fer.config import RunConfig
from fer.data import load
from fer.emotions import EMOTIONS
from fer.overrides import with_values
from fer.samples import sample_path
from fer.training import run
from fer.training.run import Watch, train
from fer.types import PredictionTable
from tests import fakes

FIGURES = [
    "accuracy", "top3_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "log_loss", "roc_auc", "ece",
    "adaptive_ece", "brier", "n", "ci95", "per_class", "confusion_matrix",
]  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.write_zip(tmp_path_factory.mktemp("data") / "archive.zip", train=40, validation=10)


@pytest.fixture(scope="module")
def run_folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished training of the baseline; the tests below only read it."""
    runs = tmp_path_factory.mktemp("runs")
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        command = ["train", "baseline", "--data", str(archive), "--epochs", "3", "--runs", str(runs)]
        settings = ["lr=0.02", "batch_size=32", "ema=0.8", "rotate=0", "flip=0", "class_weights=balanced"]
        code = main([*command, *(word for setting in settings for word in ("--set", setting))])
    assert code == 0
    folder = Path(said.getvalue().strip())
    assert folder.parent == runs
    yield folder


# training


def test_the_run_is_named_by_time_model_and_mode(run_folder):
    stamp, rest = run_folder.name[:15], run_folder.name[15:]
    assert rest == "-baseline-scratch"
    assert stamp[8] == "-" and stamp.replace("-", "").isdigit()


def test_the_run_holds_everything_that_is_needed_later(run_folder):
    names = {path.name for path in run_folder.iterdir()}
    assert names >= {
        "best.pth", "last.pth", "config.yaml", "history.csv", "metrics.json", "training_curves.png", "confusion_matrix.png",
        "validation.npz", "validation.json",
    }  # fmt: skip
    (events,) = run_folder.glob("events.out.tfevents.*")
    assert events.stat().st_size > 500
    assert not [name for name in names if name.startswith(".")]  # no half-written file
    for picture in ("training_curves.png", "confusion_matrix.png"):
        with Image.open(run_folder / picture) as image:
            assert min(image.size) > 300


def test_the_history_has_a_row_for_every_epoch_and_the_card_the_best_of_them(run_folder):
    with (run_folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = max(rows, key=lambda row: float(row["validation_accuracy"]))  # the first of equals
    assert checkpoints.load(run_folder / "best.pth").card.best_epoch == int(best["epoch"])


def test_the_events_can_be_read_by_tensorboard(run_folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_folder))
    events.Reload()
    assert [event.step for event in events.Scalars("validation/accuracy")] == [1, 2, 3]
    assert {"train/loss", "train/accuracy", "validation/loss", "lr"} <= set(events.Tags()["scalars"])
    assert set(events.Tags()["images"]) == {"validation/confusion", "validation/cam"}
    for tag in events.Tags()["images"]:
        pictures = events.Images(tag)
        assert [event.step for event in pictures] == [1, 2, 3]
        sizes = [Image.open(BytesIO(event.encoded_image_string)).size for event in pictures]
        assert set(sizes) == {(pictures[0].width, pictures[0].height)} and min(sizes[0]) >= 96
    grid = events.Images("validation/cam")[-1]
    assert (grid.width, grid.height) == (2 * 7 * 48, 2 * 48)  # two faces a class, and their maps below


def test_the_net_has_learnt_far_above_chance(run_folder):
    metrics = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["n"] == 70
    assert metrics["accuracy"] > 3 / 7


def test_the_card_says_what_was_trained_on_what_and_how_well(run_folder, archive):
    card = checkpoints.load(run_folder / "best.pth").card
    metrics = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    corpus = load(archive)
    assert (card.architecture, card.variant, card.classes) == ("baseline", "small", EMOTIONS)
    assert (card.preprocess.size, card.preprocess.channels) == (48, 1)
    assert card.config["epochs"] == 3 and card.config["optimizer"]["lr"] == 0.02 and card.config["model"] == "baseline"
    assert set(card.config) == set(RunConfig().to_dict())
    assert card.seed == card.config["seed"]
    assert card.class_weights == (1.0,) * 7  # forty of each
    assert 0 <= card.train_accuracy <= 1 and card.validation_accuracy == metrics["accuracy"]
    assert card.metrics["validation"] == metrics
    assert card.data["fingerprint"] == corpus.fingerprint
    assert card.data["splits"]["train"] == {"n": 280, "fingerprint": corpus.split("train").fingerprint}
    assert card.data["splits"]["validation"]["n"] == 70
    assert card.versions["torch"] == torch.__version__.split("+")[0] and "python" in card.versions


def test_the_saved_table_gives_the_saved_figures(run_folder):
    table = PredictionTable.load(run_folder / "validation.npz")
    metrics = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    assert (table.predicted == table.labels).mean() == pytest.approx(metrics["accuracy"])
    assert table.split == "validation" and len(table) == 70


# evaluation


def test_evaluating_again_reproduces_the_cards_figures(fer, run_folder, archive):
    outcome = fer("evaluate", "--checkpoint", run_folder / "best.pth", "--data", archive, "--json")
    assert outcome.code == 0
    again, card = json.loads(outcome.out), checkpoints.load(run_folder / "best.pth").card
    assert list(again) == FIGURES
    assert again["confusion_matrix"] == card.metrics["validation"]["confusion_matrix"]
    for name in FIGURES[:9]:
        assert again[name] == pytest.approx(card.metrics["validation"][name], abs=1e-6)


def test_the_train_accuracy_of_the_card_is_that_of_an_evaluation(fer, run_folder, archive):
    outcome = fer("evaluate", "--checkpoint", run_folder / "best.pth", "--data", archive, "--split", "train", "--json")
    card = checkpoints.load(run_folder / "best.pth").card
    assert json.loads(outcome.out)["accuracy"] == pytest.approx(card.train_accuracy, abs=1e-9)


# explanation and page


def test_the_trained_net_is_explained(fer, run_folder, archive, tmp_path):
    picture = tmp_path / "sad.png"
    picture.write_bytes(fakes.encoded(fakes.fake_face("sad", 99_999)))
    outcome = fer("explain", "--checkpoint", run_folder / "best.pth", picture, "--out", tmp_path / "one")
    assert outcome.code == 0
    (face,) = json.loads((tmp_path / "one" / "explanations.json").read_text(encoding="utf-8"))["faces"]
    assert face["label"] == "sad" and np.array(face["heatmap"]).max() > 0.9
    outcome = fer("explain", "--checkpoint", run_folder / "best.pth", "--data", archive, "--out", tmp_path / "many")
    assert outcome.code == 0 and (tmp_path / "many" / "gallery-validation.png").is_file()


def test_the_page_shows_what_the_command_line_says(fer, run_folder):
    shown = look(sample_path(), Wish(str(run_folder / "best.pth")))
    outcome = fer("predict", sample_path(), "--checkpoint", run_folder / "best.pth", "--format", "json")
    (face,) = json.loads(outcome.out)[0]["faces"]
    (card,) = shown.cards
    unsure = "unsure, perhaps " if face["confidence"] < 0.5 else ""
    assert card.title == f"1. {unsure}{face['label']}, {face['confidence']:.0%}"
    assert card.probabilities == pytest.approx(face["probabilities"])
    assert not np.array_equal(card.face, card.overlay)


# resuming, freezing, weights: small runs of the net with batch norm


SMALL = {
    "model": "custom_cnn", "epochs": 3, "batch_size": 16, "precision": "fp32", "mixup": 0.2, "erase": 0.3, "ema": 0.9,
    "input_size": 32,
}  # fmt: skip


def quiet(stop_after: int = 0) -> Watch:
    """Shows nothing; interrupts the run after an epoch, as Ctrl-C would."""

    def on_epoch(epoch, is_best):
        if epoch.epoch == stop_after:
            raise KeyboardInterrupt

    return Watch(lambda *_: None, on_epoch, lambda *_: None)


@pytest.fixture
def each_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is."""
    monkeypatch.setattr(run, "QUICK_SAVE", float("inf"))


def state(path: Path) -> dict[str, torch.Tensor]:
    return checkpoints.read(path)["state_dict"]


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.usefixtures("each_epoch_is_saved")
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw", "lr": 0.001, "schedule": "plateau"}], ids=["sgd", "adamw"])
def test_a_resumed_run_equals_an_uninterrupted_one(fer, fake_zip, tmp_path, settings):
    config, corpus = with_values(RunConfig(), {**SMALL, **settings}, "test"), load(fake_zip)
    whole = train(config, corpus, tmp_path / "whole", quiet())
    with pytest.raises(KeyboardInterrupt):
        train(config, corpus, tmp_path / "stopped", quiet(stop_after=1))
    outcome = fer("train", "--resume", tmp_path / "stopped", "--data", fake_zip)
    assert outcome.code == 0 and outcome.out.strip() == str(tmp_path / "stopped")
    for name in ("last.pth", "best.pth"):
        assert_same(state(tmp_path / "whole" / name), state(tmp_path / "stopped" / name))
    figures = json.loads((tmp_path / "stopped" / "metrics.json").read_text(encoding="utf-8"))
    assert figures == whole.card.metrics["validation"]
    with (tmp_path / "stopped" / "history.csv").open(encoding="utf-8", newline="") as file:
        again = list(csv.DictReader(file))
    assert [float(row["train_loss"]) for row in again] == [epoch.train_loss for epoch in whole.history]


def test_a_folder_without_a_run_cannot_be_resumed(fer, tmp_path):
    outcome = fer("train", "--resume", tmp_path)
    assert outcome.code == 2 and str(tmp_path) in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.usefixtures("each_epoch_is_saved")
def test_a_stopped_run_leaves_checkpoints_that_work(fer, fake_zip, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(with_values(RunConfig(), SMALL, "test"), load(fake_zip), tmp_path / "run", quiet(stop_after=1))
    outcome = fer("evaluate", "--checkpoint", tmp_path / "run" / "best.pth", "--data", fake_zip, "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["n"] == 21


def trunk_and_head(weights: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    trunk = {name: value for name, value in weights.items() if not name.startswith("head.")}
    head = {name: value for name, value in weights.items() if name.startswith("head.")}
    return trunk, head


@pytest.mark.parametrize("mode", ["feature-extract", "finetune"])
def test_feature_extraction_keeps_the_trunk_and_finetuning_moves_it(fer, fake_zip, checkpoint_file, tmp_path, mode):
    outcome = fer(
        "train", "custom_cnn", "--mode", mode, "--init", checkpoint_file, "--data", fake_zip, "--epochs", 1,
        "--runs", tmp_path, "--set", "batch_size=16", "--set", "precision=fp32", "--set", "ema=0.5", "--set", "input_size=32",
    )  # fmt: skip
    assert outcome.code == 0
    folder = Path(outcome.out.strip())
    assert folder.name.endswith(f"-custom_cnn-{mode}")
    trunk_before, head_before = trunk_and_head(state(checkpoint_file))
    trunk, head = trunk_and_head(state(folder / "last.pth"))
    moved = [name for name in trunk if not torch.equal(trunk[name], trunk_before[name])]
    assert moved == [] if mode == "feature-extract" else set(moved) == set(trunk)
    assert any(not torch.equal(head[name], head_before[name]) for name in head)


def test_balanced_class_weights_stand_in_the_card(fer, tmp_path):
    data = fakes.write_folder(tmp_path / "data", train=6, validation=2)
    for path in sorted((data / "train" / "disgust").iterdir())[:4]:
        path.unlink()
    outcome = fer(
        "train", "custom_cnn", "--data", data, "--epochs", 1, "--runs", tmp_path / "runs", "--set", "class_weights=balanced",
        "--set", "small_epochs=0", "--set", "input_size=32", "--set", "batch_size=19",
    )  # fmt: skip
    assert outcome.code == 0
    card = checkpoints.load(Path(outcome.out.strip()) / "best.pth").card
    others, disgust = 38 / (7 * 6), 38 / (7 * 2)
    assert card.class_weights == pytest.approx([others, disgust, *[others] * 5], rel=1e-5)
    assert card.config["loss"]["class_weights"] == "balanced"


# what cannot be trained is said in one line before anything is written


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["baseline", "--set", "learning_rate=1"], ["learning_rate", "epochs", "lr", "class_weights"]),
        (["baseline", "--set", "epoch=1"], ["did you mean 'epochs'?"]),
        (["baseline", "--set", "lr"], ["key=value"]),
        (["baseline", "--set", "epochs=many"], ["epochs"]),
        (["baseline", "--set", "class_weights=even"], ["none", "balanced"]),
        (["baseline", "--mode", "fine"], ["scratch", "finetune", "feature-extract"]),
        (["baseline", "--mode", "finetune"], ["baseline", "--init"]),
        (["resnet"], ["baseline", "custom_cnn", "resnet18"]),
        ([], ["baseline", "custom_cnn", "resnet18"]),
    ],
)
def test_a_wrong_request_is_one_line_with_what_is_known(fer, fake_zip, tmp_path, arguments, words):
    outcome = fer("train", *arguments, "--data", fake_zip, "--runs", tmp_path / "runs")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert [word for word in words if word not in outcome.err] == []
    assert not (tmp_path / "runs").exists()
