"""Damaged, foreign and finished runs: the state before is used, or one line says why nothing is."""

import json
import os
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError, InterruptedRunError
from fer.overrides import with_values
from fer.training import store
from fer.training.run import Continuation, Watch, train
from tests import fakes
from tests.conftest import save_random
from tests.long_runs.runs import Killed, config_of, contents, differences, go_on, kept, killed_before_rename, one_line, stop_at

# damaged files


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 20, len(data), len(data) // 10):
        data[place] ^= 0xFF
    path.write_bytes(data)


def flip_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def clear(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [flip, flip_in_the_middle, cut, clear, Path.unlink]


def is_good(path: Path, scratch: Path) -> bool:
    """True where a run could go on from this state alone."""
    scratch.mkdir(exist_ok=True)
    shutil.copy(path, scratch / "last.pth")
    try:
        return store.read_last(scratch)[-1] == ""
    except CheckpointError:
        return False


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_replaced_by_the_one_before_it_with_a_message(expected, corpus, stopped, damage):
    damage(stopped / "last.pth")
    notes = []
    go_on(stopped, corpus, Watch(on_note=notes.append))
    (note,) = notes
    assert f"{stopped / 'last.pth'}" in note and f"{stopped / 'previous.pth'}" in note
    assert differences(expected, kept(stopped)) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_never_takes_the_place_of_the_good_one(corpus, stopped, tmp_path, damage):
    damage(stopped / "last.pth")
    good = []

    def on_epoch(*_: Any) -> None:
        good.append([is_good(stopped / name, tmp_path / "scratch") for name in ("last.pth", "previous.pth")])

    go_on(stopped, corpus, Watch(on_epoch=on_epoch))
    assert good == [[True, True]] * 2


def test_a_run_killed_while_it_replaces_a_damaged_state_is_not_lost(expected, corpus, stopped):
    flip(stopped / "last.pth")
    for number in range(1, 6):
        with pytest.raises(Killed), killed_before_rename(number):
            go_on(stopped, corpus)
    go_on(stopped, corpus)
    assert differences(expected, kept(stopped)) == []


def test_a_single_wrong_bit_anywhere_is_noticed_or_harmless(stopped):
    _, state, average, _ = store.read_last(stopped)
    data, last, choice = (stopped / "last.pth").read_bytes(), stopped / "last.pth", random.Random(0)
    # the start and end hold names and shapes, the rest tensors
    places = [choice.randrange(len(data)) for _ in range(12)] + [choice.randrange(3000) for _ in range(12)]
    places += [len(data) - 1 - choice.randrange(3000) for _ in range(12)]
    for place in places:
        last.write_bytes(data[:place] + bytes([data[place] ^ 1 << choice.randrange(8)]) + data[place + 1 :])
        _, found, weights, note = store.read_last(stopped)
        assert note or differences([state, dict(average)], [found, dict(weights)]) == [], place


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_whose_states_are_both_damaged_is_refused_in_one_line(fer, fake_zip, stopped, damage):
    for name in ("last.pth", "previous.pth"):
        damage(stopped / name)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


# runs that cannot be resumed


def test_a_finished_run_is_not_resumed(fer, fake_zip, whole):
    before = contents(whole)
    one_line(fer("train", "--resume", whole, "--data", fake_zip), whole, "finished", "--config")
    assert contents(whole) == before


@pytest.mark.parametrize(
    "other",
    [
        {"model": "custom_cnn", "input_size": 32},
        {"classes": ("angry", "happy", "sad"), "batch_size": 6},
        {"optimizer": "adamw"},
        {"optimizer": "adamw", "momentum": 0.5, "epochs": 1},
        {"seed": 99},
    ],
    ids=["architecture", "classes", "optimizer", "finished", "seed"],
)
def test_the_state_of_another_run_is_refused_in_one_line(fer, fake_zip, corpus, stopped, tmp_path, other):
    foreign = tmp_path / "foreign"
    if "epochs" in other:
        train(config_of(**other), corpus, foreign, Watch())
    else:
        stop_at(config_of(**other), corpus, foreign, (1, 2))
    for name in ("last.pth", "previous.pth"):
        shutil.copy(foreign / "last.pth", stopped / name)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


@pytest.mark.parametrize("damage", [*DAMAGES, Path.unlink])
def test_a_lost_best_epoch_is_noticed_before_the_run_goes_on(fer, fake_zip, corpus, stopped, damage):
    damage(stopped / "best.pth")
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped / "best.pth", "last.pth in its place")
    assert contents(stopped) == before
    shutil.copy(stopped / "last.pth", stopped / "best.pth")
    go_on(stopped, corpus)
    assert (stopped / "metrics.json").exists()


def test_a_folder_in_the_place_of_a_state_is_told_as_what_it_is(fer, fake_zip, stopped):
    (stopped / "previous.pth").unlink(missing_ok=True)
    (stopped / "previous.pth").mkdir()
    outcome = fer("train", "--resume", stopped, "--data", fake_zip)
    assert outcome.code == 2 and "previous.pth" in outcome.err.splitlines()[-1] and "curves" not in outcome.err


def test_weights_alone_are_no_state(fer, fake_zip, stopped):
    for name in ("last.pth", "previous.pth"):
        shutil.copy(stopped / "best.pth", stopped / name)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), "holds no training state")


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe\x00", b"- 1\n- 2\n", b"epochs: [", b"when: 2026-99-99\n", b"lr: much\n", b"3"]
)
def test_a_run_with_a_damaged_configuration_is_refused_in_one_line(fer, fake_zip, stopped, text):
    (stopped / "config.yaml").write_bytes(text)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", fake_zip), stopped)
    assert contents(stopped) == before


def test_a_place_without_a_run_is_refused_in_one_line(fer, fake_zip, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        one_line(fer("train", "--resume", place, "--data", fake_zip), place)


def test_weights_that_are_counted_may_change_with_the_data(corpus, fer, tmp_path):
    folder = stop_at(config_of(class_weights="balanced"), corpus, tmp_path / "run", (3, 2))
    data = fakes.write_folder(tmp_path / "other", train=7, validation=3)
    next((data / "train" / "fear").iterdir()).unlink()
    outcome = fer("train", "--resume", folder, "--data", data, "--changed-data")
    assert outcome.code == 0, outcome.err
    weights = dict(zip(EMOTIONS, checkpoints.load(folder / "best.pth").card.class_weights, strict=True))
    assert weights.pop("fear") == round(48 / 7 / 6, 6) and set(weights.values()) == {round(48 / 7 / 7, 6)}


def test_changed_data_are_refused_unless_told(fer, stopped, tmp_path):
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", data), "--changed-data")
    assert contents(stopped) == before
    outcome = fer("train", "--resume", stopped, "--data", data, "--changed-data")
    assert outcome.code == 0 and outcome.out.strip() == str(stopped)
    card = checkpoints.load(stopped / "best.pth").card
    assert card.data["splits"]["train"]["n"] == 49


def perfect_so_far(folder: Path) -> None:
    """Have the epochs up to now judged better than any to come."""
    card, state, average, _ = store.read_last(folder)
    for row in state["history"]:
        row.update(validation_accuracy=1.0, validation_loss=0.0)
    state["plateau"]["best"] = 0.0
    checkpoints.save(folder / "last.pth", average, card, training=store.packed(state))


@pytest.mark.parametrize(
    "more", [{}, {"early_stopping": 2}, {"monitor": "loss", "schedule": "plateau", "schedule.patience": 0}], ids=str
)
def test_after_a_change_of_the_data_the_best_epoch_is_one_that_was_judged_on_them(more, corpus, fer, tmp_path):
    folder = stop_at(config_of(**more), corpus, tmp_path / "run", (3, 2))
    perfect_so_far(folder)
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=4)
    outcome = fer("train", "--resume", folder, "--data", data, "--changed-data")
    assert outcome.code == 0 and "the best epoch is one after epoch 2" in outcome.err
    card, faces = checkpoints.load(folder / "best.pth").card, load(data)
    assert card.best_epoch in (3, 4) and card.data["changed_after_epoch"] == 2
    assert card.data["fingerprint"] == faces.fingerprint
    splits = {name: {"n": n, "fingerprint": faces.split(name).fingerprint} for name, n in (("train", 49), ("validation", 28))}
    assert card.data["splits"] == splits
    assert card.metrics["validation"]["n"] == 28
    lines = (folder / "history.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [float(line.split(",")[5]) for line in lines[:2]] == [1.0, 1.0] and len(lines) == 4
    figures = [float(line.split(",")[4 if "monitor" in more else 5]) for line in lines[2:]]
    assert figures[card.best_epoch - 3] == (min if "monitor" in more else max)(figures)
    if "schedule" in more:  # the first loss on other faces is no loss of ground
        assert float(lines[2].split(",")[1]) == float(lines[3].split(",")[1])


def test_a_run_stopped_again_after_a_change_of_the_data_remembers_it(corpus, fer, stopped, tmp_path):
    perfect_so_far(stopped)
    other = load(fakes.write_zip(tmp_path / "other.zip", train=7, validation=3))
    config, going_on = store.read_config(stopped), Continuation(resume=True, changed_data=True)
    whole = Path(shutil.copytree(stopped, tmp_path / "whole"))
    train(config, other, whole, Watch(), continuation=going_on)
    for at in ((3, 3), (4, 1)):

        def stop(epoch: int, step: int, _: int, at: tuple[int, int] = at) -> None:
            if (epoch, step) == at:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(InterruptedRunError):
            train(config, other, stopped, Watch(stop), continuation=going_on)
        going_on = Continuation(resume=True)
    go_on(stopped, other)
    assert differences(kept(whole), kept(stopped)) == []
    assert checkpoints.load(stopped / "best.pth").card.best_epoch in (3, 4)


def test_a_run_without_an_epoch_left_is_not_finished_on_other_data(corpus, fer, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        train(config_of(), corpus, folder, Watch(on_evaluate=lambda *_: os.kill(os.getpid(), signal.SIGTERM)))
    before = contents(folder)
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3)
    one_line(
        fer("train", "--resume", folder, "--data", data, "--changed-data"), folder, "no epoch left of 4", "start a new run"
    )
    assert contents(folder) == before


def test_teachers_or_weights_behind_the_same_names_that_changed_are_refused(corpus, fer, fake_zip, tmp_path):
    teachers = [str(save_random(tmp_path / "teacher.pth", seed=1))]
    config = with_values(config_of(), {"distillation.teachers": teachers}, "test")
    folder = stop_at(config, corpus, tmp_path / "run", (2, 1))
    kept_teacher = (tmp_path / "teacher.pth").read_bytes()
    save_random(tmp_path / "teacher.pth", seed=2)
    one_line(fer("train", "--resume", folder, "--data", fake_zip), "its teachers have changed", "put back the old")
    (tmp_path / "teacher.pth").write_bytes(kept_teacher)
    surer = checkpoints.load(tmp_path / "teacher.pth")
    checkpoints.save(tmp_path / "teacher.pth", surer.model.state_dict(), replace(surer.card, temperature=2.0))
    one_line(fer("train", "--resume", folder, "--data", fake_zip), "its teachers have changed", "put back the old")
    (tmp_path / "teacher.pth").write_bytes(kept_teacher)
    assert fer("train", "--resume", folder, "--data", fake_zip).code == 0


def test_class_weights_behind_the_same_name_that_changed_are_refused(corpus, fer, fake_zip, tmp_path):
    weights = tmp_path / "weights.json"
    weights.write_text(json.dumps(dict.fromkeys(EMOTIONS, 1.0) | {"fear": 2.0}))
    folder = stop_at(with_values(config_of(), {"class_weights": str(weights)}, "test"), corpus, tmp_path / "run", (2, 1))
    weights.write_text(json.dumps(dict.fromkeys(EMOTIONS, 1.0) | {"fear": 3.0}))
    one_line(fer("train", "--resume", folder, "--data", fake_zip), "the class weights have changed")
