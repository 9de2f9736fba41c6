"""Every packing of a data set gives the same faces, in the official splits, decoded once."""

import csv
import io
import json
import shutil
import sys
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from fer.data import Corpus, FaceSet, archive, load
from fer.data.sampling import balanced_class_weights
from fer.emotions import EMOTIONS
from fer.errors import DataError
from tests import fakes
from tests.conftest import REAL_DATA
from tests.fer.strange import noise, saved

COUNTS = {"train": 6, "validation": 3, "test": 2}


@pytest.fixture
def packings(fake_folder, fake_zip, fake_csv):
    return {"folder": fake_folder, "zip": fake_zip, "csv": fake_csv}


def rezip(path, entries):
    """A zip of (name, bytes)."""
    with zipfile.ZipFile(path, "w") as target:
        for name, data in entries:
            target.writestr(name, data)
    return path


# the three packings


@pytest.mark.parametrize("packing", ["folder", "zip", "csv"])
def test_the_official_splits_are_restored(packing, packings):
    corpus = load(packings[packing])
    assert {split: faces.counts for split, faces in corpus.splits.items()} == {
        split: dict.fromkeys(EMOTIONS, n) for split, n in COUNTS.items()
    }


@pytest.mark.parametrize("packing", ["folder", "zip", "csv"])
def test_every_face_keeps_its_pixels_and_class(packing, packings):
    expected = Counter((image.split, image.label, image.pixels.tobytes()) for image in fakes.fake_set(**COUNTS))
    found = Counter(
        (split, EMOTIONS[label], image.numpy().tobytes())
        for split, faces in load(packings[packing]).splits.items()
        for image, label in zip(faces.images, faces.labels, strict=True)
    )
    assert found == expected


def test_the_fingerprint_does_not_depend_on_the_packing(packings):
    corpora = [load(path) for path in packings.values()]
    assert len({corpus.fingerprint for corpus in corpora}) == 1
    for split in COUNTS:
        assert len({corpus.split(split).fingerprint for corpus in corpora}) == 1


def test_the_fingerprint_depends_on_pixels_labels_and_splits(tmp_path):
    def fingerprint(name, rows):
        path = tmp_path / name
        path.write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
        return load(path).fingerprint

    face = fakes.fake_face("happy", 1)
    other = face.copy()
    other[0, 0] ^= 1
    rows = [
        fakes.csv_line("happy", face, "Training"),
        fakes.csv_line("sad", face, "Training"),
        fakes.csv_line("happy", other, "Training"),
        fakes.csv_line("happy", face, "PublicTest"),
    ]
    assert len({fingerprint(f"{i}.csv", [row]) for i, row in enumerate(rows)}) == len(rows)


def test_faces_are_one_tensor_of_bytes(fake_zip):
    faces = load(fake_zip).split("train")
    assert faces.images.shape == (42, 1, 48, 48) and faces.images.dtype == torch.uint8
    assert faces.labels.shape == (42,) and faces.labels.dtype == torch.int64
    assert len(faces.names) == 42 and faces.split == "train"


def test_names_lead_back_to_the_files(fake_folder):
    faces = load(fake_folder).split("validation")
    for name, image, label in zip(faces.names, faces.images, faces.labels, strict=True):
        with Image.open(fake_folder / name) as picture:
            assert np.array_equal(np.asarray(picture), image[0].numpy())
        assert name.split("/")[-2] == EMOTIONS[label]


def test_the_csv_has_its_own_class_order(tmp_path):
    order = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]  # of the challenge
    rows = [f"{code}," + " ".join(["7"] * 2304) + ",Training" for code in range(7)]
    path = tmp_path / "any_name.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n", encoding="utf-8")
    faces = load(path).split("train")
    assert [EMOTIONS[label] for label in faces.labels] == order
    assert (faces.images == 7).all()


def test_a_csv_row_is_read_line_by_line_from_the_top_left(tmp_path):
    pixels = np.arange(2304) % 256
    path = tmp_path / "one.csv"
    path.write_text(f"emotion,pixels,Usage\n3,{' '.join(map(str, pixels))},PublicTest\n", encoding="utf-8")
    assert np.array_equal(load(path).split("validation").images[0, 0].numpy(), pixels.reshape(48, 48))


@pytest.mark.parametrize(
    "header", ["emotion,pixels,Usage", "emotion, Usage, pixels", "\ufeffemotion,pixels,Usage", '"emotion","pixels","Usage"']
)
def test_column_order_spaces_quotes_and_byte_order_marks_do_not_matter(header, tmp_path):
    columns = [name.strip(' "\ufeff') for name in header.split(",")]
    row = {"emotion": "3", "pixels": " ".join(["9"] * 2304), "Usage": "Training"}
    text = io.StringIO()
    csv.writer(text).writerow([row[name] for name in columns])
    path = tmp_path / "icml_face_data.csv"
    path.write_text(f"{header}\n{text.getvalue()}", encoding="utf-8")
    assert load(path).split("train").counts["happy"] == 1


def test_a_csv_inside_a_zip_is_found(fake_csv, tmp_path):
    path = rezip(tmp_path / "challenge.zip", [("fer2013/fer2013.csv", fake_csv.read_bytes()), ("fer2013/README", b"hello")])
    assert load(path).fingerprint == load(fake_csv).fingerprint


def test_a_csv_deep_in_a_folder_may_be_larger_than_a_picture(fake_csv, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 10_000)
    assert fake_csv.stat().st_size > 10_000
    (tmp_path / "download" / "fer2013").mkdir(parents=True)
    shutil.copy(fake_csv, tmp_path / "download" / "fer2013")
    assert load(tmp_path / "download").fingerprint == load(fake_csv).fingerprint


# other trees of class folders


@pytest.mark.parametrize("validation", ["val", "validation", "Valid"])
def test_any_tree_of_class_folders_is_read(validation, tmp_path):
    for split, count in (("train", 2), (validation, 1), ("test", 1)):
        for label in EMOTIONS:
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"face {number}.jpg").write_bytes(saved(Image.fromarray(noise()), "JPEG"))
    splits = load(tmp_path).splits
    assert {name: len(faces) for name, faces in splits.items()} == {"train": 14, "validation": 7, "test": 7}


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_tree_may_lie_deeper(packing, fake_folder, tmp_path):
    if packing == "folder":
        path = tmp_path / "deeper"
        shutil.copytree(fake_folder, path / "archive" / "fer2013")
    else:
        entries = [(f"archive/{image.path}", fakes.encoded(image.pixels)) for image in fakes.fake_set(**COUNTS)]
        path = rezip(tmp_path / "deeper.zip", entries)
    assert load(path).fingerprint == load(fake_folder).fingerprint


def test_in_a_folder_of_no_split_or_in_test_the_prefix_of_a_file_tells_its_split(tmp_path):
    entries = [
        ("test/happy/PublicTest_1.png", fakes.encoded(noise(48, 48, 1, 1))),
        ("faces/happy/Training_2.png", fakes.encoded(noise(48, 48, 1, 2))),
        ("happy/PrivateTest_3.png", fakes.encoded(noise(48, 48, 1, 3))),
        ("test/happy/other.png", fakes.encoded(noise(48, 48, 1, 4))),
    ]
    splits = load(rezip(tmp_path / "mixed.zip", entries)).splits
    assert {name: faces.names for name, faces in splits.items()} == {
        "train": ("faces/happy/Training_2.png",),
        "validation": ("test/happy/PublicTest_1.png",),
        "test": ("happy/PrivateTest_3.png", "test/happy/other.png"),
    }


def test_other_spellings_of_the_classes_are_known(tmp_path):
    spellings = ["Anger", "DISGUST", "fearful", "Happiness", "neutral", "sadness", "Surprised"]
    entries = [(f"train/{name}/1.png", fakes.encoded(noise(48, 48, 1))) for name in spellings]
    assert load(rezip(tmp_path / "spelt.zip", entries)).split("train").counts == dict.fromkeys(EMOTIONS, 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_pictures_of_any_kind_become_48_grey_pixels(mode, tmp_path):
    if mode == "I;16":
        picture = Image.fromarray(np.full((60, 80), 128 * 257, np.uint16))
    else:
        picture = Image.new("L", (80, 60), 255 if mode == "1" else 128).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    path = rezip(tmp_path / "kinds.zip", [(f"train/fear/1.{kind.lower()}", saved(picture, kind))])
    image = load(path).split("train").images
    assert image.shape == (1, 1, 48, 48)
    np.testing.assert_allclose(image.numpy(), 255 if mode == "1" else 128, atol=2)


@pytest.mark.parametrize(("size", "said"), [((400, 300), True), ((600, 600), True), ((512, 512), False), ((125, 100), False)])
def test_photos_that_are_no_faces_cut_out_are_said_every_time_in_one_line(size, said, tmp_path, cache, caplog):
    photo = saved(Image.new("RGB", size, "grey"), "JPEG")
    path = rezip(tmp_path / "own.zip", [("train/fear/me.jpg", photo), ("train/fear/face.png", fakes.encoded(noise(48, 48, 1)))])
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        assert len(load(path).split("train")) == 2
        assert len(caplog.messages) == said
    if said:
        (line,) = caplog.messages
        assert line.startswith(f"{path}: 1 of 2 pictures (such as train/fear/me.jpg, {size[0]}×{size[1]})")
        assert "squashed whole to 48×48" in line and "cut their faces out first" in line


# what is passed over

LEFTOVERS = {
    "__MACOSX/train/angry/._Training_1.png": b"junk",
    "train/angry/.DS_Store": b"junk",
    "train/angry/Thumbs.db": b"junk",
    "train/angry/._Training_1.png": b"junk",
    "readme.txt": b"hello",
}


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_skipped_files_are_counted_and_explained(packing, tmp_path, fake_zip):
    if packing == "zip":
        path = fakes.write_zip(tmp_path / "archive.zip", LEFTOVERS, **COUNTS)
    else:
        path = fakes.write_folder(tmp_path / "folder", **COUNTS)
        for name, data in LEFTOVERS.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    corpus = load(path)
    assert corpus.fingerprint == load(fake_zip).fingerprint
    assert sorted(skip.count for skip in corpus.skipped) == [1, 4]
    assert all(skip.reason and skip.example in LEFTOVERS for skip in corpus.skipped)
    assert next(skip for skip in corpus.skipped if skip.count == 1).example == "readme.txt"


def test_skipped_files_are_reported_from_the_cache_too(tmp_path):
    path = fakes.write_zip(tmp_path / "archive.zip", LEFTOVERS, **COUNTS)
    assert load(path).skipped == load(path).skipped != ()


def test_data_info_shows_counts_fingerprint_and_what_was_skipped(fer, tmp_path):
    path = fakes.write_zip(tmp_path / "archive.zip", LEFTOVERS, train=2, validation=1)
    outcome = fer("data", "info", path)
    assert outcome.code == 0 and outcome.err == ""
    assert load(path).fingerprint in outcome.out
    rows = {line.split()[1]: line.split() for line in outcome.out.splitlines() if line.startswith("│")}
    assert all(rows[label][3::2] == ["2", "1"] for label in EMOTIONS)
    assert rows["all"][3::2] == ["14", "7"]
    assert "readme.txt" in outcome.out and "skipped 4" in outcome.out


def test_data_info_as_json(fer, tmp_path):
    path = fakes.write_zip(tmp_path / "archive.zip", {"readme.txt": b"hello"}, train=2, validation=1)
    info = json.loads(fer("data", "info", path, "--json").out)
    assert info["path"] == str(path) and info["fingerprint"] == load(path).fingerprint
    assert info["splits"]["train"]["counts"] == dict.fromkeys(EMOTIONS, 2)
    assert info["splits"]["validation"]["n"] == 7
    assert info["skipped"] == [{"reason": "not a picture by its name", "count": 1, "example": "readme.txt"}]


def test_data_info_says_that_nothing_was_skipped(fer, fake_folder):
    assert "nothing was skipped" in fer("data", "info", fake_folder).out


# where data is looked for


@pytest.mark.parametrize("layout", ["archive.zip", "fer2013.zip", "fer2013.csv", "folders"])
def test_data_in_the_working_folder_is_the_default(layout, packings, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    if layout == "folders":
        shutil.copytree(packings["folder"], tmp_path / "data", dirs_exist_ok=True)
    else:
        shutil.copy(packings[layout[-3:]], tmp_path / "data" / layout)
    monkeypatch.chdir(tmp_path)
    assert load().fingerprint == load(packings["folder"]).fingerprint


def test_the_environment_comes_before_the_working_folder(fake_csv, tmp_path, monkeypatch):
    fakes.write_folder(tmp_path / "data", train=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FER_DATA", str(fake_csv))
    assert load().origin == fake_csv


def test_a_named_path_comes_before_the_environment(fake_zip, fake_csv, monkeypatch):
    monkeypatch.setenv("FER_DATA", str(fake_csv))
    assert load(fake_zip).origin == fake_zip


def test_the_home_folder_may_be_written_as_tilde(fake_zip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(fake_zip, tmp_path / "faces.zip")
    assert load("~/faces.zip").fingerprint == load(fake_zip).fingerprint


@pytest.mark.parametrize("command", [["data", "info"], ["evaluate"], ["train", "resnet18", "--mode", "finetune"]])
@pytest.mark.parametrize("folder", ["no folder", "empty folder"])
def test_without_data_one_line_says_the_two_ways_to_get_it(command, folder, fer, checkpoint_file, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    if folder == "empty folder":
        (tmp_path / "work" / "data").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    extra = ["--checkpoint", checkpoint_file] if command == ["evaluate"] else []
    outcome = fer(*command, *extra)
    assert outcome.code == 2 and outcome.out == "" and len(outcome.err.splitlines()) == 1
    assert "fer data download" in outcome.err and "archive.zip" in outcome.err and "data/" in outcome.err
    assert not (tmp_path / "work" / "runs").exists()


def test_an_environment_that_points_nowhere_is_named(fer, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_DATA", str(tmp_path / "nowhere"))
    outcome = fer("data", "info")
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert str(tmp_path / "nowhere") in outcome.err


def test_download_without_kagglehub_says_what_to_do_by_hand(fer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # what import finds where it is not installed
    outcome = fer("data", "download", "--out", tmp_path / "data")
    assert outcome.code == 2 and "kagglehub" in outcome.err and "archive.zip" in outcome.err
    assert not (tmp_path / "data").exists()


@pytest.fixture
def kaggle(monkeypatch, fake_folder):
    """Kaggle's client as one that has the fake set; the list of what was asked of it."""
    asked, client = [], ModuleType("kagglehub")
    client.dataset_download = lambda handle: asked.append(handle) or str(fake_folder)
    monkeypatch.setitem(sys.modules, "kagglehub", client)
    return asked


def test_a_download_lands_in_its_folder(fer, kaggle, fake_folder, tmp_path):
    outcome = fer("data", "download", "--out", tmp_path / "data")
    assert outcome.code == 0 and outcome.out.split() == [str(tmp_path / "data")] and kaggle == ["msambare/fer2013"]
    assert load(tmp_path / "data").fingerprint == load(fake_folder).fingerprint


class DataCorruptionError(Exception):
    """As Kaggle's client has it: its errors have no ancestor of their own."""


@pytest.mark.parametrize("error", [DataCorruptionError("hash mismatch"), zipfile.BadZipFile("no zip"), OSError("offline")])
def test_whatever_kaggles_client_dies_of_is_one_line(error, fer, kaggle, tmp_path, monkeypatch):
    def fail(handle):
        raise error

    monkeypatch.setattr(sys.modules["kagglehub"], "dataset_download", fail)
    outcome = fer("data", "download", "--out", tmp_path / "data")
    *_, line = outcome.err.splitlines()
    assert (
        outcome.code == 2
        and "Traceback" not in outcome.err
        and f"Kaggle gave no data ({error})" in line
        and "archive.zip" in line
    )
    assert list(tmp_path.iterdir()) == []


def test_a_download_into_a_file_is_refused_before_anything_is_fetched(fer, kaggle, tmp_path):
    (tmp_path / "data").write_text("in the way", encoding="utf-8")
    outcome = fer("data", "download", "--out", tmp_path / "data")
    assert outcome.code == 2 and str(tmp_path / "data") in outcome.err and "choose another" in outcome.err
    assert kaggle == [] and "Kaggle gave" not in outcome.err


def test_a_download_that_cannot_be_written_leaves_nothing_and_is_not_blamed_on_kaggle(fer, kaggle, tmp_path, monkeypatch):
    fetched = tmp_path / "fetched"
    fakes.write_folder(fetched)
    (fetched / "train" / "happy" / "gone.png").symlink_to("nowhere")
    monkeypatch.setattr(sys.modules["kagglehub"], "dataset_download", lambda handle: str(fetched))
    outcome = fer("data", "download", "--out", tmp_path / "data")
    assert outcome.code == 2 and "cannot write" in outcome.err and "Kaggle gave" not in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["fetched"]  # half a data set would pass for one


def test_a_download_is_not_mixed_with_what_is_there(fer, kaggle, tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    outcome = fer("data", "download", "--out", tmp_path / "data")
    assert outcome.code == 2 and "data exists already; name a new folder" in outcome.err
    assert kaggle == []


# splits for training


def test_without_a_validation_split_a_part_of_train_is_held_out(tmp_path):
    corpus = load(fakes.write_zip(tmp_path / "train.zip", train=40, validation=0))
    train, held_out = corpus.for_training()
    assert len(train) + len(held_out) == 280 and 10 < len(held_out) < 60
    assert held_out.split == "validation" and train.split == "train"
    assert not set(train.names) & set(held_out.names)


def test_no_photo_is_on_both_sides_of_the_held_out_part_mirrored_or_not():
    photos = torch.randint(0, 256, (1000, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, names = torch.cat([photos, photos.flip(-1)]), tuple(map(str, range(2000)))
    faces = FaceSet(images, torch.arange(2000) % len(EMOTIONS), names, "train")
    train, held_out = Corpus(Path("own"), {"train": faces}).for_training()
    sides = [{int(name) % 1000 for name in side.names} for side in (train, held_out)]
    assert not sides[0] & sides[1] and [len(train), len(held_out)] == [2 * len(side) for side in sides]
    assert 60 < len(sides[1]) < 150


def test_the_held_out_part_does_not_depend_on_names_or_order(tmp_path):
    faces = [(image.label, image.pixels) for image in fakes.fake_set(train=20, validation=0)]
    one = rezip(tmp_path / "one.zip", [(f"train/{c}/{i}.png", fakes.encoded(p)) for i, (c, p) in enumerate(faces)])
    two = rezip(tmp_path / "two.zip", [(f"train/{c}/{999 - i}.png", fakes.encoded(p)) for i, (c, p) in enumerate(faces)])
    assert load(one).for_training()[1].fingerprint == load(two).for_training()[1].fingerprint


# the real set


@pytest.mark.realdata
def test_the_real_set_has_the_published_counts():
    corpus = load(REAL_DATA)
    assert {name: len(faces) for name, faces in corpus.splits.items()} == {"train": 28709, "validation": 3589}
    assert list(corpus.split("train").counts.values()) == [3995, 436, 4097, 7215, 4965, 4830, 3171]
    assert list(corpus.split("validation").counts.values()) == [467, 56, 496, 895, 607, 653, 415]


@pytest.mark.realdata
def test_the_real_set_has_the_known_class_weights():
    weights = balanced_class_weights(load(REAL_DATA).split("train").counts)
    np.testing.assert_allclose(weights, [1.03, 9.41, 1.00, 0.57, 0.83, 0.85, 1.29], atol=0.006)


@pytest.mark.realdata
def test_nothing_of_the_real_set_is_skipped_and_no_test_split_is_made_up():
    corpus = load(REAL_DATA)
    assert corpus.skipped == ()
    with pytest.raises(DataError, match="train, validation"):
        corpus.split("test")
