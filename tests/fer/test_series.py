"""Several runs of one configuration: folds and seeds from the command line, their figures computed anew."""

import json
import shlex
import shutil
import statistics
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
import yaml

from fer import checkpoint as checkpoints
from fer.card import Card
from fer.cli import console, main
from fer.config import RunConfig
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import InterruptedRunError
from fer.overrides import with_values
from fer.training.run import Watch, train
from fer.training.series import FIGURES, Series, Spread, cross_validate
from fer.types import PredictionTable
from tests import fakes

FAST = ["--epochs", 1, "--set", "batch_size=14", "--set", "precision=fp32", "--set", "ema=0"]
SMALL = with_values(RunConfig(), {"model": "baseline", "epochs": 1, "batch_size": 28, "precision": "fp32"}, "test")


def run_series(data: Path, runs: Path, *arguments: object) -> tuple[Path, str]:
    """Train the baseline; the folder of the series and what was said."""
    out, err = StringIO(), StringIO()
    console.messages.cache_clear()  # a console keeps the stream it was made with
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in ("train", "baseline", "--data", data, "--runs", runs, *FAST, *arguments)])
    console.messages.cache_clear()
    assert code == 0, err.getvalue()
    return Path(out.getvalue().strip()), err.getvalue()


@pytest.fixture(scope="module")
def folds(fake_zip, tmp_path_factory) -> tuple[Path, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return run_series(fake_zip, tmp_path_factory.mktemp("runs"), "--folds", 3, "--seed", 4)


@pytest.fixture(scope="module")
def seeds(fake_zip, tmp_path_factory) -> tuple[Path, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return run_series(fake_zip, tmp_path_factory.mktemp("runs"), "--seeds", 2, "--seed", 7)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def check_summary(folder: Path, said: str, names: Sequence[str], more: Sequence[str] = ()) -> None:
    """The summary against the runs' own figures."""
    summary = read(folder / "summary.json")
    assert summary["names"] == list(names)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, *more, "config.yaml", "summary.json"])
    assert list(summary["figures"]) == list(FIGURES) == ["accuracy", "macro_f1", "log_loss", "ece"]
    for figure, spread in summary["figures"].items():
        values = [read(folder / name / "metrics.json")[figure] for name in names]
        assert spread["values"] == values
        assert spread["mean"] == pytest.approx(sum(values) / len(values), rel=1e-12)
        assert spread["sd"] == pytest.approx(statistics.stdev(values), rel=1e-12)
        assert f"{figure}: {sum(values) / len(values):.4f} ± {statistics.stdev(values):.4f} over {len(values)} runs" in said


# folds


def test_the_summary_of_folds_is_the_mean_and_deviation_of_their_figures(folds):
    check_summary(*folds, ["fold-1", "fold-2", "fold-3"], ["out-of-fold.json", "out-of-fold.npz"])


def test_folds_judge_every_training_face_once_and_no_other(folds, fake_zip):
    faces = load(fake_zip).split("train")
    tables = [PredictionTable.load(folds[0] / f"fold-{number}" / "validation.npz") for number in (1, 2, 3)]
    judged = [name for table in tables for name in table.names]
    assert len(set(judged)) == len(judged) == 42 and set(judged) == set(faces.names)
    labels = dict(zip(faces.names, faces.labels.tolist(), strict=True))
    for table in tables:
        assert table.labels.tolist() == [labels[name] for name in table.names]
        assert sorted(table.labels.tolist()) == sorted([*range(7)] * 2)


def test_a_fold_is_trained_on_all_the_others(folds, fake_zip):
    faces = load(fake_zip).split("train")
    for number in (1, 2, 3):
        card = checkpoints.load(folds[0] / f"fold-{number}" / "best.pth").card
        judged = PredictionTable.load(folds[0] / f"fold-{number}" / "validation.npz").names
        rest = torch.tensor([name not in judged for name in faces.names])
        assert card.data["splits"]["train"] == {"n": 28, "fingerprint": faces.select(rest).fingerprint}
        assert card.data["splits"]["validation"]["fingerprint"] == faces.select(~rest).fingerprint
        assert card.seed == 4


def test_the_seed_decides_the_folds(folds, fake_zip, tmp_path):
    def parts(folder: Path) -> list[list[str]]:
        return [read(folder / f"fold-{number}" / "validation.json")["names"] for number in (1, 2, 3)]

    for seed in (4, 5):
        cross_validate(replace(SMALL, seed=seed), load(fake_zip), tmp_path / str(seed), 3, lambda *_: nullcontext(Watch()))
    assert parts(tmp_path / "4") == parts(folds[0]) != parts(tmp_path / "5")


def test_folds_of_some_classes_leave_the_others_out(fake_zip, tmp_path):
    folder, _ = run_series(fake_zip, tmp_path, "--folds", 2, "--classes", "sad,happy", "--set", "batch_size=6")
    for number in (1, 2):
        table = PredictionTable.load(folder / f"fold-{number}" / "validation.npz")
        assert table.classes == ("happy", "sad") and sorted(table.labels.tolist()) == [0] * 3 + [1] * 3


@pytest.mark.parametrize("kind", ["challenge csv", "folder"])
def test_folds_take_labels_by_votes(kind, fake_csv, fake_folder, tmp_path):
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    place = dict(zip(("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"), range(7), strict=True))
    rows = []
    for image in fakes.fake_set(train=6, validation=3, test=2):
        votes = ["10" if place[EMOTIONS[(EMOTIONS.index(image.label) + 1) % 7]] == i else "0" for i in range(10)]
        rows.append(",".join([fakes.PREFIXES[image.split], image.path if kind == "folder" else "", *votes]))
    header = f"usage,{'file' if kind == 'folder' else 'Image name'},{columns}"
    (tmp_path / "votes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    data = fake_folder if kind == "folder" else fake_csv
    options = ["--folds", 2, "--labels", "ferplus-soft", "--votes", tmp_path / "votes.csv"]
    folder, said = run_series(data, tmp_path / "runs", *options)
    assert "labels ferplus-soft" in said
    faces = load(data).split("train")
    labels = dict(zip(faces.names, faces.labels.tolist(), strict=True))
    tables = [PredictionTable.load(folder / f"fold-{number}" / "validation.npz") for number in (1, 2)]
    found = {name: label for table in tables for name, label in zip(table.names, table.labels.tolist(), strict=True)}
    assert found == {name: (label + 1) % 7 for name, label in labels.items()}
    card: Card = checkpoints.load(folder / "fold-1" / "best.pth").card
    assert card.config["labels"] == "ferplus-soft" and "ferplus-soft" in card.data["labels"]


# seeds


def test_the_summary_of_seeds_is_the_mean_and_deviation_of_their_figures(seeds):
    check_summary(*seeds, ["seed-7", "seed-8"])


def test_seeds_differ_in_nothing_but_the_seed(seeds):
    configs = [yaml.safe_load((seeds[0] / name / "config.yaml").read_text(encoding="utf-8")) for name in ("seed-7", "seed-8")]
    assert [config.pop("seed") for config in configs] == [7, 8]
    assert configs[0] == configs[1]
    cards = [checkpoints.load(seeds[0] / name / "best.pth").card for name in ("seed-7", "seed-8")]
    assert cards[0].data == cards[1].data and cards[0].weights_sha256 != cards[1].weights_sha256


def test_a_run_of_a_series_is_the_run_of_its_seed_alone(seeds, fake_zip, tmp_path):
    folder, _ = run_series(fake_zip, tmp_path, "--seed", 8)
    alone, member = (checkpoints.load(path / "best.pth").card for path in (folder, seeds[0] / "seed-8"))
    assert alone.weights_sha256 == member.weights_sha256


@pytest.mark.parametrize("values", [(0.5, 0.7), (0.1, 0.1, 0.1), (0.2, 0.4, 0.9, 0.3)])
def test_a_spread_by_hand(values):
    spread = Spread.of(values)
    mean = sum(values) / len(values)
    sd = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    assert (spread.mean, spread.sd) == pytest.approx((mean, sd)) and spread.values == values
    shown = ", ".join(f"{value:.4f}" for value in values)
    assert Series(("a",), {"ece": spread}).lines() == [f"ece: {mean:.4f} ± {sd:.4f} over {len(values)} runs ({shown})"]


# what is refused

REFUSED = {
    "one fold": (["--folds", 1], ["1 folds", "choose 2..6"]),
    "negative folds": (["--folds", -3], ["choose 2..6"]),
    "too many folds": (["--folds", 99], ["99 folds", "6 different photos", "choose 2..6"]),
    "one seed": (["--seeds", 1], ["seeds=1", "two or more"]),
    "negative seeds": (["--seeds", -2], ["seeds=-2", "two or more"]),
    "seeds beyond the last one": (["--seeds", 2, "--seed", 2**31 - 1], ["seed=2147483648"]),
    "folds and seeds": (["--folds", 2, "--seeds", 2], ["--folds", "--seeds"]),
    "no whole number": (["--folds", "many"], ["--folds", "integer"]),
    "batch larger than a fold": (["--folds", 2, "--set", "batch_size=42"], ["batch_size=42", "21"]),
    "batch larger than the set": (["--seeds", 2, "--set", "batch_size=43"], ["batch_size=43", "42"]),
    "weights that do not fit": (["--seeds", 2, "--mode", "finetune", "--init", "WEIGHTS"], ["random.pth"]),
    "unknown teacher": (["--folds", 2, "--teacher", "nobody.pth"], ["nobody.pth"]),
    "teachers of folds": (["--folds", 2, "--teacher", "WEIGHTS"], ["random.pth", "what folds hold out", "teachers=[]"]),
    "start of folds": (["--folds", 2, "--mode", "finetune", "--init", "WEIGHTS"], ["random.pth", "what folds hold out"]),
    "no votes": (["--folds", 2, "--labels", "ferplus-soft"], ["--votes"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_impossible_series_is_refused_in_one_line_and_leaves_nothing(kind, fer, fake_zip, checkpoint_file, tmp_path):
    arguments, words = REFUSED[kind]
    arguments = [checkpoint_file if word == "WEIGHTS" else word for word in arguments]
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", *FAST, *arguments)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == []
    assert not (tmp_path / "runs").exists()


# going on with a stopped series


def test_a_stopped_series_goes_on_with_the_runs_that_are_not_finished(fer, seeds, fake_zip, tmp_path):
    """As after Ctrl-C in the second run: its state is there, its figures are not."""
    folder = Path(shutil.copytree(seeds[0], tmp_path / "series"))
    for name in ("summary.json", "seed-8/metrics.json"):
        (folder / name).unlink()
    finished = {path.name: path.read_bytes() for path in (folder / "seed-7").iterdir()}
    outcome = fer("train", "--resume", folder, "--data", fake_zip, "--seeds", 2)
    assert outcome.code == 0 and outcome.out.strip() == str(folder)
    assert {path.name: path.read_bytes() for path in (folder / "seed-7").iterdir()} == finished
    assert read(folder / "summary.json") == read(seeds[0] / "summary.json")


def one_line(outcome, *words):
    (line,) = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert [word for word in words if str(word) not in line] == [], line


def test_a_run_that_is_left_with_its_previous_state_alone_goes_on(fer, seeds, fake_zip, tmp_path):
    """As after a kill between the two renames of saving."""
    folder = Path(shutil.copytree(seeds[0], tmp_path / "series"))
    run = folder / "seed-8"
    for path in (folder / "summary.json", run / "metrics.json"):
        path.unlink()
    (run / "last.pth").replace(run / "previous.pth")
    outcome = fer("train", "--resume", folder, "--data", fake_zip, "--seeds", 2)
    assert outcome.code == 0, outcome.err
    assert "faces/s" not in outcome.err  # its one epoch is not trained again
    assert read(folder / "summary.json") == read(seeds[0] / "summary.json")


def test_finished_runs_of_other_data_are_not_averaged_in(fer, seeds, tmp_path):
    folder = Path(shutil.copytree(seeds[0], tmp_path / "series"))
    other = fakes.write_zip(tmp_path / "other.zip", train=7, validation=3)
    one_line(fer("train", "--resume", folder, "--data", other, "--seeds", 3), folder / "seed-7", "other data", "--data")
    assert not (folder / "seed-9").exists()


@pytest.mark.parametrize("asked, kind", [("--seeds", "folds"), ("--folds", "seeds")])
def test_a_series_goes_on_as_what_it_is(asked, kind, fer, folds, seeds, fake_zip, tmp_path):
    folder = Path(shutil.copytree({"folds": folds, "seeds": seeds}[kind][0], tmp_path / "series"))
    before = sorted(folder.rglob("*"))
    for more in ((asked, 2), ()):
        one_line(fer("train", "--resume", folder, "--data", fake_zip, *more), folder, f"over {kind}", f"--{kind}")
    assert sorted(folder.rglob("*")) == before


def test_a_fold_alone_is_not_resumed(fer, folds, fake_zip, tmp_path):
    """It was trained on a part of the data that only its series knows."""
    folder = Path(shutil.copytree(folds[0], tmp_path / "series"))
    (folder / "fold-2" / "metrics.json").unlink()
    before = sorted(folder.rglob("*"))
    for more in ((), ("--changed-data",)):
        one_line(
            fer("train", "--resume", folder / "fold-2", "--data", fake_zip, *more), "fold-2 is a fold of", folder, "--folds"
        )
    assert sorted(folder.rglob("*")) == before


def test_figures_that_are_none_are_noticed(fer, seeds, fake_zip, tmp_path):
    folder = Path(shutil.copytree(seeds[0], tmp_path / "series"))
    (folder / "seed-7" / "metrics.json").write_text("{}", encoding="utf-8")
    one_line(fer("train", "--resume", folder, "--data", fake_zip, "--seeds", 2), folder / "seed-7", "remove it")


def test_half_written_files_of_a_series_are_swept(fer, seeds, fake_zip, tmp_path):
    folder = Path(shutil.copytree(seeds[0], tmp_path / "series"))
    half = [folder / ".summary.json.abc", folder / ".out-of-fold.npz.xyz"]
    for path in half:
        path.write_bytes(b"half")
    assert fer("train", "--resume", folder, "--data", fake_zip, "--seeds", 2).code == 0
    assert [path for path in half if path.exists()] == []


@pytest.mark.parametrize("error", [InterruptedRunError("saved", 143), KeyboardInterrupt()], ids=["in a run", "between two"])
def test_a_stopped_series_says_the_whole_command(error, fer, fake_zip, tmp_path, monkeypatch):
    def stopped(config, corpus, folder, *_, **__):
        """A run that had begun."""
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("", encoding="utf-8")
        raise error

    monkeypatch.setattr("fer.training.series.train", stopped)
    runs = tmp_path / "my runs"
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", runs, *FAST, "--seeds", 2, "--accelerator", "cpu")
    line = outcome.err.splitlines()[-1]
    words = shlex.split(line.partition("with: ")[2])
    assert outcome.code == getattr(error, "code", 130)
    assert words[:3] == ["fer", "train", "--resume"] and Path(words[3]).parent == runs
    assert words[4:] == ["--seeds", "2", "--data", str(fake_zip), "--accelerator", "cpu"]


def test_a_series_that_is_stopped_before_its_first_run_promises_nothing(fer, fake_zip, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fer.training.series.train", stopped)
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", *FAST, "--seeds", 2)
    assert (outcome.code, outcome.err) == (130, "fer: stopped\n")


def test_a_single_run_is_not_continued_as_a_series(fer, fake_zip, tmp_path):
    run = train(SMALL, load(fake_zip), tmp_path / "run", Watch()).folder
    (run / "metrics.json").unlink()  # as in a run that was stopped
    before = sorted(path.name for path in run.iterdir())
    outcome = fer("train", "--resume", run, "--data", fake_zip, "--seeds", 2)
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1 and "--seeds" in outcome.err
    assert sorted(path.name for path in run.iterdir()) == before
