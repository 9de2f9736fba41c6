"""A cleaned data set as class folders of PNG files, with a manifest of what was left out and why."""

import csv
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from fer.data.clean import CleanIndex
from fer.data.faceset import Corpus, FaceSet
from fer.errors import DataError
from fer.files import ESCAPED, whole_folder
from fer.types import Progress

MANIFEST = "manifest.csv"


def write_clean(corpus: Corpus, index: CleanIndex, out: Path, progress: Progress | None = None) -> int:
    """Write ``out/<split>/<class>/<name>.png`` for every face that stays, ``out/manifest.csv`` for the others; how many stay.

    :func:`fer.data.load` reads the folder back with the same pixels, labels and splits. Nothing is there before all is.

    Raises:
        DataError: the index belongs to other data or leaves nothing of a split.
        OutputError: ``out`` exists, lies in the data set, or cannot be written.
    """
    index.refuse_other(corpus)
    corpus.refuse_inside(out)
    splits = [index.select(faces) for faces in corpus.splits.values()]
    total, done = sum(len(faces) for faces in splits), 0
    with whole_folder(out) as folder:
        for faces in splits:
            for place, path in enumerate(_paths(faces, folder)):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(faces.images[place, 0].numpy()).save(path)
                done += 1
                if progress and (done % 256 == 0 or done == total):
                    progress(done, total)
        _write_manifest(corpus, index, folder / MANIFEST)
    return total


def _paths(faces: FaceSet, folder: Path) -> Iterator[Path]:
    """One path a face, by its own name; numbered where another face has it, also where capitals alone differ."""
    used: set[str] = set()
    for name, label in zip(faces.names, faces.labels.tolist(), strict=True):
        stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem)
        path, number = folder / faces.split / faces.classes[label] / f"{stem}.png", 1
        while str(path).lower() in used:
            number += 1
            path = path.with_name(f"{stem}-{number}.png")
        used.add(str(path).lower())
        yield path


def _write_manifest(corpus: Corpus, index: CleanIndex, path: Path) -> None:
    labels = {
        (faces.split, name): faces.classes[label]
        for faces in corpus.splits.values()
        for name, label in zip(faces.names, faces.labels.tolist(), strict=True)
    }
    with path.open("w", encoding="utf-8", errors=ESCAPED, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", "name", "label", "reason", "twin"])
        for face in index.left_out:
            if (face.split, face.name) not in labels:
                raise DataError(f"the clean index names {face.name}, which the {face.split} split does not have; make it anew")
            writer.writerow([face.split, face.name, labels[face.split, face.name], face.reason, face.twin])
