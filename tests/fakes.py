"""Small generated stand-ins for FER-2013: no image of a real person, every class recognisable by its pattern."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fer.emotions import CSV_CODES, EMOTIONS
from fer.types import ByteArray

PREFIXES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


def fake_face(label: str, seed: int, size: int = 48) -> ByteArray:
    """uint8 (size, size): a bright disc whose place tells the class, on noise."""
    rng = np.random.default_rng([EMOTIONS.index(label), seed])
    angle = 2 * np.pi * EMOTIONS.index(label) / len(EMOTIONS)
    y, x = np.mgrid[0:size, 0:size] / size
    disc = np.hypot(x - 0.5 - 0.3 * np.cos(angle), y - 0.5 - 0.3 * np.sin(angle)) < 0.15
    return (rng.integers(0, 90, (size, size)) + 150 * disc).astype(np.uint8)


def encoded(image: ByteArray, kind: str = "PNG") -> bytes:
    """An image file's bytes; PNG keeps every pixel."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


@dataclass(frozen=True)
class FakeImage:
    """One file of the fake set: path in Kaggle's layout, true split, class, pixels."""

    path: str
    split: str
    label: str
    pixels: ByteArray


def fake_set(train: int = 6, validation: int = 3, test: int = 0) -> Iterator[FakeImage]:
    """So many images a class and split, named as Kaggle names them: PublicTest and PrivateTest both lie in test/."""
    number = 0
    for split, count in (("train", train), ("validation", validation), ("test", test)):
        folder = "train" if split == "train" else "test"
        for label in EMOTIONS:
            for _ in range(count):
                number += 1
                path = f"{folder}/{label}/{PREFIXES[split]}_{number:08}.png"
                yield FakeImage(path, split, label, fake_face(label, number))


def write_folder(root: Path, **counts: int) -> Path:
    """The fake set as a folder tree."""
    for image in fake_set(**counts):
        path = root / image.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image.pixels))
    return root


def write_zip(path: Path, extra: dict[str, bytes] | None = None, **counts: int) -> Path:
    """The fake set as a zip, with ``extra`` entries by name."""
    with zipfile.ZipFile(path, "w") as archive:
        for image in fake_set(**counts):
            archive.writestr(image.path, encoded(image.pixels))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return path


def csv_line(label: str, pixels: ByteArray, usage: str) -> str:
    """One row of fer2013.csv."""
    return f"{CSV_CODES.index(label)},{' '.join(map(str, pixels.reshape(-1).tolist()))},{usage}"


def write_csv(path: Path, **counts: int) -> Path:
    """The fake set as the challenge's csv."""
    rows = [csv_line(image.label, image.pixels, PREFIXES[image.split]) for image in fake_set(**counts)]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n", encoding="utf-8")
    return path
