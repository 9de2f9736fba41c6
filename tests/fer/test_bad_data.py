"""Data sets that are unsafe, inconsistent or damaged: one line that names the file and the cure, nothing half written."""

import errno
import os
import shutil
import stat
import struct
import tracemalloc
import zipfile

import pytest

from fer.data import archive, load
from fer.errors import DataError
from tests import fakes
from tests.fer.strange import RGB, csv_file, evil_pickle, huge_on_paper, noise, png, zipped

FACE = fakes.encoded(noise(48, 48, 1))
BOMB = bytes(3_000_000)

pytestmark = pytest.mark.usefixtures("cache")


def unpacked(root, *entries):
    for name, data in entries:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return root


@pytest.fixture(params=["zip", "folder"])
def packed(request, tmp_path):
    """Writes (name, bytes) entries to a zip or a folder."""
    if request.param == "zip":
        return lambda *entries: zipped(tmp_path / "archive.zip", *entries)
    return lambda *entries: unpacked(tmp_path / "unpacked", *entries)


# paths


def test_a_path_that_does_not_exist(refused, tmp_path):
    line = refused(tmp_path / "nowhere.zip")
    assert "fer data download" in line and "--data" in line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("archive.zip", b""),
        ("archive.zip", b"PK\x03\x04"),
        ("archive.zip", b"<!doctype html><title>Kaggle: sign in</title>"),
        ("face.jpg", FACE),
        ("faces.tar.gz", b"\x1f\x8b\x08\0"),
        ("faces.pkl", evil_pickle("never made")),
        ("fer2013", b"emotion,pixels,Usage\n"),
    ],
    ids=["empty", "cut", "web page", "picture", "tar", "pickle", "no suffix"],
)
def test_a_file_that_is_no_data_set(name, content, refused, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert "download" in refused(tmp_path / name)


# zips


@pytest.mark.parametrize("entries", [[], [("readme.txt", b"hello")], [("train/angry/", b"")]], ids=["empty", "text", "folder"])
def test_a_zip_without_pictures(entries, refused, tmp_path):
    assert "no pictures found" in refused(zipped(tmp_path / "archive.zip", *entries))


def test_a_folder_without_pictures(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "train/<class>" in refused(tmp_path / "empty")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "train/../../../outside.png",
        "train\\..\\..\\outside.png",
        "/etc/outside.png",
        "//server/share/outside.png",
        "\\windows\\outside.png",
        "C:\\outside.png",
        "c:/outside.png",
    ],
)
def test_a_zip_with_names_that_lead_outside(name, refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE), (name, FACE))
    assert "outside the archive" in refused(path)
    assert not list(tmp_path.parent.rglob("outside.png"))


def test_a_name_with_dots_inside_is_no_danger(tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/face..1.png", FACE), ("train/angry/a...png", FACE))
    assert len(load(path).split("train")) == 2


def test_a_zip_with_a_link(refused, tmp_path):
    link = zipfile.ZipInfo("train/angry/Training_1.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "link" in refused(zipped(tmp_path / "archive.zip", (link, b"/etc/passwd")))


def test_a_zip_with_a_password(refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.find(mark) + offset] |= 1  # bit 0 of the flags: encrypted
    path.write_bytes(data)
    assert "Training_1.png" in refused(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_zip_that_is_cut_short(part, refused, tmp_path, fake_zip):
    data = fake_zip.read_bytes()
    (tmp_path / "archive.zip").write_bytes(data[: int(len(data) * part)])
    assert "download" in refused(tmp_path / "archive.zip")


def test_a_zip_with_a_damaged_entry(refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE))
    data = bytearray(path.read_bytes())
    data[200:220] = b"\xff" * 20
    path.write_bytes(data)
    assert "Training_1.png" in refused(path)


def test_a_zip_of_a_version_to_come(refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE))
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 6] = 120  # 12.0 is needed to unpack
    path.write_bytes(data)
    line = refused(path)
    assert "12.0" in line and "download" in line


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_entry_of_any_packing(packing, tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", packing) as target:
        target.writestr("train/angry/Training_1.png", FACE)
    good = path.read_bytes()
    for place in range(50, len(good) - 150, 10):
        path.write_bytes(good[:place] + bytes([good[place] ^ 255]) + good[place + 1 :])
        with pytest.raises(DataError, match=r"Training_1\.png"):
            load(path)


@pytest.mark.parametrize("name", [".", "./.", "\0a"])
def test_a_zip_with_a_file_without_a_name(name, refused, tmp_path):
    written = "x" * len(name)  # zipfile itself would cut a name at its zero byte
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE), (written, b""))
    path.write_bytes(path.read_bytes().replace(written.encode(), name.encode()))
    assert "without a name" in refused(path)


@pytest.mark.parametrize("again", ["train/angry/1.png", "train\\angry\\1.png", "train/./angry//1.png"])
def test_a_zip_with_two_files_of_one_name(again, refused, tmp_path):
    other = fakes.encoded(noise(48, 48, 1, 2))
    path = zipped(tmp_path / "archive.zip", ("train/angry/1.png", FACE), ("x" * len(again), other))
    path.write_bytes(path.read_bytes().replace(b"x" * len(again), again.encode()))
    line = refused(path)
    assert "'train/angry/1.png' is there twice" in line and "under its own name" in line


# bombs: the caps are lowered, so that a small file is a bomb


def declare(path, name, size):
    """Let both headers of a zip's entry state another unpacked size: offset 22 in the local one, 24 in the directory."""
    data = bytearray(path.read_bytes())
    for mark, offset, head in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        start = data.find(mark)
        while data[start + head : start + head + len(name)] != name.encode():
            start = data.find(mark, start + 1)
        data[start + offset : start + offset + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


def test_a_bomb_that_admits_its_size_is_refused_before_it_is_unpacked(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2_000_000)
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE), ("bomb.bin", BOMB))
    assert path.stat().st_size < 10_000
    assert "unpacks to more than" in refused(path)


def test_one_entry_that_is_too_large_is_refused_while_streaming(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr(archive, "_CHUNK", 10_000)
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", BOMB))
    tracemalloc.start()
    line = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "Training_1.png" in line and "bomb" in line
    assert peak < 2_500_000


@pytest.mark.parametrize("declared", [0, 10, 900_000])
def test_an_entry_that_lies_about_its_size_is_refused(declared, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2_000_000)
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", BOMB))
    assert "Training_1.png" in refused(declare(path, "train/angry/Training_1.png", declared))


def test_many_small_entries_are_summed_up(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 10 * len(FACE))
    entries = [(f"train/angry/Training_{number}.png", FACE) for number in range(11)]
    assert "unpacks to more than" in refused(zipped(tmp_path / "archive.zip", *entries))


def test_too_many_entries(packed, refused, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    assert "more than 10 files" in refused(packed(*((f"train/angry/{number}.png", FACE) for number in range(11))))


def test_a_file_in_a_folder_that_is_too_large(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    path = unpacked(tmp_path / "unpacked", ("train/angry/Training_1.png", FACE))
    assert "Training_1.png: larger than" in refused(path)


@pytest.mark.parametrize("folder", [True, False], ids=["in its folder", "named"])
@pytest.mark.parametrize("name", ["fer2013.csv", "icml_face_data.csv"])
def test_a_csv_that_is_too_large(name, folder, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_CSV_BYTES", 1_000_000)
    path = unpacked(tmp_path / "unpacked", (name, BOMB))
    assert f"{name}: larger than 1 MB" in refused(path if folder else path / name)


def test_a_csv_bomb_in_a_zip(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_CSV_BYTES", 1_000_000)
    assert "fer2013.csv" in refused(zipped(tmp_path / "archive.zip", ("fer2013.csv", BOMB)))


# class folders


@pytest.mark.parametrize(
    ("folder", "hint"),
    [
        ("contempt", "known classes: angry, disgust, fear, happy, neutral, sad, surprise"),
        ("__MACOSX", "known classes: angry"),
        ("hapy", "did you mean 'happy'"),
        ("suprise", "did you mean 'surprise'"),
        ("Nuetral", "did you mean 'neutral'"),
        ("0", "known classes: angry"),
    ],
)
def test_a_class_folder_nobody_knows(folder, hint, packed, refused):
    line = refused(packed(("train/angry/Training_1.png", FACE), (f"train/{folder}/Training_2.png", FACE)))
    assert f"train/{folder}" in line and hint in line and "rename or remove" in line


def test_an_empty_class_folder(refused, tmp_path):
    path = unpacked(tmp_path / "unpacked", ("train/angry/Training_1.png", FACE))
    (path / "train" / "disgust").mkdir()
    assert "train/disgust is empty" in refused(path)


def test_a_class_folder_that_is_emptied_or_made_later_is_said_although_the_faces_are_known(tmp_path):
    path = fakes.write_folder(tmp_path / "unpacked", train=1, validation=0)
    faces = load(path)
    (path / "validation" / "surprise").mkdir(parents=True)
    with pytest.raises(DataError, match="class folder validation/surprise is empty"):
        load(path)
    (path / "validation" / "surprise").rmdir()
    (path / "validation").rmdir()
    assert load(path).fingerprint == faces.fingerprint


def test_an_empty_class_folder_in_a_zip(refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("train/angry/Training_1.png", FACE), ("train/", b""), ("train/disgust/", b""))
    assert "train/disgust is empty" in refused(path)


def test_a_class_folder_that_holds_only_leftovers_is_empty_too(packed, refused):
    path = packed(("train/angry/Training_1.png", FACE), ("train/disgust/.DS_Store", b"junk"), ("train/disgust/Thumbs.db", b""))
    assert "train/disgust" in refused(path)


@pytest.mark.parametrize("name", ["Training_1.png", "train/Training_1.png", "angry/1.png", "faces/angry/1.png"])
def test_a_picture_in_no_class_or_no_split(name, packed, refused):
    line = refused(packed(("train/angry/Training_1.png", FACE), (name, FACE)))
    assert name in line and "expected" in line


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("validation/angry/Training_10.png", "train"),
        ("Valid/angry/Training_10.png", "train"),
        ("validation/angry/PrivateTest_10.png", "test"),
        ("train/angry/PublicTest_10.png", "validation"),
        ("own/train/angry/PrivateTest_10.png", "test"),
        ("test/angry/Training_10.png", "train"),
    ],
)
def test_a_split_of_ones_own_is_not_undone_without_a_word(name, split, packed, refused):
    more = name.replace("_10", "_11")
    line = refused(packed(("train/angry/Training_1.png", FACE), (name, FACE), (more, FACE)))
    assert f"2 of 3 pictures lie in another split than their names say, the first is {name} (by its name of {split})" in line
    assert "rename the files or move them back" in line


def test_a_class_folder_that_is_a_link_is_not_left_out(tmp_path):
    path = fakes.write_folder(tmp_path / "unpacked", train=2, validation=0)
    shutil.move(path / "train" / "happy", tmp_path / "elsewhere")
    (path / "train" / "happy").symlink_to(tmp_path / "elsewhere")
    assert load(path).split("train").counts["happy"] == 2


def test_a_folder_that_cannot_be_listed_is_not_passed_over(refused, tmp_path, monkeypatch):
    path = fakes.write_folder(tmp_path / "archive")
    scan = os.scandir

    def locked(folder):
        if str(folder).endswith("test/sad"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", locked)
    assert "test/sad: cannot be listed (Permission denied)" in refused(path)


def test_a_link_that_leads_nowhere(refused, tmp_path):
    path = unpacked(tmp_path / "unpacked", ("train/angry/Training_1.png", FACE))
    (path / "train" / "angry" / "Training_2.png").symlink_to(tmp_path / "nowhere.png")
    assert "Training_2.png" in refused(path)


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
@pytest.mark.parametrize("packing", ["zip", "csv"])
def test_data_without_the_split_that_was_asked_for(missing, packing, fer, checkpoint_file, tmp_path):
    counts = {"train": 1, "validation": 1, "test": 1} | {missing: 0}
    write = fakes.write_zip if packing == "zip" else fakes.write_csv
    path = write(tmp_path / f"set.{packing}", **counts)
    table = ("--table", tmp_path / "t.npz")
    outcome = fer("evaluate", "--checkpoint", checkpoint_file, "--data", path, "--split", missing, *table)
    (line,) = outcome.err.splitlines()
    has = ", ".join(split for split in ("train", "validation", "test") if split != missing)
    assert outcome.code == 2 and outcome.out == ""
    assert str(path) in line and f"no {missing} split" in line and has in line and "--split" in line
    assert not (tmp_path / "t.npz").exists()


def test_training_on_data_without_a_train_split(fer, tmp_path):
    path = fakes.write_zip(tmp_path / "set.zip", train=0, validation=1)
    outcome = fer("train", "baseline", "--data", path, "--runs", tmp_path / "runs")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(path) in line and "no train split" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [[], ["--folds", 2]], ids=["once", "over folds"])
def test_the_way_out_of_a_missing_train_split_is_not_an_option_that_train_lacks(words, fer, tmp_path):
    path = fakes.write_zip(tmp_path / "set.zip", train=0, validation=1)
    outcome = fer("train", "baseline", "--data", path, "--runs", tmp_path / "runs", *words)
    assert outcome.code == 2 and "--split" not in outcome.err
    assert outcome.err == f"fer: {path} has no train split (it has: validation); name data to train on\n"


@pytest.mark.parametrize("packing", ["zip", "csv"])
def test_training_without_one_of_the_classes(packing, fer, tmp_path):
    images = [image for image in fakes.fake_set(train=2) if (image.split, image.label) != ("train", "disgust")]
    if packing == "zip":
        path = zipped(tmp_path / "set.zip", *((image.path, fakes.encoded(image.pixels)) for image in images))
    else:
        path = csv_file(tmp_path, *(fakes.csv_line(i.label, i.pixels, fakes.PREFIXES[i.split]) for i in images))
    outcome = fer("train", "baseline", "--data", path, "--runs", tmp_path / "runs")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and str(path) in line and "disgust" in line and "angry" not in line
    assert not (tmp_path / "runs").exists()


def test_too_few_faces_to_hold_out_a_validation_split(fer, tmp_path):
    path = fakes.write_zip(tmp_path / "set.zip", train=1, validation=0)
    outcome = fer("train", "baseline", "--data", path, "--runs", tmp_path / "runs", "--epochs", "1", "--set", "batch_size=2")
    assert outcome.code == 2 and str(path) in outcome.err.splitlines()[0]


# pictures inside


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", png(noise(48, 48), RGB)[:-900], huge_on_paper(30_000), huge_on_paper(10_000)],
    ids=["zero bytes", "text", "truncated", "30000x30000", "10000x10000"],
)
def test_a_bad_picture_is_named(content, packed, refused):
    path = packed(("train/angry/Training_1.png", FACE), ("train/angry/Training_2.png", content))
    assert "train/angry/Training_2.png" in refused(path)
