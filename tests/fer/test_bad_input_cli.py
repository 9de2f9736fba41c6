"""Bad input at the command line: one line on stderr that names it and the cure, exit code 2, nothing half written."""

import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.samples import sample_path
from tests import fakes
from tests.conftest import ROOT
from tests.fer.strange import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    evil_pickle,
    huge_on_paper,
    huge_png,
    noise,
    png,
    saved,
)

MODES = ("scratch", "finetune", "feature-extract")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder; whatever a command writes by itself lands there."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def check_refused(fer, work):
    """Checks that a command line ends in one line that holds ``names``, having written nothing; returns the line."""

    def run(*arguments, names=()):
        outcome = fer(*arguments)
        assert outcome.code == 2
        assert outcome.out == ""
        (line,) = outcome.err.splitlines()
        assert line.startswith("fer: ") and "Traceback" not in line
        assert all(str(name) in line for name in names), line
        assert list(work.iterdir()) == []
        return line

    return run


# pictures

BAD_PICTURES = {
    "no such path": None,
    "zero bytes": b"",
    "text": b"this is no picture",
    "web page": b"<!doctype html><title>404</title>",
    "pickle": evil_pickle("never made"),
    "truncated png": png(noise(), RGB)[:900],
    "truncated jpeg": saved(Image.fromarray(noise(64, 64)), "JPEG")[:900],
    "10000x10000": huge_on_paper(10_000),
    "30000x30000": huge_on_paper(30_000),
    "30000x30000 whole": huge_png(30_000),
}


@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_a_bad_picture(command, kind, check_refused, checkpoint_file, tmp_path):
    path = tmp_path / "holiday.png"
    if BAD_PICTURES[kind] is not None:
        path.write_bytes(BAD_PICTURES[kind])
    line = check_refused(command, path, "--checkpoint", checkpoint_file, names=[path])
    assert ";" in line, "no advice what to do"


@pytest.mark.parametrize(("command", "cure"), [("predict", "--out"), ("explain", "--data")])
def test_a_folder_instead_of_a_picture(command, cure, check_refused, checkpoint_file, tmp_path):
    check_refused(command, tmp_path, "--checkpoint", checkpoint_file, names=[tmp_path, cure])


@pytest.mark.parametrize("command", [["predict", "--format", "json"], ["predict", "--format", "csv"], ["explain"]])
def test_one_bad_picture_among_good_ones_leaves_nothing_behind(command, check_refused, checkpoint_file, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    check_refused(*command, sample_path(), tmp_path / "bad.png", "--checkpoint", checkpoint_file, names=[tmp_path / "bad.png"])


def test_a_person_at_a_shell_sees_one_line_too(tmp_path):
    """In a process of its own, where warnings of libraries would also be printed."""
    path = tmp_path / "wide.png"
    path.write_bytes(huge_on_paper(10_000))
    command = [sys.executable, "-c", "import sys; from fer.cli import main; sys.exit(main(sys.argv[1:]))"]
    answer = subprocess.run([*command, "predict", str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 2 and answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert str(path) in line and "megapixels" in line


def odd_pictures():
    grey, palette = noise(100, 120, 1), noise(1, 256)[0].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "alpha", png(noise(100, 120, 4), RGB_ALPHA), (120, 100)
    yield "grey with alpha", png(noise(100, 120, 2), GREY_ALPHA), (120, 100)
    yield "palette", png(grey, PALETTE, extra=((b"PLTE", palette),)), (120, 100)
    yield "transparent palette", png(grey, PALETTE, extra=((b"PLTE", palette), (b"tRNS", bytes(range(256))))), (120, 100)
    yield "16 bit", png(grey.astype(np.uint16) * 257, GREY, 16), (120, 100)
    yield "1 bit", saved(Image.fromarray(grey > 127), "PNG"), (120, 100)
    yield "CMYK", saved(Image.new("CMYK", (120, 100), (10, 60, 90, 30)), "JPEG"), (120, 100)
    yield "EXIF-rotated", saved(Image.fromarray(noise(100, 120)), "JPEG", exif=exif.tobytes()), (100, 120)


def test_a_folder_that_may_not_be_looked_into_is_one_line(fer, monkeypatch, tmp_path):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("fer.data.source.Path.exists", refuse)  # root, who runs some tests, may look everywhere
    outcome = fer("data", "info", tmp_path / "closed" / "fer2013.zip")
    assert outcome.code == 2
    assert outcome.err == f"fer: {tmp_path / 'closed' / 'fer2013.zip'}: Permission denied; check the path and who may read it\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["predict"], "fer: Missing argument 'images'; see fer predict --help"),
        (["zoo", "nothing"], "fer: No such command 'nothing'; see fer zoo --help"),
        (["nothing"], "fer: No such command 'nothing'; see fer --help"),
    ],
)
def test_what_cannot_be_parsed_names_the_help_that_tells(words, line, fer):
    outcome = fer(*words)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"{line}\n")


def test_the_version_is_that_of_the_distribution(fer):
    assert fer("--version").out == f"ferscope {metadata.version('ferscope')}\n"


def test_the_home_of_nobody_is_a_path_like_others(fer):
    outcome = fer("data", "info", "~nobody-of-this-name/fer2013.zip")
    assert outcome.code == 2 and outcome.err.startswith("fer: no data at ~nobody-of-this-name/fer2013.zip; ")


@pytest.mark.parametrize(("data", "size"), [pytest.param(data, size, id=name) for name, data, size in odd_pictures()])
def test_unusual_pictures_are_read(data, size, fer, checkpoint_file, tmp_path):
    path = tmp_path / "odd.img"
    path.write_bytes(data)
    outcome = fer("predict", path, "--checkpoint", checkpoint_file, "--format", "json", "--detector", "none")
    assert outcome.code == 0 and outcome.err == ""
    (result,) = json.loads(outcome.out)
    assert result["faces"][0]["box"] == [0, 0, *size]


# data, checkpoints

WITH_DATA = (["data", "info"], ["evaluate", "--data"], ["explain", "--data"], ["train", "baseline", "--data"])


@pytest.mark.parametrize("command", WITH_DATA, ids=lambda command: command[0])
@pytest.mark.parametrize("kind", ["no such path", "no data set", "unknown class", "bad csv", "leads outside"])
def test_bad_data(command, kind, check_refused, checkpoint_file, tmp_path):
    path = tmp_path / ("fer2013.csv" if kind == "bad csv" else "archive.zip")
    if kind == "no data set":
        path.write_bytes(b"<!doctype html>")
    elif kind == "bad csv":
        path.write_text("emotion,pixels,Usage\n9,1 2 3,Training\n", encoding="utf-8")
    elif kind != "no such path":
        extra = "train/contempt/1.png" if kind == "unknown class" else "../1.png"
        fakes.write_zip(path, {extra: fakes.encoded(noise(48, 48, 1))}, train=1)
    extra = ["--checkpoint", checkpoint_file] if command[0] in ("evaluate", "explain") else []
    check_refused(*command, path, *extra, names=[path])


WITH_CHECKPOINT = (["predict", str(sample_path())], ["explain"], ["evaluate"])


@pytest.mark.parametrize("command", WITH_CHECKPOINT, ids=lambda command: command[0])
@pytest.mark.parametrize("kind", ["no such path", "pickle", "truncated", "web page"])
def test_a_bad_checkpoint(command, kind, check_refused, checkpoint_file, fake_zip, tmp_path):
    path, mark = tmp_path / "strange.pth", tmp_path / "mark"
    content = {
        "pickle": evil_pickle(mark, protocol=2),
        "truncated": checkpoint_file.read_bytes()[:5000],
        "web page": b"<!DOCTYPE html><html></html>",
    }
    if kind in content:
        path.write_bytes(content[kind])
    data = ["--data", fake_zip] if command == ["evaluate"] else []
    check_refused(*command, *data, "--checkpoint", path, names=[path])
    assert not mark.exists()


# names

UNKNOWN = {
    "architecture": (["train", "resnet81"], ["resnet81", *MODELS, "did you mean 'resnet18'"]),
    "no architecture": (["train"], [*MODELS]),
    "mode": (["train", "resnet18", "--mode", "fine-tune"], ["fine-tune", *MODES, "did you mean 'finetune'"]),
    "mode without weights": (["train", "baseline", "--mode", "finetune"], ["baseline", "finetune", "scratch", "--init"]),
    "recipe": (["train", "resnet18", "--recipe", "resnet19"], ["resnet19"]),
    "key": (["train", "resnet18", "--set", "epoch=3"], ["epoch", "did you mean 'epochs'"]),
    "value": (["train", "resnet18", "--set", "lr=fast"], ["lr", "fast"]),
    "range": (["train", "resnet18", "--epochs", "0"], ["epochs=0", "1.."]),
    "assignment": (["train", "resnet18", "--set", "lr"], ["lr", "="]),
    "optimizer": (["train", "resnet18", "--set", "optimizer=lion"], ["lion", "sgd", "adam", "adamw"]),
    "resume": (["train", "--resume", "runs/nowhere"], ["runs/nowhere"]),
    "class": (["explain", "--target", "contempt"], ["contempt", *EMOTIONS]),
    "misspelt class": (["explain", "--target", "hapy"], ["hapy", "did you mean 'happy'"]),
    "method": (["explain", "--method", "lime"], ["lime", "gradcam"]),
    "detector": (["predict", str(sample_path()), "--detector", "mtcnn"], ["mtcnn", "haar", "none"]),
    "detector of explain": (["explain", "--detector", "mtcnn"], ["mtcnn", "haar", "none"]),
    "format": (["predict", str(sample_path()), "--format", "xml"], ["xml", "table", "json", "csv"]),
    "checkpoint": (["predict", str(sample_path()), "--checkpoint", "nobody"], ["nobody", "custom_cnn"]),
    "command": (["tarin"], ["tarin", "fer --help"]),
    "subcommand": (["data", "inof"], ["inof"]),
    "option": (["predict", "--colour"], ["--colour"]),
    "no picture": (["predict"], ["images", "fer predict --help"]),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_unknown_is_named_and_the_known_is_listed(kind, check_refused, checkpoint_file, fake_zip):
    command, names = UNKNOWN[kind]
    if command[0] in ("predict", "explain") and "--checkpoint" not in command:
        command = [*command, "--checkpoint", checkpoint_file]
    if command[:2] == ["train", "resnet18"]:
        command = [*command, "--data", fake_zip]
    check_refused(*command, names=names)


@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_an_unknown_split_lists_the_known_ones(command, check_refused, checkpoint_file, fake_zip):
    names = ["PublicTest", "train", "validation", "test"]
    check_refused(command, "--data", fake_zip, "--checkpoint", checkpoint_file, "--split", "PublicTest", names=names)


@pytest.mark.parametrize("option", [["--target", "contempt"], ["--method", "lime"]], ids=["target", "method"])
def test_an_unknown_name_in_explaining_a_data_set_leaves_nothing_behind(option, check_refused, checkpoint_file, fake_zip):
    check_refused("explain", "--data", fake_zip, "--checkpoint", checkpoint_file, *option, names=[option[1]])


@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_a_split_that_is_missing(command, check_refused, checkpoint_file, tmp_path):
    path = fakes.write_zip(tmp_path / "set.zip", train=1, validation=1)
    names = [path, "no test split", "train, validation", "--split"]
    check_refused(command, "--data", path, "--checkpoint", checkpoint_file, "--split", "test", names=names)


def test_pictures_and_a_data_set_at_once(check_refused, checkpoint_file, fake_zip):
    check_refused("explain", sample_path(), "--data", fake_zip, "--checkpoint", checkpoint_file, names=["--data", "pictures"])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--split", "test"], ["--split", "--data"]),
        ([str(sample_path()), "--split", "test"], ["--split", "--data"]),
        (["--data", "nowhere.zip", "--detector", "haar"], ["--detector", "cut out already"]),
        (["--data", "nowhere.zip", "--detector-model", "net.onnx"], ["--detector-model", "cut out already"]),
        (["--data", "nowhere.zip", "-m", "gradcam", "-m", "lime"], ["lime", "gradcam"]),
        (["--data", "nowhere.zip", "-m", "gradcam", "-m", "rollout"], ["rollout", "vit"]),
        (["--data", "nowhere.zip", "--layer", "conv99"], ["conv99"]),
    ],
    ids=["split alone", "split of a picture", "detector", "model of one", "second method", "does not fit", "layer"],
)
def test_what_explain_would_ignore_or_find_out_late_is_said_before_the_data_are_read(
    arguments, names, check_refused, checkpoint_file
):
    check_refused("explain", *arguments, "--checkpoint", checkpoint_file, names=names)


def test_a_column_of_groups_does_not_belong_to_one_class(check_refused):
    names = ["--emotion", "--column"]
    check_refused("evaluate", "--data", "nowhere.zip", "--emotion", "fear", "--column", "age", names=names)


# places to write to


def test_a_table_cannot_be_written_into_a_folder_that_does_not_exist(check_refused, checkpoint_file, fake_zip, work):
    table = work / "nowhere" / "table.npz"
    check_refused("evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file, "--table", table, names=[table])


@pytest.mark.parametrize("name", ["table.json", "table", "table.csv"])
def test_a_table_of_another_ending_is_refused_before_the_work(name, check_refused, work):
    check_refused("evaluate", "--data", "nowhere.zip", "--table", work / name, names=[work / name, ".npz"])


def test_a_table_does_not_replace_the_json_of_something_else(fer, checkpoint_file, fake_zip, work):
    command = ("evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file, "--table", work / "found.npz")
    assert fer(*command).code == 0
    assert fer(*command).code == 0  # its own two files are replaced
    for other in ('{"accuracy": 0.5}', "[1]", "no json"):
        (work / "found.json").write_text(other, encoding="utf-8")
        outcome = fer(*command)
        assert outcome.code == 2 and str(work / "found.json") in outcome.err and "choose another name" in outcome.err
        assert (work / "found.json").read_text(encoding="utf-8") == other


INTO_FOLDERS = {
    "labels": ["labels", "audit", "--table", "nowhere.npz"],
    "robustness": ["robustness"],
    "compare": ["compare", "nobody", "nothing"],
    "mistakes": ["mistakes"],
    "report": ["report"],
    "confidence": ["confidence"],
    "evaluate": ["evaluate", "--emotion", "fear"],
    "regions": ["regions"],
}


@pytest.mark.parametrize("command", INTO_FOLDERS)
@pytest.mark.parametrize("place", ["in-the-way", "in-the-way/below/it"])
def test_a_folder_that_cannot_be_made_is_said_before_the_data_are_read(command, place, check_refused, tmp_path):
    (tmp_path / "in-the-way").write_text("a file", encoding="utf-8")
    out = tmp_path / place
    check_refused(
        *INTO_FOLDERS[command], "--data", "nowhere.zip", "--out", out, names=[f"cannot make the folder {out}", "choose another"]
    )


def test_a_folder_that_cannot_be_made_is_said_before_pictures_are_judged(check_refused, tmp_path):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    check_refused("explain", tmp_path / "nowhere.jpg", "--out", tmp_path / "file" / "out", names=["cannot make the folder"])


def test_a_table_is_written_whole_or_not_at_all(fer, checkpoint_file, fake_zip, work):
    (work / "table.json").mkdir()  # the second of its two files cannot be written
    outcome = fer("evaluate", "--data", fake_zip, "--checkpoint", checkpoint_file, "--table", work / "table.npz")
    assert outcome.code == 2 and outcome.out == "" and "table" in outcome.err and len(outcome.err.splitlines()) == 1
    assert [path.name for path in work.iterdir()] == ["table.json"]


def test_explanations_cannot_be_written_into_a_file(fer, checkpoint_file, tmp_path):
    (tmp_path / "out").write_text("in the way", encoding="utf-8")
    outcome = fer("explain", "--checkpoint", checkpoint_file, "--out", tmp_path / "out")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(tmp_path / "out") in line and "choose another" in line
    assert (tmp_path / "out").read_text(encoding="utf-8") == "in the way"


def test_a_run_cannot_be_written_into_a_file(fer, fake_zip, tmp_path):
    (tmp_path / "runs").write_text("in the way", encoding="utf-8")
    outcome = fer(
        "train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", "--epochs", "1", "--set", "batch_size=2"
    )
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(tmp_path / "runs") in line and "choose another" in line
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "in the way"
