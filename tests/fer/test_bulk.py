"""Many pictures into one table: the rows of single predictions, resumable, nothing dropped in silence."""

import contextlib
import csv
import errno
import fcntl
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fer import checkpoint as checkpoints
from fer.bulk import Bulk, FaceStage, listing, predict_files, store
from fer.bulk.listing import parts
from fer.errors import ConfigError, DataError, InterruptedRunError, OutputError
from fer.export import export
from fer.faces import Search
from fer.predict import Predictor
from fer.samples import sample_path
from tests.conftest import ROOT
from tests.faces import nets
from tests.fakes import encoded, fake_face

LABELS = ("angry", "happy", "sad", "fear")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The released baseline as ONNX."""
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export(checkpoints.load("baseline"), path)
    return path


def write_faces(folder, count):
    """Fake faces in two folders, named in order."""
    for number in range(count):
        path = folder / f"{number % 2}" / f"{number:05d}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(encoded(fake_face(LABELS[number % 4], number)))
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Faces in folders, one picture with two, one with none readable, one that is no picture, and a note."""
    folder = write_faces(tmp_path / "pictures", 10)
    sample = np.asarray(Image.open(sample_path()))
    Image.fromarray(np.concatenate([sample, sample[:, ::-1]], axis=1)).save(folder / "two.jpg", quality=95)
    (folder / "1" / "broken.jpg").write_bytes(sample_path().read_bytes()[:5000])
    (folder / "zero.PNG").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    return folder


def single(path, model, detector="haar"):
    """Rows of one picture as the Python interface gives them."""
    return [
        {"path": str(path), "face": number, "label": p.label, "confidence": p.confidence, "box": p.face.box.as_list()}
        | {"score": p.face.score, "detector": p.face.detector, **p.probabilities}
        for number, p in enumerate(Predictor(str(model), detector).predict(path), 1)
    ]


def rows_of(table):
    rows = table.to_pylist()
    for row in rows:
        row["box"] = [row.pop(name) for name in ("x1", "y1", "x2", "y2")]
    return rows


@pytest.mark.parametrize("processes", [1, 2])
def test_every_face_has_the_row_of_a_single_prediction(processes, pictures, model, tmp_path):
    summary = predict_files([pictures], tmp_path / "faces.parquet", Bulk(str(model), processes=processes))
    rows = rows_of(pq.read_table(tmp_path / "faces.parquet"))
    good = [*sorted((pictures / "0").iterdir()), *sorted((pictures / "1").glob("0*")), pictures / "two.jpg"]
    expected = [row for path in good for row in single(path, model)]
    assert [(row["path"], row["face"]) for row in rows] == [(row["path"], row["face"]) for row in expected]
    assert len([row for row in rows if row["path"].endswith("two.jpg")]) == 2
    for row, other in zip(rows, expected, strict=True):
        assert set(row) == set(other)
        texts = {key for key, value in other.items() if isinstance(value, str | list)}
        assert all(row[key] == other[key] for key in texts)
        assert all(row[key] == pytest.approx(other[key], abs=1e-5) for key in set(other) - texts)
    assert (summary.pictures, summary.faces, summary.unreadable, summary.other_files, summary.kept) == (13, 12, 2, 1, 0)


def test_unreadable_files_are_listed_with_their_reason(pictures, model, tmp_path):
    summary = predict_files([pictures], tmp_path / "faces.parquet", Bulk(str(model), processes=1))
    with summary.errors.open(newline="") as file:
        listed = {row["path"]: row["error"] for row in csv.DictReader(file)}
    assert set(listed) == {str(pictures / "1" / "broken.jpg"), str(pictures / "zero.PNG")}
    assert "damaged" in listed[str(pictures / "1" / "broken.jpg")]
    assert "empty" in listed[str(pictures / "zero.PNG")]


def test_a_csv_holds_the_same(pictures, model, tmp_path):
    for name in ("faces.parquet", "faces.csv"):
        predict_files([pictures], tmp_path / name, Bulk(str(model), processes=1))
    one, other = pq.read_table(tmp_path / "faces.parquet"), pyarrow.csv.read_csv(tmp_path / "faces.csv")
    assert one.column_names == other.column_names
    assert one["path"].to_pylist() == other["path"].to_pylist()
    np.testing.assert_allclose(one["happy"].to_numpy(), other["happy"].to_numpy(), atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        *("faces.csv", "faces.csv.errors.csv", "faces.parquet", "faces.parquet.errors.csv")
    ]


def test_a_checkpoint_gives_the_same_as_its_export(pictures, model, tmp_path):
    for name, which in (("torch", "baseline"), ("onnx", str(model))):
        predict_files([pictures], tmp_path / f"{name}.parquet", Bulk(which, "none", "flip", processes=1))
    one, other = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("torch", "onnx"))
    assert one["path"].to_pylist() == other["path"].to_pylist()
    np.testing.assert_allclose(one["fear"].to_numpy(), other["fear"].to_numpy(), atol=1e-4)


def test_where_no_file_can_be_read_the_table_is_empty(model, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    summary = predict_files([tmp_path / "bad.png"], tmp_path / "faces.parquet", Bulk(str(model), processes=1))
    assert (summary.faces, summary.unreadable) == (0, 1)
    table = pq.read_table(tmp_path / "faces.parquet")
    assert table.num_rows == 0 and "happy" in table.column_names


# stopped and gone on


@pytest.fixture
def small_parts(monkeypatch):
    """Four pictures a part."""
    monkeypatch.setattr(listing.parts, "__defaults__", (4,))


def stopper(after):
    """A progress that presses Ctrl-C once so many pictures are done."""

    def progress(done, total):
        if done >= after:
            raise KeyboardInterrupt

    return progress


def test_a_stopped_run_goes_on_where_it_was(model, tmp_path, small_parts):
    folder, bulk = write_faces(tmp_path / "p", 22), Bulk(str(model), "none", processes=1)
    predict_files([folder], tmp_path / "whole.parquet", bulk)
    with pytest.raises(InterruptedRunError, match=r"stopped after \d+ of 22 pictures; the same") as stopped:
        predict_files([folder], tmp_path / "faces.parquet", bulk, stopper(8))
    assert stopped.value.code == 130
    assert not (tmp_path / "faces.parquet").exists()
    told = []
    summary = predict_files([folder], tmp_path / "faces.parquet", bulk, lambda done, total: told.append((done, total)))
    assert summary.kept >= 8 and f"after {summary.kept} of" in str(stopped.value)
    assert (summary.pictures, summary.faces) == (22, 22)
    assert told == [(4, 22), (8, 22), (12, 22), (16, 22), (20, 22), (22, 22)]
    assert pq.read_table(tmp_path / "faces.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert not (tmp_path / "faces.parquet.parts").exists()


def test_what_changed_in_between_is_done_again(model, tmp_path, small_parts):
    folder, bulk = write_faces(tmp_path / "p", 12), Bulk(str(model), "none", processes=1)
    with pytest.raises(InterruptedRunError):
        predict_files([folder], tmp_path / "faces.parquet", bulk, stopper(8))
    changed = folder / "0" / "00000.png"
    changed.write_bytes(encoded(fake_face("surprise", 99)))
    summary = predict_files([folder], tmp_path / "faces.parquet", bulk)
    assert summary.kept in range(4, 12, 4)
    first = rows_of(pq.read_table(tmp_path / "faces.parquet"))[0]
    (expected,) = single(changed, model, "none")
    assert first["happy"] == pytest.approx(expected["happy"], abs=1e-5)
    assert summary.faces == 12


@pytest.mark.parametrize("change", [{"detector": "haar"}, {"tta": "flip"}, {"model": "baseline"}])
def test_parts_of_other_settings_are_not_mixed_in(change, model, tmp_path, small_parts):
    folder, settings = write_faces(tmp_path / "p", 12), {"model": str(model), "detector": "none", "processes": 1}
    with pytest.raises(InterruptedRunError):
        predict_files([folder], tmp_path / "faces.parquet", Bulk(**settings), stopper(4))
    with pytest.raises(
        ConfigError, match=r"faces\.parquet\.parts holds parts made with another (model|detector|tta); remove it"
    ):
        predict_files([folder], tmp_path / "faces.parquet", Bulk(**settings | change))


def test_a_process_that_dies_is_said_and_costs_little(model, tmp_path, small_parts):
    folder, bulk = write_faces(tmp_path / "p", 40), Bulk(str(model), "none", processes=1)

    def kill(done, total):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
            child.join()

    with pytest.raises(InterruptedRunError, match="a process died, for want of memory perhaps") as stopped:
        predict_files([folder], tmp_path / "faces.parquet", bulk, kill)
    assert stopped.value.code == 2
    summary = predict_files([folder], tmp_path / "faces.parquet", bulk)
    assert summary.kept >= 4 and summary.faces == 40


def test_killed_from_outside_nothing_is_lost_or_doubled(model, tmp_path):
    """SIGKILL of the whole command, while parts are being made."""
    folder, out = write_faces(tmp_path / "p", 1500), tmp_path / "faces.parquet"
    words = [
        sys.executable,
        "-m",
        "fer",
        "predict",
        folder,
        "-c",
        model,
        "--detector",
        "none",
        "--out",
        out,
        "--processes",
        "2",
    ]
    program = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("faces.parquet.parts/0*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert program.poll() is None and len(alive(program.pid)) > 1
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "of them before this run" in done.stderr
    assert done.stdout == f"{out}\n"
    paths = pq.read_table(out)["path"].to_pylist()
    assert paths == [str(path) for path in sorted(folder.rglob("*.png"))]


def program_on(folder, out, model):
    """The command going through a folder, in a session of its own, once it has finished a part."""
    words = [sys.executable, "-m", "fer", "predict", folder, "-c", model, "--detector", "none", "--out", out]
    program = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(out.parent.glob("*.parts/0*.parquet")) and time.monotonic() < deadline and program.poll() is None:
        time.sleep(0.01)
    assert program.poll() is None, program.communicate()[1]
    assert list(out.parent.glob("*.parts/0*.parquet"))
    return program


def alive(group):
    """Processes of a session that still run."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, session = place.read_text().rsplit(")", 1)[1].split()[:3]
            found += [place.parent.name] if int(session) == group and state != "Z" else []
    return found


def gone(group):
    """True where no process of a session is left after some seconds."""
    deadline = time.monotonic() + 30
    while alive(group) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive(group)


def test_ctrl_c_ends_at_once_and_says_what_is_kept(model, tmp_path):
    folder, out = write_faces(tmp_path / "p", 3000), tmp_path / "faces.parquet"
    program = program_on(folder, out, model)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert re.search(r"fer: stopped after [1-9][\d,]* of 3,000 pictures; the same command goes on from there", err)
    assert len(list((tmp_path / "faces.parquet.parts").glob("*.parquet"))) >= 1
    assert gone(program.pid)


def test_workers_do_not_outlive_the_process_that_gathers(model, tmp_path):
    folder, out = write_faces(tmp_path / "p", 3000), tmp_path / "faces.parquet"
    program = program_on(folder, out, model)
    assert len(alive(program.pid)) > 1  # workers beside it
    program.kill()  # this process alone, as the system does where memory runs out
    program.communicate(timeout=60)
    assert gone(program.pid)


def test_a_damaged_part_is_made_again(model, tmp_path, small_parts):
    folder, bulk = write_faces(tmp_path / "p", 12), Bulk(str(model), "none", processes=1)
    with pytest.raises(InterruptedRunError):
        predict_files([folder], tmp_path / "faces.parquet", bulk, stopper(8))
    part = min((tmp_path / "faces.parquet.parts").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    assert predict_files([folder], tmp_path / "faces.parquet", bulk).faces == 12


def test_parts_of_another_detector_of_the_same_kind_are_not_mixed_in(model, tmp_path, small_parts):
    folder, out = write_faces(tmp_path / "p", 12), tmp_path / "faces.parquet"
    one, other = (Search(model=nets.write(tmp_path / f"{lean}.onnx", lean)) for lean in (0.0, 0.4))
    with pytest.raises(InterruptedRunError):
        predict_files([folder], out, Bulk(str(model), one, processes=1), stopper(4))
    with pytest.raises(ConfigError, match="parts made with another detector"):
        predict_files([folder], out, Bulk(str(model), other, processes=1))
    moved = Search(model=one.model.rename(tmp_path / "moved.onnx"))  # it is its content that counts
    assert predict_files([folder], out, Bulk(str(model), moved, processes=1)).pictures == 12


# two runs into one table


def test_a_second_run_into_a_table_is_refused(model, tmp_path, fer):
    """Another process is going through the pictures with other settings; what it ends with is its own alone."""
    folder, out = write_faces(tmp_path / "p", 1500), tmp_path / "faces.parquet"
    program = program_on(folder, out, model)
    os.killpg(program.pid, signal.SIGSTOP)  # it is still at it when the other begins
    try:
        outcome = fer("predict", folder, "-c", model, "--detector", "none", "--tta", "flip", "--out", out)
    finally:
        os.killpg(program.pid, signal.SIGCONT)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"fer: {out}: another run writes this table; wait for it, or name another --out\n"
    _, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    happy = pq.read_table(out)["happy"].to_numpy()
    alone = tmp_path / "alone.parquet"
    predict_files([folder], alone, Bulk(str(model), "none"))
    np.testing.assert_allclose(happy, pq.read_table(alone)["happy"].to_numpy(), atol=1e-6)
    assert not (tmp_path / "faces.parquet.parts").exists()


def test_the_same_run_twice_is_refused_at_the_last_picture_too(model, tmp_path, small_parts):
    """The parts of a run are there and of the same settings: a second one would take them over and remove them."""
    folder, out, bulk = write_faces(tmp_path / "p", 8), tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1)
    refused = []

    def begin_again(done, total):
        with pytest.raises(OutputError, match="another run writes this table") as error:
            predict_files([folder], out, bulk)
        refused.append(str(error.value))

    assert predict_files([folder], out, bulk, begin_again).faces == 8
    assert refused == [f"{out}: another run writes this table; wait for it, or name another --out"] * 2
    assert predict_files([folder], out, bulk).faces == 8  # it is free again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.parquet", "faces.parquet.errors.csv", "p"]


def test_a_killed_run_does_not_block_the_next(model, tmp_path):
    """Not even at once, while the processes that judged for it still end."""
    folder, out = write_faces(tmp_path / "p", 1500), tmp_path / "faces.parquet"
    program = program_on(folder, out, model)
    program.kill()
    program.communicate(timeout=60)
    assert (tmp_path / "faces.parquet.parts" / "lock").exists()
    summary = predict_files([folder], out, Bulk(str(model), "none"))
    assert summary.kept >= listing.PART and summary.faces == 1500
    assert not (tmp_path / "faces.parquet.parts").exists()
    assert gone(program.pid)


@pytest.mark.parametrize(("code", "goes_on"), [(errno.ENOSYS, True), (errno.ENOLCK, True), (errno.EWOULDBLOCK, False)])
def test_a_file_system_without_locks_is_written_as_before(code, goes_on, model, tmp_path, monkeypatch):
    def refuse(handle, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder, out, bulk = write_faces(tmp_path / "p", 2), tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1)
    with contextlib.nullcontext() if goes_on else pytest.raises(OutputError, match="another run writes this table"):
        assert predict_files([folder], out, bulk).faces == 2
    assert out.exists() == goes_on


# a table that cannot be made


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_full_disk_keeps_the_parts(ending, model, tmp_path, monkeypatch, small_parts):
    folder, out, bulk = write_faces(tmp_path / "p", 8), tmp_path / f"faces.{ending}", Bulk(str(model), "none", processes=1)
    monkeypatch.setattr(store, "_ROW_GROUP", 1)
    writers = {"parquet": pq.ParquetWriter, "csv": pyarrow.csv.CSVWriter}
    with monkeypatch.context() as patched:
        patched.setattr(store, "_writer", lambda path, schema: writers[ending]("/dev/full", schema))
        with pytest.raises(OutputError) as error:
            predict_files([folder], out, bulk)
    assert str(error.value) == f"cannot write {out}: no space left on its disk; the parts are kept, make room and run again"
    assert predict_files([folder], out, bulk).kept == 8


def test_what_else_keeps_a_table_from_being_written_is_said(model, tmp_path, monkeypatch, small_parts):
    folder, out, bulk = write_faces(tmp_path / "p", 8), tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1)

    def refuse(path, schema):
        raise OSError(errno.EFBIG, "Error writing bytes to file.\nDetail: File too large")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_writer", refuse)
        with pytest.raises(OutputError, match="File too large; the parts are kept, run again when that is mended") as error:
            predict_files([folder], out, bulk)
    assert "make room" not in str(error.value) and "\n" not in str(error.value)
    assert predict_files([folder], out, bulk).kept == 8


@pytest.mark.parametrize("damage", ["removed", "overwritten"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_part_that_cannot_be_read_is_named(damage, which, model, tmp_path, small_parts):
    """Harm after it was found whole: its footer is, and only the rows are not."""
    folder, out, bulk = write_faces(tmp_path / "p", 8), tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1)
    harmed = []

    def harm(done, total):
        if done == total:
            part = sorted((tmp_path / "faces.parquet.parts").glob("*.parquet"))[which]
            if damage == "removed":
                part.unlink()
            else:
                data = part.read_bytes()
                part.write_bytes(data[:4] + bytes(len(data) // 4) + data[4 + len(data) // 4 :])
            harmed.append(part)

    with pytest.raises(OutputError, match=r"the finished part .*; (run again|remove it and run again)") as error:
        predict_files([folder], out, bulk, harm)
    assert str(harmed[0]) in str(error.value) and "\n" not in str(error.value) and "make room" not in str(error.value)
    harmed[0].unlink(missing_ok=True)
    summary = predict_files([folder], out, bulk)
    assert (summary.kept, summary.faces) == (4, 8)


# pictures without a face


def test_pictures_without_a_face_are_counted_apart(model, tmp_path, fer):
    """Three grey photos, one with a face, and a small picture, which is taken as a face already cut out."""
    folder, out = tmp_path / "p", tmp_path / "faces.parquet"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (97, 40) if number else (40, 97), (128, 128, 128)).save(folder / f"{number}.jpg")
    Image.open(sample_path()).save(folder / "sample.png")
    Image.new("RGB", (96, 96), (128, 128, 128)).save(folder / "small.png")
    summary = predict_files([folder], out, Bulk(str(model), "haar", processes=1))
    assert (summary.pictures, summary.faces, summary.whole, summary.unreadable) == (5, 2, 3, 0)
    detectors = pq.read_table(out)["detector"].to_pylist()
    assert detectors == ["whole image"] * 3 + ["haar", "whole image"]
    notes = [fer("predict", path, "-c", model, "--detector", "haar").err for path in sorted(folder.iterdir())]
    assert ["no face found" in note for note in notes] == [True, True, True, False, False]
    asked = [str(path) for path in sorted(folder.glob("?.jpg"))]
    outcome = fer("predict", *asked, "-c", model, "--detector", "haar", "--out", out)
    assert outcome.err.splitlines()[-1] == "3 pictures: 0 faces, 3 without one judged whole, 0 unreadable files"


def test_where_nothing_is_searched_every_picture_is_a_face(model, tmp_path, fer):
    Image.new("RGB", (200, 200), (128, 128, 128)).save(tmp_path / "0.jpg")
    out = tmp_path / "faces.parquet"
    outcome = fer("predict", tmp_path / "0.jpg", "-c", model, "--detector", "none", "--out", out)
    assert outcome.err.splitlines()[-1] == "1 pictures: 1 faces, 0 unreadable files"


def test_settings_may_change_while_no_part_is_done(model, tmp_path):
    folder = write_faces(tmp_path / "p", 3)
    with pytest.raises(ConfigError, match="needs crops"):
        predict_files([folder], tmp_path / "faces.parquet", Bulk(str(model), "none", "tencrop", 1))
    assert not (tmp_path / "faces.parquet.parts").exists()
    (tmp_path / "faces.parquet.parts").mkdir()
    (tmp_path / "faces.parquet.parts" / "settings.json").write_text('{"model": "cut sho')
    assert predict_files([folder], tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1)).faces == 3


def test_links_and_pipes_are_said(model, tmp_path):
    folder = write_faces(tmp_path / "p", 2)
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "linked.png").symlink_to(folder / "0" / "00000.png")
    (folder / "back").symlink_to(folder)
    (folder / "back.png").symlink_to(folder)
    (folder / "itself.jpg").symlink_to(folder / "itself.jpg")
    os.mkfifo(folder / "pipe.jpg")
    summary = predict_files([folder], tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1))
    assert (summary.pictures, summary.faces, summary.unreadable, summary.other_files) == (6, 3, 3, 2)
    with summary.errors.open(newline="") as file:
        errors = {Path(row["path"]).name: row["error"] for row in csv.DictReader(file)}
    assert set(errors) == {"dangling.jpg", "itself.jpg", "pipe.jpg"}
    assert "no such file" in errors["dangling.jpg"] and "no regular file" in errors["pipe.jpg"]
    assert not any(str(folder) in error for error in errors.values())


def test_memory_does_not_grow_with_the_number_of_pictures(model, tmp_path):
    """Names of one file stand for many; the process that gathers reads its own peak.

    Columns of 12,000 faces take 3 MB; what Arrow and the pool keep of their buffers grows at first and then no more.
    """
    peaks = []
    for count in (3000, 12000):
        folder = tmp_path / f"p{count}"
        folder.mkdir()
        (folder / "0.png").write_bytes(encoded(fake_face("happy", 1)))
        for number in range(1, count):
            os.link(folder / "0.png", folder / f"{number}.png")
        code = f"""
        from pathlib import Path
        from fer.bulk import Bulk, predict_files
        if __name__ == "__main__":
            bulk = Bulk({str(model)!r}, "none", processes=2)
            predict_files([Path({str(folder)!r})], Path({str(tmp_path / "out.parquet")!r}), bulk)
            print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
        """
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(code))
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 25


# what is in a folder


def test_folders_are_listed_in_order_and_in_parts(tmp_path):
    for name in ("b/2.png", "b/1.jpg", "a/c/x.JPEG", "a/y.tiff", "c.txt", "d.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = list(parts([tmp_path, tmp_path / "c.txt"], size=2))
    names = [tuple(os.path.relpath(path, tmp_path) for path in part.paths) for part in found]
    assert names == [("a/c/x.JPEG", "a/y.tiff"), ("b/1.jpg", "b/2.png"), ("d.webp", "c.txt")]
    assert [part.number for part in found] == [0, 1, 2]
    assert listing.count([tmp_path, tmp_path / "c.txt"]) == (6, 1)


def test_a_name_that_is_no_text_is_kept_readable(tmp_path, model):
    path = os.fsencode(tmp_path) + b"/strange\xff.png"
    Path(os.fsdecode(path)).write_bytes(encoded(fake_face("happy", 1)))
    predict_files([tmp_path], tmp_path / "faces.parquet", Bulk(str(model), "none", processes=1))
    assert pq.read_table(tmp_path / "faces.parquet")["path"].to_pylist() == [f"{tmp_path}/strange\\xff.png"]


BAD = {
    "no such folder": (["nowhere"], "nowhere"),
    "no picture": (["empty"], "no picture in empty"),
    "unknown table": (["p", "--out", "faces.xlsx"], ".parquet or .csv"),
    "a folder without --out": (["p", "--no-out"], "--out FILE.parquet"),
    "unknown detector": (["p", "--detector", "yolo"], "yolo"),
    "unknown views": (["p", "--tta", "nine"], "nine"),
    "no such model": (["p", "--checkpoint", "none.onnx"], "none.onnx"),
    "a folder as the table": (["p", "--out", "folder.parquet"], "cannot write folder.parquet: that is a folder"),
    "no folder for the table": (["p", "--out", "/dev/null/faces.parquet"], "/dev/null/faces.parquet"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(kind, fer, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    write_faces(tmp_path / "p", 2)
    for name in ("empty", "folder.parquet"):
        (tmp_path / name).mkdir()
    words, named = BAD[kind]
    before = sorted(tmp_path.rglob("*"))
    extra = [] if "--out" in words or "--no-out" in words else ["--out", "faces.parquet"]
    chosen = [] if "--checkpoint" in words else ["--checkpoint", model]
    outcome = fer("predict", *(word for word in words if word != "--no-out"), *extra, *chosen)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and named in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_does_not_exist_is_a_data_error(tmp_path, model):
    with pytest.raises(DataError):
        predict_files([tmp_path / "none"], tmp_path / "faces.parquet", Bulk(str(model)))


def test_the_stage_takes_an_empty_batch(model):
    columns = FaceStage(str(model))({"path": []})
    assert {len(values) for values in columns.values()} == {0}


def test_the_same_stage_runs_on_ray(model, tmp_path):
    """Two workers of a local Ray give the rows of our own processes."""
    folder = write_faces(tmp_path / "p", 30)
    (folder / "bad.png").write_bytes(b"")
    predict_files([folder], tmp_path / "own.parquet", Bulk(str(model), "none", processes=1))
    code = f"""
    import os
    from pathlib import Path
    import ray
    from fer.bulk.on_ray import face_rows
    from fer.bulk.run import Bulk
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", _temp_dir=os.environ["RAY_FOLDER"])
    rows = face_rows([Path({str(folder)!r})], Bulk({str(model)!r}, "none", processes=2))
    rows.to_pandas().to_parquet({str(tmp_path / "ray.parquet")!r})
    ray.shutdown()
    """
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    place = tmp_path.parent / "r"  # a socket's path may have 107 characters
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_FOLDER": str(place), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = sorted(pq.read_table(tmp_path / "ray.parquet").to_pylist(), key=lambda row: row["path"])
    assert [row["path"] for row in found if row["error"]] == [str(folder / "bad.png")]
    own = pq.read_table(tmp_path / "own.parquet").to_pylist()
    assert [row["path"] for row in found if not row["error"]] == [row["path"] for row in own]
    happy = [row["happy"] for row in found if not row["error"]]
    np.testing.assert_allclose(happy, [row["happy"] for row in own], atol=1e-5)
