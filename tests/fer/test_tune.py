"""The search: a study on disk that goes on where it stopped, and a recipe that trains."""

import itertools
import signal
import sqlite3
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import yaml

from fer.config import RunConfig
from fer.data import load
from fer.errors import ConfigError, InterruptedRunError
from fer.overrides import read_recipe, recipe_config, recipe_names, with_values
from fer.training.history import Epoch
from fer.training.run import Watch
from fer.training.run import train as train_run
from fer.training.tally import DivergedError
from fer.training.tune import RATES, SPACE, differences, own_values, space, suggest, tune
from tests import fakes

SMALL = ("--epochs", "1", "--set", "batch_size=21", "--set", "precision=fp32")


def test_every_searched_key_exists_and_its_range_is_allowed():
    for key, (low, high, _log) in SPACE.items():
        assert type(attrgetter(key)(RunConfig())) is float
        for value in (low, high):
            with_values(RunConfig(), {key: value}, "test")
    assert set(RATES) == {"sgd", "adam", "adamw"}


def test_a_suggestion_names_the_rate_and_every_key():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    values = suggest(study.ask(), space(RunConfig()))
    assert set(values) == {*SPACE, "optimizer.lr"}
    assert RATES["sgd"][0] <= values["optimizer.lr"] <= RATES["sgd"][1]


def test_what_is_settled_is_not_searched():
    every = space(RunConfig())
    assert every == {**SPACE, "optimizer.lr": (*RATES["sgd"], True)}
    assert set(every) - set(space(RunConfig(), ["dropout", "optimizer.lr", "epochs"])) == {"dropout", "optimizer.lr"}


def test_keys_that_are_set_keep_their_value_in_every_trial(fer, fake_zip, tmp_path):
    study = tmp_path / "study"
    words = ("--trials", 2, "--data", fake_zip, "--study", study, *SMALL)
    fixed = ("--set", "dropout=0", "--set", "lr=0.004", "--set", "augmentation={rotate: 3}")
    assert fer("tune", "baseline", *words, *fixed).code == 0
    configs = [yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")) for path in sorted(study.glob("trial-*"))]
    found = {(config["dropout"], config["optimizer"]["lr"], config["augmentation"]["rotate"]) for config in configs}
    assert found == {(0.0, 0.004, 3.0)} and len({config["augmentation"]["zoom"] for config in configs}) == len(configs) == 2
    best = with_values(RunConfig(), {"model": "baseline", **read_recipe(str(study / "best.yaml"))}, "test")
    assert (best.dropout, best.optimizer.lr, best.augmentation.rotate) == (0.0, 0.004, 3.0)
    outcome = fer("tune", "baseline", *words, *fixed[:-2], "--set", "rotate=3", "--set", "zoom=0.2")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "other settings" in line and "--study" in line


def test_a_search_for_nothing_is_refused(fer, tmp_path):
    fixed = [word for key in (*SPACE, "optimizer.lr") for word in ("--set", f"{key}=0.01")]
    outcome = fer("tune", "baseline", "--data", tmp_path / "nowhere.zip", "--study", tmp_path / "study", *fixed)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "nothing is left to search" in line and not (tmp_path / "study").exists()


def test_a_key_that_is_searched_in_a_study_cannot_be_settled_later(fake_zip, tmp_path):
    """Though the value is the one that the recipe has: the trials so far had others."""
    corpus = load(fake_zip)
    tune(TINY, corpus, tmp_path, 1, unwatched)
    with pytest.raises(ConfigError, match="of other searched settings"):
        tune(TINY, corpus, tmp_path, 2, unwatched, ["dropout"])


def test_a_study_is_of_one_architecture(fer, fake_zip, tmp_path):
    study = tmp_path / "study"
    words = ("--trials", 1, "--data", fake_zip, "--study", study, *SMALL)
    assert fer("tune", "baseline", *words).code == 0
    outcome = fer("tune", "custom_cnn", *words, "--set", "input_size=32")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "other settings" in line and "another --study" in line
    assert optuna.get_all_study_names(f"sqlite:///{study / 'study.db'}") == ["baseline"]


def test_what_a_kill_left_of_the_recipe_is_swept(fake_zip, tmp_path):
    (tmp_path / ".best.yaml.0123abcd").write_bytes(b"half")
    tune(TINY, load(fake_zip), tmp_path, 1, unwatched)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.yaml", "study.db", "trial-000"]


def test_a_search_that_is_stopped_before_it_began_promises_nothing(fer, fake_zip, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fer.training.tune.tune", stopped)
    outcome = fer("tune", "baseline", "--data", fake_zip, "--study", tmp_path / "study", *SMALL)
    assert (outcome.code, outcome.err) == (130, "fer: stopped\n")


def test_differences_are_what_a_recipe_holds():
    changed = with_values(RunConfig(), {"lr": 0.2, "epochs": 7, "teachers": "a,b"}, "test")
    assert differences(changed) == {"epochs": 7, "optimizer": {"lr": 0.2}, "distillation": {"teachers": ["a", "b"]}}
    assert with_values(RunConfig(), differences(changed), "test") == changed


@pytest.mark.parametrize(
    "impossible", [("batch_size=43",), ("input_size=32",), ("labels=ferplus-soft",)], ids=lambda words: words[0]
)
def test_a_search_that_is_refused_leaves_no_study(impossible, fer, fake_zip, tmp_path):
    words = ("tune", "baseline", "--trials", 1, "--data", fake_zip, "--study", tmp_path / "study", *SMALL)
    outcome = fer(*words, *(word for value in impossible for word in ("--set", value)))
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and impossible[0].partition("=")[0] in line and not (tmp_path / "study").exists()
    outcome = fer(*words)
    assert outcome.code == 0 and "best of 1 finished trial (0 ended early)" in outcome.err


def test_a_study_goes_on_and_its_recipe_trains(fer, fake_zip, tmp_path):
    study = tmp_path / "study"
    for trials, folders in ((1, 1), (3, 3), (2, 3)):
        outcome = fer("tune", "baseline", "--trials", trials, "--data", fake_zip, "--study", study, *SMALL)
        assert outcome.code == 0, outcome.err
        assert outcome.out.strip() == str(study / "best.yaml")
        assert len(list(study.glob("trial-*"))) == folders
    stored = optuna.load_study(study_name="baseline", storage=f"sqlite:///{study / 'study.db'}")
    recipe = with_values(RunConfig(), {"model": "baseline", **read_recipe(str(study / "best.yaml"))}, "test")
    assert recipe.optimizer.lr == pytest.approx(stored.best_params["optimizer.lr"])
    drawn = [tuple(trial.params.values()) for trial in stored.trials[1:]]  # the first is the recipe itself
    assert len(drawn) == len(set(drawn)) == 2
    assert f"{100 * stored.best_value:.2f} %" in (study / "best.yaml").read_text(encoding="utf-8")
    trained = fer("train", "baseline", "--recipe", study / "best.yaml", "--data", fake_zip, "--runs", tmp_path / "runs")
    assert trained.code == 0, trained.err
    config = yaml.safe_load((Path(trained.out.strip()) / "config.yaml").read_text(encoding="utf-8"))
    assert config["optimizer"]["lr"] == pytest.approx(stored.best_params["optimizer.lr"])


def test_without_optuna_a_line_says_how_to_get_it(fer, fake_zip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    outcome = fer("tune", "baseline", "--data", fake_zip, "--study", tmp_path / "study", *SMALL)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and "pip install 'ferscope[tune]'" in line


def test_modes_are_compared_from_the_same_weights(fer, fake_zip, checkpoint_file, tmp_path):
    arguments = ["--init", checkpoint_file, "--modes", "feature-extract,finetune", "--data", fake_zip, "--json", *SMALL]
    outcome = fer("compare-modes", "custom_cnn", *arguments, "--set", "input_size=32", "--runs", tmp_path)
    assert outcome.code == 0, outcome.err
    rows = yaml.safe_load(outcome.out)
    assert [row["mode"] for row in rows] == ["feature-extract", "finetune"]
    assert all(row["n"] == 21 and (Path(row["run"]) / "best.pth").exists() for row in rows)


@pytest.mark.parametrize(("stopped", "left"), [(0, "; not begun: finetune, scratch"), (2, "")])
def test_a_stopped_comparison_names_the_modes_left(stopped, left, fer, fake_zip, checkpoint_file, tmp_path, monkeypatch):
    numbers = itertools.count()

    def train(*args, **kwargs):
        if next(numbers) == stopped:
            raise InterruptedRunError("SIGINT: saved; continue with: fer train --resume here", 130)
        return train_run(*args, **kwargs)

    monkeypatch.setattr("fer.training.run.train", train)
    arguments = ["--init", checkpoint_file, "--modes", "feature-extract,finetune,scratch", "--data", fake_zip, *SMALL]
    outcome = fer("compare-modes", "custom_cnn", *arguments, "--set", "input_size=32", "--runs", tmp_path)
    assert outcome.code == 130 and outcome.err.splitlines()[-1].endswith(f"fer train --resume here{left}")


@pytest.mark.parametrize("modes", ["scratch", " scratch , scratch"])
def test_starting_weights_that_no_mode_takes_are_refused(modes, fer, checkpoint_file, tmp_path):
    outcome = fer("compare-modes", "custom_cnn", "--modes", modes, "--init", checkpoint_file, "--data", "nowhere")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "not from those of --init; use --mode finetune" in line


# studies that are stopped, spoilt or asked again

TINY = RunConfig(model="baseline", epochs=2, batch_size=21, precision="fp32", small_epochs=0)


@contextmanager
def unwatched(config, corpus, folder):
    yield Watch()


def states_of(folder):
    stored = optuna.load_study(study_name="baseline", storage=f"sqlite:///{folder / 'study.db'}")
    return [trial.state.name for trial in stored.get_trials()]


@pytest.mark.parametrize("name", recipe_names())
def test_the_ranges_hold_every_recipe(name):
    config = recipe_config(name)
    ranges = space(config)
    for key, value in own_values(config, ranges).items():
        low, high, is_log = ranges[key]
        assert low <= value <= high and (low > 0 or not is_log)
        assert value == attrgetter(key)(config) or (attrgetter(key)(config) == 0 and is_log)


def test_the_first_trial_is_the_recipe_itself(fake_zip, tmp_path):
    config = replace(TINY, dropout=0.65, optimizer=replace(TINY.optimizer, name="adamw", lr=5e-5, weight_decay=0.05))
    tune(config, load(fake_zip), tmp_path, 2, unwatched)
    first, second = (yaml.safe_load((path / "config.yaml").read_text()) for path in sorted(tmp_path.glob("trial-*")))
    assert first == config.to_dict() != second


def test_a_trial_that_was_stopped_once_and_then_ended_early_is_not_tried_again(fake_zip, tmp_path, monkeypatch):
    corpus = load(fake_zip)
    with pytest.raises(InterruptedRunError):
        tune(TINY, corpus, tmp_path, 2, partial(after_steps, 3))
    monkeypatch.setattr("fer.training.tune.train", told([[None], [0.5, 0.6]]))  # diverges, the next one is well
    assert tune(TINY, corpus, tmp_path, 2, unwatched).pruned == 1
    monkeypatch.setattr("fer.training.tune.train", told([[0.5, 0.7]]))
    assert tune(TINY, corpus, tmp_path, 3, unwatched).pruned == 1
    assert states_of(tmp_path) == ["FAIL", "PRUNED", "COMPLETE", "COMPLETE"]


def test_a_stopped_trial_goes_on_where_it_stood(fake_zip, tmp_path):
    seen = []

    @contextmanager
    def stopping(config, corpus, folder):
        def on_step(epoch, step, steps):
            seen.append((folder.name, epoch, step))
            if len(seen) == 3:
                signal.raise_signal(signal.SIGINT)

        yield Watch(on_step=on_step)

    corpus = load(fake_zip)
    with pytest.raises(InterruptedRunError):
        tune(TINY, corpus, tmp_path, 2, stopping)
    assert states_of(tmp_path) == ["FAIL"] and (tmp_path / "trial-000" / "last.pth").exists()
    best = tune(TINY, corpus, tmp_path, 2, stopping)
    assert (best.finished, best.pruned) == (2, 0)
    first = [place for place in seen if place[0] == "trial-000"]
    assert len(first) == len(set(first)) == 4  # two epochs of two steps, none of them twice
    assert sorted(path.name for path in tmp_path.glob("trial-*")) == ["trial-000", "trial-002"]


def test_a_trial_that_was_killed_goes_on_too(fake_zip, tmp_path):
    corpus = load(fake_zip)
    with pytest.raises(InterruptedRunError):
        tune(TINY, corpus, tmp_path, 1, partial(after_steps, 3))
    with sqlite3.connect(tmp_path / "study.db") as database:  # what kill -9 leaves
        database.execute("UPDATE trials SET state = 'RUNNING'")
    assert tune(TINY, corpus, tmp_path, 1, unwatched).finished == 1
    assert [path.name for path in tmp_path.glob("trial-*")] == ["trial-000"]


def test_a_recipe_that_was_stopped_before_its_first_step_is_tried_all_the_same(fake_zip, tmp_path):
    """As while its teachers are asked, for minutes; later trials are of other values."""

    @contextmanager
    def stopped(config, corpus, folder):
        raise KeyboardInterrupt
        yield

    corpus = load(fake_zip)
    with pytest.raises((KeyboardInterrupt, InterruptedRunError)):
        tune(TINY, corpus, tmp_path, 1, stopped)
    assert states_of(tmp_path) == ["FAIL"] and not (tmp_path / "trial-000" / "last.pth").exists()
    assert tune(TINY, corpus, tmp_path, 1, unwatched).finished == 1
    tried = with_values(RunConfig(), yaml.safe_load((tmp_path / "trial-000" / "config.yaml").read_text()), "test")
    assert tried == TINY and states_of(tmp_path) == ["FAIL", "COMPLETE"]


@contextmanager
def after_steps(count, config, corpus, folder):
    steps = itertools.count(1)
    yield Watch(on_step=lambda *_: next(steps) == count and signal.raise_signal(signal.SIGINT))


def test_a_stopped_search_says_how_it_goes_on(fer, fake_zip, tmp_path, monkeypatch):
    monkeypatch.setattr("fer.cli.live.watched", partial(after_steps, 1))
    outcome = fer("tune", "baseline", "--data", fake_zip, "--study", tmp_path / "study", *SMALL)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 130 and "the same command" in line and str(tmp_path / "study") in line


def told(accuracies):
    """In place of training: these accuracies, an epoch each."""

    def train(config, corpus, folder, watch, **_):
        for number, accuracy in enumerate(accuracies.pop(0), 1):
            if accuracy is None:
                raise DivergedError("the loss is not finite")
            watch.on_epoch(Epoch(number, 0.1, 1.0, 0.5, 1.0, accuracy, 1.0), True)
        return SimpleNamespace(card=SimpleNamespace(validation_accuracy=accuracy))

    return train


def test_trials_that_lag_or_diverge_are_ended_and_counted(fake_zip, tmp_path, monkeypatch):
    usual = [[0.3, 0.4, 0.5, 0.6]] * 4
    trials = [*usual, [0.3, 0.4, 0.2, "never asked"], [None], [0.3, 0.4, 0.6, 0.7]]
    monkeypatch.setattr("fer.training.tune.train", told(list(trials)))
    best = tune(replace(TINY, epochs=4), load(fake_zip), tmp_path, len(trials), unwatched)
    assert (best.finished, best.pruned, best.accuracy) == (5, 2, 0.7)
    assert states_of(tmp_path) == [*["COMPLETE"] * 4, "PRUNED", "PRUNED", "COMPLETE"]


@pytest.mark.parametrize("other", ["data", "settings"])
def test_a_study_is_of_one_data_set_and_one_set_of_settings(other, fer, fake_zip, tmp_path):
    study = tmp_path / "study"
    assert fer("tune", "baseline", "--trials", 1, "--data", fake_zip, "--study", study, *SMALL).code == 0
    data = fakes.write_folder(tmp_path / "other", train=6) if other == "data" else fake_zip
    more = ("--set", "optimizer.momentum=.8") if other == "settings" else ()
    outcome = fer("tune", "baseline", "--trials", 2, "--data", data, "--study", study, *SMALL, *more)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and f"other {other}" in line and "--study" in line
    assert len(list(study.glob("trial-*"))) == 1


@pytest.mark.parametrize("kind", ["no database", "folder"])
def test_a_damaged_study_is_an_expected_error(kind, fer, fake_zip, tmp_path):
    path = tmp_path / "study" / "study.db"
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"no database" * 1000)
    outcome = fer("tune", "baseline", "--data", fake_zip, "--study", path.parent, *SMALL)
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and f"{path} is no study" in line
