"""What a person sees while a run goes on."""

from types import SimpleNamespace

import pytest
import torch

from fer.cli.live import table, time_left
from fer.config import RunConfig
from fer.data import load
from fer.data.clean import CleanIndex, LeftOut
from fer.overrides import with_values
from fer.training.history import Epoch, History
from fer.training.plan import Plan
from fer.training.tally import Tally
from fer.types import Preprocess
from tests import fakes

FAST = ("--epochs", 1, "--set", "batch_size=6", "--set", "precision=fp32")


def first_line(outcome):
    assert outcome.code == 0, outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("baseline (scratch, 1 epoch) on ")]
    return line


def test_the_first_line_counts_the_faces_that_are_trained_on_and_judged(fer, fake_zip, tmp_path):
    """Two classes of six and three faces each, of which an index leaves out three for training."""
    faces = load(fake_zip).split("train")
    gone = [name for name, label in zip(faces.names, faces.labels, strict=True) if faces.classes[label] == "happy"][:3]
    CleanIndex(load(fake_zip).named_fingerprint, tuple(LeftOut("train", name, "copy") for name in gone)).write(
        tmp_path / "clean.json"
    )
    options = ("--classes", "happy,sad", "--clean", tmp_path / "clean.json")
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", *FAST, *options)
    assert " on 9 train and 6 validation faces; results go to " in first_line(outcome)


def test_the_first_line_counts_what_is_held_out(fer, tmp_path):
    data = fakes.write_zip(tmp_path / "train.zip", train=12, validation=0)
    train, validation = load(data).for_training()
    outcome = fer("train", "baseline", "--data", data, "--runs", tmp_path / "runs", *FAST)
    assert len(train) + len(validation) == 84
    assert f" on {len(train)} train and {len(validation)} validation faces; " in first_line(outcome)


def test_the_first_line_counts_several_epochs(fer, fake_zip, tmp_path):
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST, "--epochs", 2)
    assert "baseline (scratch, 2 epochs) on " in outcome.err


@pytest.mark.parametrize(
    "seconds, present, share, small, left",
    [
        ([], 10.0, 0.5, 0, "1:10"),  # an eighth of four like epochs
        ([10.0], 5.0, 0.5, 2, "1:25"),  # 0.25 and half of 0.25 of 2.5 are done: 15 s, and 17 / 3 of that to come
        ([10.0, 10.0], 20.0, 0.5, 2, "1:00"),  # 1 of 2.5
        ([10.0, 10.0, 40.0], 20.0, 0.5, 2, "0:20"),
        ([3600.0], 3600.0, 1.0, 0, "2:00:00"),
    ],
)
def test_small_epochs_count_by_their_pixels_for_the_time_left(seconds, present, share, small, left):
    config = with_values(RunConfig(), {"epochs": 4, "small_epochs": small, "small_size": 24}, "test")
    plan = Plan(config, "small", Preprocess(48), (1.0,) * 7)

    class Finished(list):
        seconds = property(sum)

    trainer = SimpleNamespace(history=Finished(seconds), seconds=present)
    assert time_left(trainer, plan, share) == left


def test_the_table_has_a_row_for_every_finished_epoch_and_one_for_the_present():
    """Of the present epoch 3 of 4 faces are right, in 2 seconds; half of the last of two epochs is as long as those."""
    first = Epoch(1, 0.05, 1.23456, 0.5, 1.1, 0.625, 4.0, 0.512, 0.523, 0.534, 1234.5)
    tally = Tally.empty(7)
    tally.add(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.eye(7)[[0, 1, 2, 3]], torch.tensor([0, 1, 2, 4]))
    optimizer = SimpleNamespace(param_groups=[{"lr": 1.0}, {"lr": 0.025}])
    trainer = SimpleNamespace(history=History([first]), tally=tally, seconds=2.0, epoch=2, optimizer=optimizer)
    plan = Plan(with_values(RunConfig(), {"epochs": 2}, "test"), "small", Preprocess(48), (1.0,) * 7)
    columns = {column.header: list(column.cells) for column in table(trainer, plan, 5, 10).columns}
    assert columns == {
        "epoch": ["1", "2/2"],
        "loss": ["1.2346", "2.5000"],
        "train": ["50.00 %", "75.00 %"],
        "validation": ["62.50 %", "step 5/10"],
        "macro F1": ["0.512", ""],
        "precision": ["0.523", ""],
        "recall": ["0.534", ""],
        "lr": ["0.05", "0.025"],
        "faces/s": ["1,234", "2"],
        "time": ["4 s", "0:02 left"],
    }
