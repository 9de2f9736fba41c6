"""Runs that are stopped or killed go on at the exact step."""

import math
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from fer import checkpoint as checkpoints
from fer import evaluation
from fer.config import RunConfig
from fer.errors import InterruptedRunError
from fer.overrides import with_values
from fer.training import fit, store
from fer.training.hardware import Hardware
from fer.training.run import Continuation, Watch, train
from tests.conftest import save_random
from tests.long_runs.runs import OTHERS, SETTINGS, Killed, config_of, differences, go_on, kept, killed_before_rename, stop_at


def test_the_comparison_sees_a_single_bit(whole, expected, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert differences(expected, kept(copy)) == []
    other = kept(copy)
    moment = other["last"]["state"]["optimizer"]["state"][0]["momentum_buffer"]
    moment.view(-1)[0] = torch.nextafter(moment.view(-1)[0], torch.tensor(math.inf))
    assert differences(expected, other) == ["/last/state/optimizer/state/0/momentum_buffer"]


# stopping and going on


@pytest.mark.parametrize("step", range(1, 6))
@pytest.mark.parametrize("epoch", range(1, 5))
def test_a_run_stopped_at_any_of_twenty_steps_ends_as_the_undisturbed_one(expected, corpus, tmp_path, epoch, step):
    folder = stop_at(config_of(), corpus, tmp_path / "run", (epoch, step), (signal.SIGINT, signal.SIGTERM)[step % 2])
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


def test_a_run_stopped_again_and_again_ends_as_the_undisturbed_one(corpus, tmp_path):
    config = with_values(RunConfig(), OTHERS, "test")
    undisturbed = train(config, corpus, tmp_path / "whole", Watch())
    for at in ((1, 1), (1, 2), (2, 1), (2, 3), (3, 2)):
        stop_at(config, corpus, tmp_path / "stopped", at)
    go_on(tmp_path / "stopped", corpus)
    assert undisturbed.history.epochs[-1].lr < 0.001  # the plateau has been met
    assert differences(kept(undisturbed.folder), kept(tmp_path / "stopped")) == []


@pytest.mark.parametrize("ahead", [False, True])
def test_a_student_that_thaws_stopped_at_every_epoch_ends_as_the_undisturbed_one(ahead, corpus, checkpoint_file, tmp_path):
    """Stages freed one after another, rates by stage, a teacher, a schedule that rises and falls; with batch norm."""
    values = {
        "model": "custom_cnn", "mode": "gradual", "init": str(checkpoint_file), "input_size": 16, "precision": "fp32",
        "epochs": 3, "batch_size": 14, "schedule": "one-cycle", "layer_decay": 0.7, "unfreeze_every": 1, "ema": 0.8,
        "teachers": str(checkpoint_file), "ahead": ahead, "mixup": 0.2, "small_epochs": 0,
    }  # fmt: skip
    config = with_values(RunConfig(), values, "test")
    undisturbed = train(config, corpus, tmp_path / "whole", Watch())
    for at in ((1, 2), (2, 1), (3, 2)):
        stop_at(config, corpus, tmp_path / "stopped", at)
    go_on(tmp_path / "stopped", corpus)
    assert differences(kept(undisturbed.folder), kept(tmp_path / "stopped")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_while_the_best_epoch_is_evaluated_is_heard(expected, corpus, tmp_path, number):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRunError, match=f"fer train --resume {folder}") as caught:
        train(config_of(), corpus, folder, Watch(on_evaluate=lambda *_: os.kill(os.getpid(), number)))
    assert caught.value.code == 128 + number
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


@pytest.mark.parametrize("settings", [SETTINGS, OTHERS], ids=["baseline", "batch norm"])
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_request_while_an_epoch_is_judged_is_heard_between_two_batches(settings, batch, epoch, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "BATCH", 7)  # three batches of the 21 validation faces
    config = with_values(RunConfig(), settings, "test")
    undisturbed = kept(train(config, corpus, tmp_path / "whole", Watch()).folder)
    steps = 42 // config.batch_size + bool(42 % config.batch_size)
    done = {"epochs": 0, "batches": 0}

    def asked(*arguments, progress, **more):
        """In place of a pass over the validation faces: the same, and in one of them the system asks for an end."""

        def heard(*so_far):
            done["batches"] += 1
            if (done["epochs"], done["batches"]) == (epoch, batch):
                os.kill(os.getpid(), signal.SIGTERM)
            progress(*so_far)

        done.update(epochs=done["epochs"] + 1, batches=0)
        return evaluation.predict_logits(*arguments, progress=heard, **more)

    monkeypatch.setattr(fit, "predict_logits", asked)
    folder, place = tmp_path / "run", f"step {steps} of epoch {epoch}" if batch < 3 else f"epoch {epoch}"
    with pytest.raises(InterruptedRunError, match=f"saved after {place};"):
        train(config, corpus, folder, Watch())
    assert done == {"epochs": epoch, "batches": batch}
    monkeypatch.setattr(fit, "predict_logits", evaluation.predict_logits)
    state = store.read_last(folder)[1]
    assert (len(state["history"]), state["step"]) == ((epoch - 1, steps) if batch < 3 else (epoch, 0))
    go_on(folder, corpus)
    assert differences(undisturbed, kept(folder)) == []


def test_a_run_repeated_from_its_configuration_is_equal_to_the_bit(fer, fake_zip, tmp_path):
    settings = [word for key, value in SETTINGS.items() if key != "model" for word in ("--set", f"{key}={value}")]
    first = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *settings, "--epochs", 2)
    assert first.code == 0
    folder = Path(first.out.strip())
    second = fer("train", "--config", folder / "config.yaml", "--data", fake_zip, "--runs", tmp_path / "again")
    assert second.code == 0
    assert differences(kept(folder), kept(Path(second.out.strip()))) == []


@pytest.mark.parametrize("name", ["last.pth", "best.pth", "history.csv", "config.yaml"])
def test_what_a_crash_left_half_written_is_gone_once_the_run_goes_on(name, stopped, expected, corpus):
    (stopped / f".{name}.0123abcd").write_bytes(b"half")
    (stopped / "notes.txt").write_text("the user's own", encoding="utf-8")
    (stopped / ".mine").write_bytes(b"another's")
    go_on(stopped, corpus)
    hidden = sorted(path.name for path in stopped.iterdir() if path.name.startswith("."))
    assert hidden == [".mine"] and (stopped / "notes.txt").read_text(encoding="utf-8") == "the user's own"
    assert differences(expected, kept(stopped)) == []


# where saving takes long


def test_a_run_that_saves_seldom_ends_as_one_that_saves_every_epoch(expected, corpus, tmp_path, slow_disk):
    train(config_of(), corpus, tmp_path / "run", Watch())
    assert len(slow_disk) == 2  # at the start and at the end
    assert differences(expected, kept(tmp_path / "run")) == []


@pytest.mark.parametrize("at", [(3, 2), (3, 5)], ids=["within an epoch", "at its end"])
def test_stopped_it_saves_all_that_is_not_on_disk(expected, corpus, tmp_path, slow_disk, at):
    folder = stop_at(config_of(), corpus, tmp_path / "run", at)
    card, state, _, _ = store.read_last(folder)
    assert len(state["history"]) == (2 if at[1] < 5 else 3)
    assert checkpoints.load(folder / "best.pth").card.best_epoch in (1, 2, 3)
    assert card.best_epoch == len(state["history"])  # the card of the last finished epoch
    go_on(folder, corpus)
    assert differences(expected, kept(folder)) == []


def test_killed_it_goes_on_from_what_was_saved(expected, corpus, tmp_path, slow_disk):
    class Kill(BaseException):
        pass

    def kill(epoch, is_best):
        if epoch.epoch == 3:
            raise Kill

    with pytest.raises(Kill):
        train(config_of(), corpus, tmp_path / "run", Watch(on_epoch=kill))
    assert store.read_last(tmp_path / "run")[1]["history"] == []
    go_on(tmp_path / "run", corpus)
    assert differences(expected, kept(tmp_path / "run")) == []


# killed while writing


def test_a_run_killed_before_any_of_its_renames_loses_and_leaves_nothing(corpus, tmp_path):
    config = config_of(epochs=2)
    undisturbed = kept(train(config, corpus, tmp_path / "whole", Watch()).folder)
    for number in range(1, 100):
        folder, announced = tmp_path / str(number), []
        try:
            with killed_before_rename(number):
                train(config, corpus, folder, Watch(on_epoch=lambda epoch, _: announced.append(epoch.epoch)))  # noqa: B023
            break
        except Killed:
            pass
        if announced:
            assert len(store.read_last(folder)[1]["history"]) >= announced[-1], f"rename {number}"
        started = any((folder / name).exists() for name in ("last.pth", "previous.pth"))
        train(config, corpus, folder, Watch(), continuation=Continuation(resume=started))
        assert differences(undisturbed, kept(folder)) == [], f"rename {number}"
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [], f"rename {number}"
        shutil.rmtree(folder)
    assert number > 10  # config, the first state, two epochs, the end


@pytest.mark.parametrize("fate", ["gone", "another"])
def test_a_run_goes_on_whatever_has_become_of_its_starting_weights(fate, corpus, tmp_path):
    start = save_random(tmp_path / "start.pth", "custom_cnn", seed=4)
    values = {**OTHERS, "mode": "finetune", "init": str(start)}
    config = with_values(RunConfig(), values, "test")
    undisturbed = train(config, corpus, tmp_path / "whole", Watch())
    stop_at(config, corpus, tmp_path / "stopped", (2, 1))
    start.unlink()
    if fate == "another":
        save_random(start, "baseline", seed=5)
    resumed = go_on(tmp_path / "stopped", corpus)
    assert differences(kept(undisturbed.folder), kept(tmp_path / "stopped")) == []
    assert resumed.card.data["started_from"] == undisturbed.card.data["started_from"]


def test_a_run_on_the_cpu_ends_on_the_cpu(corpus, monkeypatch, tmp_path):
    """Where there is a better device, too; what lies on this one could not be judged."""
    monkeypatch.setattr(checkpoints, "best_device", lambda: "meta")
    run = train(config_of(epochs=1), corpus, tmp_path / "run", Watch(), hardware=Hardware("cpu"))
    assert 0 < run.card.metrics["validation"]["log_loss"] < 100
