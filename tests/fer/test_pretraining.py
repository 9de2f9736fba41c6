"""Pretraining on natural images: reading them, learning from them, going on, and starting a face run from the result."""

import bz2
import gzip
import io
import json
import lzma
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data.natural import load_natural
from fer.errors import ConfigError, DataError, TrainingError
from fer.models.trunk import read_trunk
from fer.models.weights import read_state
from fer.overrides import KEYS, with_values
from fer.training import store
from fer.training.pretrain import HEEDED, pretrain

CLASSES = ("n01", "n02", "n03")
FAST = {"batch_size": 12, "precision": "fp32", "epochs": 3, "warmup": 0.0, "lr": 0.02, "ema": 0.0, "dropout": 0.0}


def picture(label: int, seed: int) -> bytes:
    """A colour picture of 32 pixels: a bright half, whose place tells the class."""
    rng = np.random.default_rng([label, seed])
    image = rng.integers(0, 80, (32, 32, 3))
    image[(slice(0, 16), slice(16, 32), slice(8, 24))[label]] += 150
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tree(root: Path, train: int = 12, validation: int = 4) -> Path:
    for split, count in (("train", train), ("validation", validation)):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                seed = number + 100 * (split == "train")
                (root / split / name / f"{name}_{number}.png").write_bytes(picture(label, seed))
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return write_tree(tmp_path_factory.mktemp("natural"))


@pytest.fixture(scope="module")
def tar(tree, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tar") / "natural.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        archive.add(tree, ".")
    return path


@pytest.fixture(scope="module")
def natural(tree, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_natural(tree)


# reading


@pytest.mark.parametrize("kind", ["folder", "tar.xz", "zip"])
def test_every_layout_gives_the_same_grey_pixels_and_labels(kind, tree, tar, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    path = {"folder": tree, "tar.xz": tar}.get(kind) or Path(shutil.make_archive(str(tmp_path / "natural"), "zip", tree))
    found = load_natural(path)
    assert found.classes == CLASSES
    assert {split: len(labels) for split, labels in found.labels.items()} == {"train": 36, "validation": 12}
    for split, images in found.images.items():
        assert images.shape[1:] == (1, 32, 32) and images.dtype == torch.uint8
        expected = {}
        for label, name in enumerate(CLASSES):
            for file in (tree / split / name).iterdir():
                expected[np.asarray(Image.open(file).convert("L")).tobytes()] = label
        got = {image.numpy().tobytes(): int(label) for image, label in zip(images, found.labels[split], strict=True)}
        assert got == expected


def test_the_second_time_comes_from_the_cache_and_a_damaged_one_is_read_anew(tar, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    reports = []
    first = load_natural(tar)
    monkeypatch.setattr("fer.data.natural.decode_grey", lambda *_: reports.append(1))
    again = load_natural(tar)
    assert not reports
    assert torch.equal(again.images["train"], first.images["train"]) and again.classes == first.classes
    monkeypatch.undo()
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    (cache,) = (tmp_path / "cache").iterdir()
    cache.write_bytes(cache.read_bytes()[:-100])
    assert torch.equal(load_natural(tar).images["train"], first.images["train"])


CLASSES_DAMAGED = {"missing": None, "no JSON": b"[", "no text": b"\xff", "no list": b"7"}


@pytest.mark.parametrize("damage", CLASSES_DAMAGED)
def test_a_cache_with_damaged_class_names_is_read_anew(damage, tar, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    first = load_natural(tar)
    (cache,) = (tmp_path / "cache").iterdir()
    arrays = {name: array for name, array in np.load(cache).items() if name != "classes"}
    if (spoilt := CLASSES_DAMAGED[damage]) is not None:
        arrays["classes"] = np.frombuffer(spoilt, dtype=np.uint8)
    np.savez(cache, **arrays)
    assert load_natural(tar).classes == first.classes == CLASSES


def test_a_file_without_a_name_in_a_tar_is_passed_over(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "natural.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("."), io.BytesIO())
        archive.add(tree, ".")
    assert load_natural(tmp_path / "natural.tar").classes == CLASSES


def _one_class(root: Path) -> None:
    shutil.rmtree(root / "train" / "n02")
    shutil.rmtree(root / "train" / "n03")


def _no_validation(root: Path) -> None:
    shutil.rmtree(root / "validation")


def _stray(root: Path) -> None:
    (root / "odd.png").write_bytes(picture(0, 0))


def _damaged(root: Path) -> None:
    (root / "train" / "n01" / "n01_0.png").write_bytes(b"\x89PNG no")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_one_class, "1 classes in train"),
        (_no_validation, "0 in validation"),
        (_stray, r"odd.png does not lie in train/<class>/ or validation/<class>/; give a tar, zip or folder of"),
        (_damaged, "n01_0.png"),
    ],
)
def test_bad_trees_are_refused_in_one_line(spoil, message, tmp_path):
    spoil(write_tree(tmp_path / "tree"))
    with pytest.raises(DataError, match=message) as raised:
        load_natural(tmp_path / "tree")
    assert "\n" not in str(raised.value)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "natural.tar.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="no readable tar") as raised:
        load_natural(tmp_path / "natural.tar.xz")
    assert "train/<class>/" in str(raised.value) and "method" not in str(raised.value)
    with pytest.raises(DataError, match="no data at"):
        load_natural(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("damage", ["header", "cut", "end", "flipped"])
def test_a_damaged_archive_is_refused_and_not_read_in_part(damage, kind, tree, tmp_path):
    plain, path = io.BytesIO(), tmp_path / f"natural.tar{kind and '.'}{kind}"
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.add(tree, ".")
    with tarfile.open(fileobj=io.BytesIO(plain.getvalue())) as archive:
        entries = archive.getmembers()
    data = bytearray(plain.getvalue())
    if damage == "header":  # of a picture in the middle
        middle = entries[len(entries) // 2]
        data[middle.offset : middle.offset + 512] = b"x" * 512
    elif damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "end":  # the pictures are all there, but nothing says so
        del data[max(entry.offset_data + -(-entry.size // 512) * 512 for entry in entries) :]
    pack = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind]
    stored = bytearray(pack(bytes(data)))
    if damage == "flipped":
        if not kind:
            pytest.skip("a plain tar has no checksum of its files")
        stored[-6] ^= 0x10  # in the sums at the end: before them it may spoil a picture, of which that is said then
    path.write_bytes(stored)
    with pytest.raises(DataError, match="no readable tar") as raised:
        load_natural(path)
    assert "\n" not in str(raised.value)


# learning


def config(**values) -> RunConfig:
    return with_values(RunConfig(), {"model": "baseline", **FAST, **values}, "test")


def test_a_batch_larger_than_the_set_is_refused(natural, tmp_path):
    count = len(natural.labels["train"])
    with pytest.raises(ConfigError, match=f"batch_size={count + 1} is more than the {count} images; use .*={count} or less"):
        pretrain(config(batch_size=count + 1), natural, tmp_path / "trunk.pth")
    assert not list(tmp_path.iterdir())


def test_it_learns_and_the_file_says_what_was_measured(natural, tmp_path):
    epochs = []
    about = pretrain(config(epochs=8), natural, tmp_path / "trunk.pth", epochs.append)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 9))
    assert epochs[-1].train_loss < 0.8 * epochs[0].train_loss
    assert epochs[-1].validation_accuracy == about["validation_accuracy"] > 0.8
    trunk = read_trunk(tmp_path / "trunk.pth")
    assert trunk is not None
    assert (trunk.architecture, trunk.variant, trunk.about) == ("baseline", "small", about)
    assert about["classes"] == 3 and about["n"] == 36
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trunk.pth"]


class _Stop(Exception):
    pass


@pytest.mark.parametrize("stop_after", [1, 2])
def test_stopped_it_goes_on_with_the_next_epoch_and_ends_the_same(natural, tmp_path, stop_after):
    def stop(epoch):
        if epoch.epoch == stop_after:
            raise _Stop

    with pytest.raises(_Stop):
        pretrain(config(ema=0.9), natural, tmp_path / "stopped.pth", stop)
    epochs = []
    pretrain(config(ema=0.9), natural, tmp_path / "stopped.pth", epochs.append)
    assert [epoch.epoch for epoch in epochs] == list(range(stop_after + 1, 4))
    pretrain(config(ema=0.9), natural, tmp_path / "whole.pth")
    one, other = read_state(tmp_path / "stopped.pth"), read_state(tmp_path / "whole.pth")
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_another_pretraining_at_the_same_place_is_refused(natural, tmp_path):
    def stop(_):
        raise _Stop

    with pytest.raises(_Stop):
        pretrain(config(), natural, tmp_path / "trunk.pth", stop)
    with pytest.raises(ConfigError, match="another pretraining"):
        pretrain(config(lr=0.1), natural, tmp_path / "trunk.pth")


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "vit"])
def test_forms_that_enlarge_the_images_learn_too(natural, tmp_path, name):
    pretrain(config(model=name, epochs=1), natural, tmp_path / "trunk.pth")
    assert read_trunk(tmp_path / "trunk.pth").architecture == name


@pytest.mark.parametrize("content", [{}, {"config": 1}, [1, 2], torch.zeros(3)], ids=["empty", "other", "list", "tensor"])
def test_another_programs_file_at_the_place_of_the_state_is_left_alone(content, natural, tmp_path):
    partial = tmp_path / "trunk.pth.partial"
    torch.save(content, partial)
    before = partial.read_bytes()
    with pytest.raises(ConfigError, match="belongs to another pretraining"):
        pretrain(config(), natural, tmp_path / "trunk.pth")
    assert partial.read_bytes() == before


def _flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def _cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize("damage", [_flip, _cut, bytearray.clear])
def test_a_damaged_state_is_told_and_started_over(damage, natural, tmp_path):
    def stop(_):
        raise _Stop

    with pytest.raises(_Stop):
        pretrain(config(), natural, tmp_path / "trunk.pth", stop)
    data = bytearray((tmp_path / "trunk.pth.partial").read_bytes())
    damage(data)
    (tmp_path / "trunk.pth.partial").write_bytes(data)
    epochs, notes = [], []
    pretrain(config(), natural, tmp_path / "trunk.pth", epochs.append, on_note=notes.append)
    assert notes == [f"{tmp_path / 'trunk.pth.partial'} is damaged; starting over"]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]


def test_a_whole_state_without_a_part_is_one_line(natural, tmp_path):
    def stop(_):
        raise _Stop

    out = tmp_path / "trunk.pth"
    with pytest.raises(_Stop):
        pretrain(config(), natural, out, stop)
    state = store.unpacked(torch.load(f"{out}.partial", weights_only=True), out)
    del state["average_steps"]
    torch.save(store.packed(state), f"{out}.partial")
    with pytest.raises(ConfigError, match="belongs to another pretraining"):
        pretrain(config(), natural, out)


def test_what_kills_left_half_written_is_swept(natural, tmp_path):
    for name in (".trunk.pth.0123abcd", ".trunk.pth.partial.4567cdef", ".other.pth.0123abcd"):
        (tmp_path / name).write_bytes(b"half")
    pretrain(config(epochs=1), natural, tmp_path / "trunk.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.pth.0123abcd", "trunk.pth"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_how_it_goes_on_once_there_is_something_to_go_on_from(number, fer, tar, tmp_path, monkeypatch):
    from fer.training.pretrain import _Learner

    left, validate = iter([False, True, True]), _Learner.validate

    def stopping(learner):
        if next(left, False):
            signal.raise_signal(number)
        return validate(learner)

    monkeypatch.setattr(_Learner, "validate", stopping)
    words = ["pretrain", "fast_cnn", "--data", tar, "--epochs", 2, "--set", "batch_size=12"]
    outcome = fer(*words, "--out", tmp_path / "trunk.pth")
    told = "fer: stopped; the same command goes on after the last whole epoch"
    assert outcome.code == 130 and outcome.err.splitlines()[-1] == told
    outcome = fer(*words, "--out", tmp_path / "another.pth")
    assert outcome.code == 130 and "goes on" not in outcome.err
    assert fer(*words, "--out", tmp_path / "trunk.pth").code == 0
    assert read_trunk(tmp_path / "trunk.pth").architecture == "fast_cnn"


def test_without_memory_only_what_a_pretraining_heeds_is_advised(fer, tar, tmp_path, monkeypatch):
    def train(*_):
        raise torch.OutOfMemoryError("cannot allocate 20.00 GiB")

    monkeypatch.setattr("fer.training.pretrain._Learner.train", train)
    words = ["--data", tar, "--out", tmp_path / "trunk.pth", "--epochs", 1, "--set", "batch_size=12"]
    outcome = fer("pretrain", "net", *words)
    told = "fer: out of memory at batch_size=12; start a run with --set batch_size=6"
    assert outcome.code == 2 and outcome.err.splitlines()[-1] == told


def test_a_pretraining_that_diverges_keeps_nothing(natural, tmp_path):
    with pytest.raises(TrainingError, match="not finite in epoch 1; use a lower --set lr"):
        pretrain(config(lr=100.0, grad_clip=0.0, optimizer="sgd"), natural, tmp_path / "trunk.pth")
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_cannot_be_pretrained(natural, tmp_path):
    with pytest.raises(ConfigError, match="ensemble"):
        pretrain(config(model="ensemble"), natural, tmp_path / "trunk.pth")


@pytest.mark.parametrize(
    ("changes", "unheeded"),
    [
        ({"mixup": 0.2}, "augmentation.mixup"),
        ({"alternating_flip": True}, "augmentation.alternating_flip"),
        ({"loss": "focal"}, "loss.name"),
        ({"class_weights": "balanced", "labels": "ferplus-soft", "votes": "v.csv"}, "labels, votes, loss.class_weights"),
        ({"schedule": "one-cycle"}, "schedule.name"),
        ({"input_size": 64}, "input_size"),
        ({"early_stopping": 3}, "early_stopping.patience"),
    ],
    ids=str,
)
def test_what_a_pretraining_does_not_heed_is_said(changes, unheeded, natural, tmp_path):
    with pytest.raises(ConfigError, match=f"does not heed {unheeded}; leave that out"):
        pretrain(config(**changes), natural, tmp_path / "trunk.pth")


@pytest.mark.parametrize("key", sorted(HEEDED))
def test_all_that_a_pretraining_heeds_is_a_key(key):
    assert key in KEYS


# from the command line to a face run


@pytest.fixture(scope="module")
def trunk(tar, tmp_path_factory) -> Path:
    from fer.cli import main

    path = tmp_path_factory.mktemp("trunk") / "mobilenet.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        words = ["pretrain", "mobilenet_v3_small", "--data", tar, "--out", path, "--epochs", 1, "--set", "batch_size=12"]
        assert main([str(word) for word in words]) == 0
    return path


@pytest.mark.parametrize("mode", ["finetune", "feature-extract", "gradual"])
def test_a_face_run_starts_from_it_in_its_own_small_form(fer, fake_zip, trunk, mode, tmp_path):
    words = ["train", "mobilenet_v3_small", "--mode", mode, "--init", trunk, "--data", fake_zip, "--runs", tmp_path]
    outcome = fer(*words, "--epochs", 1, "--set", "batch_size=14", "--set", "lr=1e-9", "--set", "ema=0")
    assert outcome.code == 0, outcome.err
    checkpoint = checkpoints.load(Path(outcome.out.strip()) / "best.pth")
    assert checkpoint.card.variant == "small"
    assert checkpoint.card.data["pretrained"]["data"] == "natural.tar.xz"
    start, state = read_state(trunk), checkpoint.model.state_dict()
    torch.testing.assert_close(state["features.4.block.0.0.weight"], start["features.4.block.0.0.weight"].float())
    assert state["classifier.3.weight"].shape[0] == 7


def test_compare_modes_sets_scratch_beside_it(fer, fake_zip, trunk, tmp_path):
    words = ["--modes", "scratch,finetune", "--init", trunk, "--data", fake_zip, "--runs", tmp_path, "--epochs", 1, "--json"]
    outcome = fer("compare-modes", "mobilenet_v3_small", *words, "--set", "batch_size=14")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [row["mode"] for row in rows] == ["scratch", "finetune"]
    scratch, finetuned = (checkpoints.load(Path(row["run"]) / "best.pth").card for row in rows)
    assert "pretrained" not in scratch.data and "pretrained" in finetuned.data


def test_a_trunk_of_another_architecture_is_refused(fer, fake_zip, trunk, tmp_path):
    words = ["--mode", "finetune", "--init", trunk, "--data", fake_zip, "--runs", tmp_path]
    outcome = fer("train", "resnet18", *words)
    assert outcome.code == 2
    assert "weights of mobilenet_v3_small, not of resnet18" in outcome.err and len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("place", ["missing/trunk.pth", "."])
def test_where_nothing_can_be_written_is_said_before_images_are_read(place, fer, tmp_path):
    outcome = fer("pretrain", "net", "--data", tmp_path / "nowhere.tar", "--out", tmp_path / place)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "cannot write" in line and "choose another" in line


def test_the_architecture_that_is_named_is_the_one_pretrained(fer, tar, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    words = ["--data", tar, "--out", tmp_path / "trunk.pth", "--epochs", 1, "--set", "batch_size=12", "--set", "model=vgg8"]
    assert fer("pretrain", "fast_cnn", *words).code == 0
    assert read_trunk(tmp_path / "trunk.pth").architecture == "fast_cnn"


@pytest.mark.parametrize(("name", "words"), [("nope", "unknown architecture 'nope'"), ("ensemble", "no form for small faces")])
def test_a_name_that_cannot_be_pretrained_is_said_before_images_are_read(name, words, fer, tmp_path):
    outcome = fer("pretrain", name, "--data", tmp_path / "nowhere.tar", "--out", tmp_path / "trunk.pth")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and words in line


@pytest.mark.parametrize(
    ("more", "refused"),
    [(["--set", "small_epochs=5"], True), (["--set", "small_epochs=0"], False), (["--epochs", 10], False), ([], False)],
    ids=str,
)
def test_smaller_images_for_a_net_of_one_size_are_refused_unless_the_recipe_says_so(more, refused, fer, tmp_path):
    outcome = fer("pretrain", "baseline", "--data", tmp_path / "nowhere.tar", "--out", tmp_path / "trunk.pth", *more)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and ("nowhere.tar" not in line) == refused
    assert not refused or "baseline takes inputs of 48 pixels only, not small_epochs=5; leave that out" in line


def test_compare_modes_says_what_a_finished_mode_came_to_before_a_later_one_fails(fer, fake_zip, trunk, tmp_path, monkeypatch):
    from fer.training import run as runs

    def train(config, *rest, **more):
        if config.mode == "finetune":
            raise TrainingError("out of memory")
        return trained(config, *rest, **more)

    trained = runs.train
    monkeypatch.setattr(runs, "train", train)
    words = ["--modes", "scratch,finetune", "--init", trunk, "--data", fake_zip, "--runs", tmp_path, "--epochs", 1]
    outcome = fer("compare-modes", "mobilenet_v3_small", *words, "--set", "batch_size=14")
    assert outcome.code == 2 and outcome.err.splitlines()[-1] == "fer: out of memory"
    (folder,) = tmp_path.iterdir()
    accuracy = checkpoints.load(folder / "best.pth").card.validation_accuracy
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("scratch: ")]
    assert line.endswith(f" {folder}") and f"{100 * accuracy:.2f} %" in line
