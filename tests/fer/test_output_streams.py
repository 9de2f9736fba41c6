"""Streams that take what the program writes: full, closed, of another encoding, with names that are no text."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fer.samples import sample_path
from tests.conftest import ROOT


def at_a_shell(*words, cwd, **environment):
    """A command in a process of its own, with streams as a shell gives them."""
    command = [sys.executable, "-m", "fer", *map(str, words)]
    settings = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, capture_output=True, cwd=cwd, env=settings, check=False)


def test_a_table_in_a_pipe_loses_no_letter_however_long_its_words_are(tmp_path):
    folder = tmp_path / ("long" * 50) / ("longer" * 30)
    folder.mkdir(parents=True)
    picture = folder / "face.jpg"
    shutil.copy(sample_path(), picture)
    done = at_a_shell("predict", picture, "--checkpoint", "fast_cnn-int8", cwd=tmp_path)
    assert done.returncode == 0
    assert str(picture) in done.stdout.decode()


WRITERS = (["detectors", "--json"], ["detectors"], ["predict", "--help"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_full_disk_behind_the_output_is_one_line(words, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fer", *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["fer: cannot write the output: No space left on device; make room"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise there")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(words, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "fer", *words], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("detectors --json", 0), ("nothing", 2)], ids=["answer", "error"])
def test_a_closed_output_is_nobody_who_reads(words, code, closed):
    command = f"exec {shlex.quote(sys.executable)} -m fer {words} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code and "Traceback" not in said


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_is_json_whatever_the_output_is_encoded_in(encoding, checkpoint_file, tmp_path):
    name = "caf\u00e9-\U0001f600.png"
    shutil.copyfile(sample_path(), tmp_path / name)
    words = ("predict", "--checkpoint", checkpoint_file, "--format", "json", name)
    done = at_a_shell(*words, cwd=tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="1")
    (answer,) = json.loads(done.stdout.decode("utf-8"))
    assert answer["path"] == name


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are always Unicode")
def test_a_name_that_is_no_utf8_is_escaped(checkpoint_file, tmp_path):
    shutil.copyfile(sample_path(), os.fsencode(tmp_path) + b"/caf\xe9.png")
    for words in (["predict", "--format", "json"], ["predict"], ["explain"]):
        done = at_a_shell(*words, "--checkpoint", checkpoint_file, "caf\udce9.png", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert b"caf\\udce9" in done.stdout
    (answer,) = json.loads(at_a_shell("predict", "caf\udce9.png", "--format", "json", cwd=tmp_path).stdout)
    assert os.fsencode(answer["path"]) == b"caf\xe9.png"
    explained = json.loads((tmp_path / "explanations" / "explanations.json").read_text(encoding="utf-8"))
    assert "caf\udce9" in json.dumps(explained, ensure_ascii=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are always Unicode")
def test_a_data_set_with_a_name_that_is_no_utf8_is_read(fake_folder, tmp_path):
    copied = tmp_path / "data"
    shutil.copytree(fake_folder, copied)
    face = next(copied.rglob("*.jpg"), None) or next(copied.rglob("*.png"))
    face.rename(face.with_stem(os.fsdecode(b"caf\xe9")))
    done = at_a_shell("data", "info", copied, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_signs_that_a_terminal_cannot_show_are_escaped(tmp_path):
    done = at_a_shell("no↑such", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr and b"\\u2191" in done.stderr
