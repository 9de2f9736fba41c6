"""Decoded data sets are kept by content, written whole, and never trusted when damaged."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from fer.data import load, source
from fer.data.cache import read_arrays, write_arrays
from fer.errors import DataError
from tests import fakes
from tests.fer.strange import noise, saved

COUNTS = {"train": 6, "validation": 3, "test": 2}


@pytest.fixture
def packings(fake_folder, fake_zip):
    return {"folder": fake_folder, "zip": fake_zip}


@pytest.fixture
def decodings(monkeypatch):
    """How often pictures were really decoded."""
    calls, decode = [], source.read_folders

    def counted(*arguments):
        calls.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(source, "read_folders", counted)
    return calls


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_data_set_is_decoded_once(packing, packings, cache, decodings):
    first, second = load(packings[packing]), load(packings[packing])
    assert len(decodings) == 1
    assert second.fingerprint == first.fingerprint
    assert second.origin == first.origin == packings[packing]
    assert {name: faces.names for name, faces in second.splits.items()} == {n: f.names for n, f in first.splits.items()}


def test_the_cache_follows_the_content_not_the_path(fake_zip, tmp_path, cache, decodings):
    load(fake_zip)
    moved = load(shutil.copy(fake_zip, tmp_path / "renamed.zip"))
    assert len(decodings) == 1
    assert moved.origin == tmp_path / "renamed.zip"


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_changed_content_is_decoded_anew(packing, tmp_path, cache):
    path = tmp_path / "data.zip" if packing == "zip" else tmp_path / "data"
    write = fakes.write_zip if packing == "zip" else fakes.write_folder
    before = load(write(path, train=1)).fingerprint
    assert load(write(path, train=2)).fingerprint != before


def test_a_picture_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path, cache):
    path = tmp_path / "faces" / "train" / "happy" / "1.bmp"
    path.parent.mkdir(parents=True)
    fingerprints = set()
    for seed in (1, 2):
        path.write_bytes(saved(Image.fromarray(noise(48, 48, 1, seed)), "BMP"))
        os.utime(path, (1_000_000, 1_000_000))
        fingerprints.add(load(tmp_path / "faces").fingerprint)
    assert len(fingerprints) == 2


DAMAGE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "overwritten": lambda data: b"nonsense" * 10,
    "one bit flipped": lambda data: data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_replaced(damage, fake_zip, cache, decodings):
    good = load(fake_zip).fingerprint
    (file,) = cache.iterdir()
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert load(fake_zip).fingerprint == good
    assert load(fake_zip).fingerprint == good
    assert len(decodings) == 2


def test_a_cache_with_any_byte_damaged_is_no_cache_or_still_the_same(cache, caplog):
    """Of zip's headers and numpy's; what lies between is guarded by zip's checksum."""
    arrays = {"images": noise(48, 48, 3), "labels": np.arange(3)}
    write_arrays("faces", arrays)
    (file,) = cache.iterdir()
    good, ignored = file.read_bytes(), 0
    places = [place for place in range(len(good)) if place < 200 or place > len(good) - 500]
    for place in places:
        for byte in (good[place] ^ 1, good[place] ^ 16, 0, 120):
            file.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
            found = read_arrays("faces")
            ignored += found is None
            for name in arrays.keys() & (found or {}).keys():
                np.testing.assert_array_equal(found[name], arrays[name])
    assert ignored > len(places) and len(caplog.messages) == ignored


@pytest.mark.parametrize("place", ["file/cache", "x" * 300], ids=["inside a file", "a name that the disk refuses to look up"])
def test_a_cache_that_cannot_be_written_costs_only_speed(place, fake_zip, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FER_CACHE", str(tmp_path / place))
    assert load(fake_zip).split("train").counts["happy"] == 6


def test_a_cache_file_is_written_whole_or_not_at_all(fake_zip, cache):
    load(fake_zip)
    (file,) = cache.iterdir()
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    assert load(fake_zip).split("train").counts["happy"] == 6
    assert [path.name for path in cache.iterdir()] == [file.name]


def test_bad_data_leaves_nothing_in_the_cache(tmp_path, cache):
    path = fakes.write_zip(tmp_path / "archive.zip", {"train/contempt/1.png": b""}, train=1)
    with pytest.raises(DataError):
        load(path)
    assert not cache.exists() or not list(cache.iterdir())
