"""Damaged, foreign and finished runs: the state before is used, or one line says why nothing is."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from fer import checkpoint as checkpoints
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError
from fer.overrides import with_values
from fer.training import store
from fer.training.run import Watch, train
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


def test_changed_data_are_refused_unless_told(fer, stopped, tmp_path):
    data = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3)
    before = contents(stopped)
    one_line(fer("train", "--resume", stopped, "--data", data), "--changed-data")
    assert contents(stopped) == before
    outcome = fer("train", "--resume", stopped, "--data", data, "--changed-data")
    assert outcome.code == 0 and outcome.out.strip() == str(stopped)
    card = checkpoints.load(stopped / "best.pth").card
    assert card.data["splits"]["train"]["n"] == 49


def test_teachers_or_weights_behind_the_same_names_that_changed_are_refused(corpus, fer, fake_zip, tmp_path):
    teachers = [str(save_random(tmp_path / "teacher.pth", seed=1))]
    config = with_values(config_of(), {"distillation.teachers": teachers}, "test")
    folder = stop_at(config, corpus, tmp_path / "run", (2, 1))
    kept_teacher = (tmp_path / "teacher.pth").read_bytes()
    save_random(tmp_path / "teacher.pth", seed=2)
    one_line(fer("train", "--resume", folder, "--data", fake_zip), "its teachers have changed", "put back the old")
    (tmp_path / "teacher.pth").write_bytes(kept_teacher)
    assert fer("train", "--resume", folder, "--data", fake_zip).code == 0


def test_class_weights_behind_the_same_name_that_changed_are_refused(corpus, fer, fake_zip, tmp_path):
    weights = tmp_path / "weights.json"
    weights.write_text(json.dumps(dict.fromkeys(EMOTIONS, 1.0) | {"fear": 2.0}))
    folder = stop_at(with_values(config_of(), {"class_weights": str(weights)}, "test"), corpus, tmp_path / "run", (2, 1))
    weights.write_text(json.dumps(dict.fromkeys(EMOTIONS, 1.0) | {"fear": 3.0}))
    one_line(fer("train", "--resume", folder, "--data", fake_zip), "the class weights have changed")
