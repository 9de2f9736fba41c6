"""From a path to a :class:`Corpus`: which source it is, where the decoded form is cached, where to look by default."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fer.data.archive import FileTree, Member, file_reader, file_sha256, open_tree
from fer.data.cache import read_arrays, write_arrays
from fer.data.challenge_csv import read_csv
from fer.data.faceset import SPLITS, Corpus, FaceSet, Row, Skipped
from fer.data.folder import read_folders
from fer.errors import DataError
from fer.files import expanded
from fer.types import Progress

_log = logging.getLogger(__name__)

#: Raised by one whenever decoding changes, so that older caches are not read.
_CACHE_VERSION = 2

_HOW_TO_GET = (
    "get FER-2013 with `fer data download` (a Kaggle account is needed), or put Kaggle's archive.zip into data/, "
    "or name its path (with --data; fer data info, check and clean take it alone) or set $FER_DATA"
)
#: Names under which the challenge's csv is offered.
_CSV_FILES = ("fer2013.csv", "icml_face_data.csv")
_DEFAULT_FILES = ("archive.zip", "fer2013.zip", *_CSV_FILES)


def load(path: Path | str | None = None, progress: Progress | None = None) -> Corpus:
    """Read a data set; the second time from a cache keyed by its content.

    Args:
        path: Kaggle zip, ``fer2013.csv``, a folder of either, or a folder of class folders;
            None looks at ``$FER_DATA``, then at ``data/`` in the working folder.
        progress: called with (pictures done, pictures in all) while decoding.

    Raises:
        DataError: nothing there, unsafe or inconsistent.
    """
    origin = locate(path)
    tree = open_tree(origin) if origin.is_dir() else None
    key = tree.key if tree else file_sha256(origin)
    cache = f"faces-{key[:32]}-v{_CACHE_VERSION}"
    cached = _read_cache(cache, origin)
    if cached:
        return _told(cached)
    if not tree and not _is_csv(origin):
        tree = open_tree(origin)  # only now: listing 30,000 entries takes as long as reading the cache
    rows, skipped, note = (
        _read_tree(tree, progress) if tree else (read_csv(file_reader(origin)(), str(origin), progress), [], "")
    )
    corpus = Corpus(origin, _split_up(rows), tuple(skipped), photo_note=note)
    _write_cache(cache, corpus)
    return _told(corpus)


def _told(corpus: Corpus) -> Corpus:
    """The same, once a person has been told of pictures that are no faces."""
    if corpus.photo_note:
        _log.warning("%s: %s", corpus.origin, corpus.photo_note)
    return corpus


def locate(path: Path | str | None) -> Path:
    """The data set a user means; DataError with the ways to get one where there is none."""
    named = path or os.environ.get("FER_DATA")
    if named:
        found = expanded(named)
        if not found.exists():
            raise DataError(f"no data at {named}; {_HOW_TO_GET}")
        return _inside(found)
    folder = Path("data")
    if folder.is_dir() and any(folder.iterdir()):
        return _inside(folder)
    raise DataError(f"no data set named and none in data/; {_HOW_TO_GET}")


def _inside(path: Path) -> Path:
    """A folder may just hold the archive or csv as downloaded."""
    if path.is_dir():
        for name in _DEFAULT_FILES:
            if (path / name).is_file():
                return path / name
    return path


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _read_tree(tree: FileTree, progress: Progress | None) -> tuple[list[Row], Sequence[Skipped], str]:
    table = _only_csv(tree)
    if table:
        return read_csv(table.read(), f"{tree.origin}: {table.path}", progress), [], ""
    return read_folders(tree, progress)


def _only_csv(tree: FileTree) -> Member | None:
    """Some archives hold the challenge's csv instead of pictures."""
    tables = [member for member in tree.members if member.path.name.lower() in _CSV_FILES]
    return tables[0] if tables else None


def _split_up(rows: Sequence[Row]) -> dict[str, FaceSet]:
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row.split == split]
        if chosen:
            images = torch.from_numpy(np.stack([row.pixels for row in chosen])[:, None])
            labels = torch.tensor([row.label for row in chosen])
            splits[split] = FaceSet(images, labels, tuple(row.name for row in chosen), split)
    return splits


def _write_cache(name: str, corpus: Corpus) -> None:
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for split, faces in corpus.splits.items():
        arrays[f"{split}_images"] = faces.images.numpy()
        arrays[f"{split}_labels"] = faces.labels.numpy()
    names = {split: faces.names for split, faces in corpus.splits.items()}
    skipped = [(s.reason, s.count, s.example) for s in corpus.skipped]
    meta = {"names": names, "skipped": skipped, "photo_note": corpus.photo_note}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    write_arrays(name, arrays)


def _read_cache(name: str, origin: Path) -> Corpus | None:
    arrays = read_arrays(name)
    if arrays is None:
        return None
    try:
        meta = json.loads(arrays["meta"].tobytes())
        splits = {
            split: FaceSet(
                torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_labels"]), tuple(names), split
            )
            for split, names in meta["names"].items()
        }
        skipped = tuple(Skipped(*entry) for entry in meta["skipped"])
        return Corpus(origin, splits, skipped, photo_note=str(meta.get("photo_note", "")))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("a damaged cache is ignored: %s", error)
        return None
