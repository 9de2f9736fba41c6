"""A small data set with every defect planted once or twice, and smooth random faces that are all different."""

import io
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from fer.data import FaceSet
from fer.emotions import EMOTIONS
from tests import fakes


def face(seed):
    """uint8 (48, 48): blobs of several sizes, like no other seed's."""
    rng = np.random.default_rng(seed)
    layers = [amount * cv2.GaussianBlur(rng.standard_normal((48, 48)), (0, 0), s) * s for s, amount in ((1, 1), (2, 1), (4, 1))]
    return np.clip(128 + 60 * sum(layers), 0, 255).astype(np.uint8)


def fainter(image):
    return (image * 0.6 + 60).astype(np.uint8)


def moved(image, right=1, down=1, zoom=1.0):
    matrix = np.float32([[zoom, 0, right + 23.5 * (1 - zoom)], [0, zoom, down + 23.5 * (1 - zoom)]])
    return cv2.warpAffine(image, matrix, (48, 48), borderMode=cv2.BORDER_REFLECT)


def compressed(image, quality=40):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


BLANK = np.full((48, 48), 7, dtype=np.uint8)

#: Split → file → pixels; the folder is the label.
PLANTED = {
    "train": {
        "happy/a1": face(1),
        "happy/a2": face(2),
        "happy/a3": face(3),
        "happy/a4": face(4),
        "happy/a5": face(5),
        "happy/a6": face(6),
        "happy/a7-copy-of-a1": face(1),
        "happy/a8-blank": BLANK,
        "sad/b1": face(11),
        "sad/b2": face(12),
        "sad/b3-copy-of-a2": face(2),
        "sad/b4-mirrored-b1": face(11)[:, ::-1],
        "sad/b5-dark": (face(13) // 8).astype(np.uint8),
        "sad/b6-blurred": cv2.GaussianBlur(face(14), (0, 0), 6),
    },
    "validation": {
        "happy/c1-copy-of-a4": face(4),
        "happy/c2-mirrored-a5": face(5)[:, ::-1],
        "happy/c3-fainter-a6": fainter(face(6)),
        "happy/c4": face(21),
        "happy/c5-moved-c4": compressed(moved(face(21))),
        "sad/d1-copy-of-a3": face(3),
        "sad/d2": face(22),
        "sad/d3-blank": BLANK,
    },
}

#: Kind → (split, file) → twin, counted by hand. b6 and d1 are explained where they stand.
FOUND = {
    "blank": {("train", "happy/a8-blank"): "", ("validation", "sad/d3-blank"): ""},
    "conflict": {
        ("train", "happy/a2"): "train/sad/b3-copy-of-a2",
        ("train", "sad/b3-copy-of-a2"): "train/happy/a2",
        ("train", "happy/a3"): "validation/sad/d1-copy-of-a3",
        ("validation", "sad/d1-copy-of-a3"): "train/happy/a3",
        ("train", "happy/a8-blank"): "validation/sad/d3-blank",  # equal pixels, other labels
        ("validation", "sad/d3-blank"): "train/happy/a8-blank",
    },
    "leak": {
        ("validation", "happy/c1-copy-of-a4"): "train/happy/a4",
        ("validation", "happy/c2-mirrored-a5"): "train/happy/a5",
        ("validation", "sad/d1-copy-of-a3"): "train/happy/a3",
        ("validation", "sad/d3-blank"): "train/happy/a8-blank",
    },
    "near-leak": {("validation", "happy/c3-fainter-a6"): "train/happy/a6"},
    "copy": {
        ("train", "happy/a7-copy-of-a1"): "train/happy/a1",
        ("train", "sad/b3-copy-of-a2"): "train/happy/a2",
        ("train", "sad/b4-mirrored-b1"): "train/sad/b1",
    },
    "near-copy": {("validation", "happy/c5-moved-c4"): "validation/happy/c4"},
    "dark": {("train", "sad/b5-dark"): ""},
    "blurred": {("train", "sad/b6-blurred"): ""},
    "non-face": {},
}


def write(root: Path) -> Path:
    """The planted set as a folder."""
    for split, files in PLANTED.items():
        for name, pixels in files.items():
            path = root / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fakes.encoded(np.ascontiguousarray(pixels)))
    return root


def stack(*images):
    """uint8 (N, 1, 48, 48)."""
    return torch.from_numpy(np.stack([np.ascontiguousarray(image) for image in images]))[:, None]


def face_set(images, split="train", label=0):
    """A split whose faces all have one label and are named by number."""
    names = tuple(f"{split}-{n}" for n in range(len(images)))
    return FaceSet(images, torch.full((len(images),), label), names, split, EMOTIONS)
