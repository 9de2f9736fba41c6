"""Requests to ``fer train`` that cannot be met: one line that says why and what to do, before anything is written."""

import os
from pathlib import Path

import pytest
import torch

from fer.config import LABELS, MODES
from fer.models import MODELS
from fer.overrides import KEYS
from fer.training import fit
from tests import fakes
from tests.conftest import save_random

COLUMNS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FAST = ["--epochs", 1, "--set", "batch_size=21", "--set", "precision=fp32"]

SMALL = ["--set", "batch_size=6"]
SHAPES = ["(64, 128, 3, 3)", "(256, 128, 3, 3)"]

#: Arguments after ``fer train``, and what the line must hold. Words in capitals stand for files, see below.
REFUSED: dict[str, tuple[list[object], list[str]]] = {
    # names
    "unknown architecture": (["resnet81"], ["resnet81", *MODELS, "did you mean 'resnet18'?"]),
    "no architecture": ([], [*MODELS, "timm:NAME"]),
    "unknown mode": (["baseline", "--mode", "gradul"], ["gradul", *MODES, "did you mean 'gradual'?"]),
    "unknown optimizer": (["baseline", "--set", "optimizer=rmsprop"], ["unknown optimizer 'rmsprop'", "sgd, adam, adamw"]),
    "unknown schedule": (["baseline", "--set", "schedule=cosin"], ["unknown schedule", "did you mean 'cosine'?"]),
    "unknown loss": (["baseline", "--set", "loss=focall"], ["unknown loss", "did you mean 'focal'?"]),
    "unknown labels": (["baseline", "--labels", "ferplus"], ["unknown labels 'ferplus'", *LABELS]),
    "unknown precision": (["baseline", "--set", "precision=fp64"], ["unknown precision", "auto, fp32, bf16"]),
    "unknown monitor": (["baseline", "--set", "monitor=f1"], ["unknown monitor", "macro_f1"]),
    "unknown recipe": (["baseline", "--recipe", "baselin"], ["did you mean 'baseline'?"]),
    "unknown key": (["baseline", "--set", "learning_rate=1"], ["unknown key 'learning_rate'", *KEYS]),
    "key near another": (["baseline", "--set", "optimizer.weight_decy=1"], ["did you mean 'optimizer.weight_decay'?"]),
    "unknown accelerator": (["baseline", "--accelerator", "tpu"], ["'tpu'", "auto, cpu, gpu"]),
    "unknown option": (["baseline", "--learning-rate", 1], ["--learning-rate", "fer train --help"]),
    "unknown checkpoint": (["baseline", "--teacher", "nobody"], ["nobody", "released"]),
    # numbers
    "no epochs": (["baseline", "--epochs", 0], ["epochs=0", "1.."]),
    "negative rate": (["baseline", "--set", "lr=-1"], ["lr=-1"]),
    "alpha beyond 1": (["baseline", "--alpha", 2], ["alpha=2", "0..1"]),
    "stages never freed": (["baseline", "--unfreeze-every", 0], ["unfreeze_every=0", "1.."]),
    "batch of one": (["baseline", "--set", "batch_size=1"], ["batch_size=1", "2.."]),
    "batch larger than the set": (["baseline", "--set", "batch_size=43"], ["batch_size=43", "42", "--set batch_size=42"]),
    "more folds than photos": (["baseline", "--folds", 7], ["7 folds", "6 different photos", "choose 2..6"]),
    "no device": (["baseline", "--devices", 0], ["devices=0", "1 or more"]),
    "no machine": (["baseline", "--num-nodes", 0], ["num_nodes=0", "1 or more"]),
    # what does not go together
    "a gpu where there is none": (["baseline", "--accelerator", "gpu"], ["no GPU", "--accelerator cpu"]),
    "synchronised norms on a cpu": (["net", "--set", "sync_batchnorm=true"], ["sync_batchnorm"]),
    "size of a net that has one": (["baseline", "--set", "input_size=64"], ["48-pixel faces only", "input_size"]),
    "impossible size": (["net", "--set", "input_size=8"], ["input size 8", "16..512"]),
    "no weights to start from": (["baseline", "--mode", "finetune"], ["baseline", "finetune", "--init"]),
    "soft labels without votes": (["baseline", "--labels", "ferplus-soft"], ["ferplus-soft", "--votes"]),
    "votes without their labels": (["baseline", "--votes", "VOTES"], ["VOTES", "--labels ferplus-majority"]),
    "a share for no teacher": (["baseline", "--alpha", 0.5], ["--alpha", "--teacher"]),
    "answers of no teacher softened": (["baseline", "--temperature", 2], ["--temperature", "--teacher"]),
    "stages of a run that frees none": (["baseline", "--unfreeze-every", 2], ["--unfreeze-every", "gradual", "scratch"]),
    "changed data of a new run": (["baseline", "--changed-data"], ["--changed-data", "--resume"]),
    "two architectures": (["baseline", "--set", "model=net"], ["--set model=net", "beside baseline", "name one"]),
    "no architecture at all": (["baseline", "--set", "model=[1, 2]"], ["model=[1, 2]", "name one architecture"]),
    # files
    "no data": (["baseline", "--data", "nowhere.zip"], ["nowhere.zip"]),
    "votes of other data": (["baseline", "--labels", "ferplus-soft", "--votes", "VOTES"], ["VOTES", "not one image"]),
    "votes of bytes": (["baseline", "--labels", "ferplus-soft", "--votes", "WEIGHTS"], ["it is no text; get fer2013new"]),
    "no votes file": (["baseline", "--labels", "ferplus-soft", "--votes", "none.csv"], ["none.csv", "fer2013new.csv"]),
    "no weights file": (["baseline", "--mode", "finetune", "--init", "none.pth"], ["none.pth", "--init", "released"]),
    "weights that are no file of tensors": (["baseline", "--mode", "finetune", "--init", "VOTES"], ["VOTES"]),
    "weights of another architecture": (
        ["baseline", "--mode", "finetune", "--init", "WEIGHTS"], ["WEIGHTS", "conv1.0.weight", "(32, 1, 3, 3)"]
    ),
    "weights for a start at random": (["baseline", "--init", "WEIGHTS"], ["random weights", "--init", "--mode finetune"]),
    "weights of another width": (["custom_cnn", "--mode", "finetune", "--init", "WIDE"], ["WIDE", "block3.0.weight", *SHAPES]),
    "no configuration": (["--config", "none.yaml"], ["none.yaml"]),
    "configuration of another program": (["--config", "VOTES"], ["VOTES"]),
    "no run to resume": (["--resume", "nowhere"], ["nowhere"]),
    "configuration that is a picture": (["--config", "PICTURE"], ["--config PICTURE is no YAML file", "config.yaml"]),
    "recipe that is a picture": (["baseline", "--recipe", "PICTURE"], ["recipe PICTURE is no YAML file", "shipped name"]),
    "a file to resume": (["--resume", "PICTURE"], ["PICTURE is a file", "name the folder of a run"]),
    "a folder to resume that is not there": (["--resume", "nowhere"], ["nowhere does not exist", "name the folder of a run"]),
    "configuration without a model": (["--config", "LOOSE"], ["LOOSE", "names no model", "--recipe"]),
    "configuration that is a recipe's name": (["--config", "baseline"], ["no such file", "--recipe"]),
    "another architecture than the configuration's": (["--config", "LOOSE", "resnet18"], ["takes the whole", "--recipe"]),
    "other epochs than the configuration's": (["--config", "LOOSE", "--epochs", 2], ["--config takes the whole"]),
    "other settings than the run's": (["--resume", "nowhere", "--set", "lr=1"], ["--resume takes the whole"]),
    "another folder than the run's": (["--resume", "nowhere", "--runs", "else"], ["--resume takes the whole", "--runs"]),
    "another seed than the run's": (["--resume", "nowhere", "--seed", 9], ["--resume takes the whole"]),
    "a seed of none": (["--config", "LOOSE", "--seed", 0], ["--config takes the whole"]),
    "teachers that have no part": (["--resume", "nowhere", "--alpha", 0], ["--resume takes the whole"]),
    "an ensemble of no members": (["ensemble", "--mode", "finetune", "--init", "WIDE"], ["WIDE", "of fer ensemble"]),
    "a run and a configuration": (["--resume", "nowhere", "--config", "LOOSE"], ["--resume takes the whole"]),
    "other data for a series": (["--resume", "nowhere", "--seeds", 2, "--changed-data"], ["a series is of one data set"]),
    "members that nobody names": (["ensemble", "--mode", "finetune"], ["ensemble has no ImageNet weights", "--init"]),
    "weights that are not finite": (["custom_cnn", "--mode", "finetune", "--init", "SPOILT"], ["SPOILT", "block1.0.weight"]),
    "nested beyond measure": (["baseline", "--set", "classes=" + 5000 * "["], ["--set classes", "YAML"]),
    "weights nested beyond measure": (["baseline", "--class-weights", "NESTED"], ["NESTED"]),
    "faces too small for a net": (["vgg16", "--mode", "finetune", "--set", "input_size=24"], ["faces of 24 pixels", "raise"]),
    "a batch too small to share": (["baseline", "--devices", 3, "--set", "batch_size=4"], ["3 processes", "batch_size=6"]),
    "more processes than validation faces": (["baseline", "--devices", 22, "--set", "batch_size=44"], ["21 validation faces"]),
    "stages freed by several processes": (["net", "--mode", "gradual", "--init", "WEIGHTS", "--devices", 2], ["--devices 1"]),
}  # fmt: skip


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """What the capital words above stand for."""
    places = {"VOTES": tmp_path / "votes.csv", "WEIGHTS": tmp_path / "weights.pth", "WIDE": tmp_path / "wide.pth"}
    places["VOTES"].write_text(f"file,usage,{COLUMNS}\nelse/1.png,Training,9,0,0,0,0,0,0,0,0,0\n", encoding="utf-8")
    save_random(places["WEIGHTS"])
    places |= {name: tmp_path / f"{name}.file" for name in ("SPOILT", "NESTED")} | {"LOOSE": tmp_path / "loose.yaml"}
    places["LOOSE"].write_text("epochs: 2\n", encoding="utf-8")
    places["PICTURE"] = tmp_path / "picture.jpg"
    places["PICTURE"].write_bytes(b"\xff\xd8\xff\xe0")
    places["NESTED"].write_text(100_000 * "[", encoding="utf-8")
    state = torch.load(places["WEIGHTS"], weights_only=True)["state_dict"]
    torch.save({**state, "block3.0.weight": torch.zeros(64, 128, 3, 3)}, places["WIDE"])
    torch.save({**state, "block1.0.weight": torch.full_like(state["block1.0.weight"], torch.nan)}, places["SPOILT"])
    return places


@pytest.fixture
def refused(fer, fake_zip, files, tmp_path, monkeypatch):
    """Checks that a request ends in one line that holds ``words``, with nothing written; returns the line."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)  # also where the tests run beside a GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def named(word):
        return " ".join(str(files.get(part, part)) for part in word.split(" "))

    def run(*arguments, words=()):
        data = [] if "--data" in arguments else ["--data", fake_zip]
        runs = [] if "--resume" in arguments else ["--runs", work / "runs"]
        outcome = fer("train", *(files.get(argument, argument) for argument in arguments), *data, *runs)
        assert outcome.code == 2 and outcome.out == ""
        (line,) = outcome.err.splitlines()
        assert line.startswith("fer: ") and "Traceback" not in line
        assert [word for word in words if named(word) not in line] == [] and "Errno" not in line, line
        assert list(work.iterdir()) == []
        return line

    return run


@pytest.mark.parametrize("kind", REFUSED)
def test_a_request_that_cannot_be_met_is_one_line_and_leaves_no_folder(kind, refused):
    arguments, words = REFUSED[kind]
    usual = [] if arguments[:1] in (["--config"], ["--resume"], []) else FAST
    # what is asked for comes last and wins
    line = refused(*arguments[:1], *usual, *arguments[1:], words=words) if usual else refused(*arguments, words=words)
    assert len(line) < 2500


def test_a_run_on_a_set_without_a_class_is_refused(refused, tmp_path):
    data = fakes.write_folder(tmp_path / "data", train=2, validation=1)
    for path in [*(data / "train" / "fear").iterdir()]:
        path.unlink()
    (data / "train" / "fear").rmdir()
    refused("baseline", "--data", data, "--set", "batch_size=4", words=["the train split has no image of fear"])


@pytest.mark.parametrize(
    ("finished", "says"),
    [((), "the newest unfinished is"), (("b",), "the newest unfinished is"), (("a", "b"), "the newest is")],
)
def test_a_folder_of_runs_names_the_one_to_resume(finished, says, fer, tmp_path):
    for age, name in enumerate("ba"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
        os.utime(tmp_path / name / "config.yaml", (1e9 - age, 1e9 - age))
    for name in finished:
        (tmp_path / name / "metrics.json").touch()
    newest = tmp_path / ("a" if finished == ("b",) else "b")
    outcome = fer("train", "--resume", tmp_path)
    assert (outcome.code, outcome.err) == (2, f"fer: {tmp_path} holds runs; name one of them, {says} {newest}\n")
    outcome = fer("train", "--resume", tmp_path / "a" / "config.yaml")
    assert outcome.code == 2 and outcome.err.endswith(f"is a part of a run; name its folder, {tmp_path / 'a'}\n")


@pytest.mark.parametrize("content", [None, b"\xff\xd8", b"- 1"], ids=["a folder", "bytes", "a list"])
def test_a_damaged_configuration_is_no_run_to_resume(content, fer, tmp_path):
    path = tmp_path / "config.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    outcome = fer("train", "--resume", tmp_path)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(tmp_path) in line and "Errno" not in line and "codec" not in line


COMMANDS = {
    "train": ["train", "baseline"],
    "distill": ["distill", "--student", "baseline", "--teacher", "WEIGHTS"],
    "compare-modes": ["compare-modes", "resnet18", "--init", "WEIGHTS"],
    "labels": ["labels", "audit", "--architecture", "baseline"],
    "tune": ["tune", "baseline"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_for_runs_that_is_none_is_refused_before_the_data_are_read(command, fer, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [files.get(word, word) for word in COMMANDS[command]]
    place = ["--study" if command == "tune" else "--runs", files["PICTURE"]]
    outcome = fer(*words, *place, "--data", tmp_path / "nowhere")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and f"cannot make the folder {files['PICTURE']}" in line and "nowhere" not in line


NAMED = {
    "train": (["train", "baseline", "--teacher", "nobody"], "no checkpoint nobody"),
    "train, exported": (["train", "baseline", "--teacher", "fast_cnn-int8"], "an exported model"),
    "train, start": (["train", "baseline", "--mode", "finetune", "--init", "nobody"], "--init: no checkpoint nobody"),
    "repeat": (["train", "--config", "TAUGHT"], "no checkpoint nobody"),
    "distill": (["distill", "--student", "baseline", "--teacher", "nobody"], "no checkpoint nobody"),
    "distill, exported": (["distill", "--student", "baseline", "--teacher", "fast_cnn-int8"], "an exported model"),
    "compare-modes": (["compare-modes", "resnet18", "--init", "nobody"], "--init: no checkpoint nobody"),
    "tune": (["tune", "baseline", "--set", "teachers=nobody"], "no checkpoint nobody"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_wrong_name_is_said_before_the_data_are_read(kind, fer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, says = NAMED[kind]
    (tmp_path / "TAUGHT").write_text("model: baseline\ndistillation: {teachers: [nobody]}\n", encoding="utf-8")
    outcome = fer(*words, "--data", tmp_path / "nowhere.zip")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and says in line and "nowhere.zip" not in line


# running out of memory


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
@pytest.mark.parametrize("size, smaller", [(21, 10), (3, 2)])
def test_out_of_memory_says_which_batch_size_to_try(error, size, smaller, fer, fake_zip, tmp_path, monkeypatch):
    def step(*_):
        raise error("cannot allocate 20.00 GiB")

    monkeypatch.setattr(fit, "_train_step", step)
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST, "--set", f"batch_size={size}")
    assert outcome.code == 2 and outcome.out == "" and "Traceback" not in outcome.err
    line = outcome.err.splitlines()[-1]
    assert line.startswith(f"fer: out of memory at batch_size={size}") and f"--set batch_size={smaller}" in line


def test_the_smallest_batch_is_not_advised_against_itself(fer, fake_zip, tmp_path, monkeypatch):
    def step(*_):
        raise torch.OutOfMemoryError("cannot allocate 20.00 GiB")

    monkeypatch.setattr(fit, "_train_step", step)
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST, "--set", "batch_size=2")
    line = outcome.err.splitlines()[-1]
    assert outcome.code == 2 and "out of memory at batch_size=2" in line and "--set batch_size=2" not in line


@pytest.mark.parametrize("size", [21, 2])
@pytest.mark.parametrize("name", ["baseline", "vit", "custom_cnn"])
def test_a_smaller_input_is_advised_where_the_net_takes_one(name, size, fer, fake_zip, tmp_path, monkeypatch):
    """Whoever follows the advice is not refused."""

    def step(*_):
        raise torch.OutOfMemoryError("cannot allocate 20.00 GiB")

    monkeypatch.setattr(fit, "_train_step", step)
    where = ["--data", fake_zip, "--runs", tmp_path, *FAST, "--set", f"batch_size={size}"]
    line = fer("train", name, *where).err.splitlines()[-1]
    assert ("--set input_size" in line) == (name == "custom_cnn")
    assert ("--set batch_size=10" in line) == (size == 21)
    assert ("a smaller architecture" in line) == (size == 2 and name != "custom_cnn")
    (folder,) = tmp_path.iterdir()
    resumed = fer("train", "--resume", folder, "--data", fake_zip).err.splitlines()[-1]
    assert resumed == line.replace("start a run with", "start a new run with") != line


def test_a_gpu_that_others_fill_is_told_from_other_troubles(fer, fake_zip, tmp_path, monkeypatch):
    for words, told in (("CUDA error: out of memory", True), ("CUDA error: an illegal address", False)):
        monkeypatch.setattr(fit, "_train_step", lambda *_, said=words: (_ for _ in ()).throw(RuntimeError(said)))
        if told:
            assert fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST).code == 2
        else:
            with pytest.raises(RuntimeError, match="illegal address"):
                fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST)


def test_what_torch_itself_says_when_the_host_has_no_memory_is_translated(fer, fake_zip, tmp_path, monkeypatch):
    def step(*_):
        torch.empty(2**60)  # four exabytes

    monkeypatch.setattr(fit, "_train_step", step)
    outcome = fer("train", "baseline", "--data", fake_zip, "--runs", tmp_path, *FAST)
    assert outcome.code == 2 and "out of memory at batch_size=21; start a run with --set batch_size=10" in outcome.err
