"""Natural images to learn from before faces: ``train/<class>/`` and ``validation/<class>/`` in a tar, zip or folder."""

import json
import logging
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import torch

from fer.data.archive import MAX_ENTRIES, MAX_FILE_BYTES, file_sha256, is_junk, open_tree
from fer.data.cache import read_arrays, write_arrays
from fer.errors import DataError, ImageError
from fer.images import decode_grey, is_picture
from fer.types import Progress
from fer.words import shortened

_log = logging.getLogger(__name__)

#: Side to which images are brought; Tiny-ImageNet reduced to 32 pixels fits in a hundred megabytes.
SIDE = 32
_SPLITS = ("train", "validation")
_LAYOUT = "give a tar, zip or folder of train/<class>/ and validation/<class>/"


@dataclass(frozen=True, eq=False)
class NaturalImages:
    """Grey images of many classes, in two splits.

    Attributes:
        images: split → uint8 (N, 1, 32, 32).
        labels: split → int64 (N,), index into ``classes``.
        classes: names of the class folders, sorted.
        name: file or folder they come from.
        key: hex sha256 of that.
    """

    images: dict[str, torch.Tensor]
    labels: dict[str, torch.Tensor]
    classes: tuple[str, ...]
    name: str
    key: str


def load_natural(path: Path, progress: Progress | None = None) -> NaturalImages:
    """Read natural images; the second time from a cache.

    Raises:
        DataError: not there, damaged, or not laid out as two splits with the same class folders.
    """
    if not path.exists():
        raise DataError(f"no data at {path}; name a tar, zip or folder of train/<class>/ and validation/<class>/")
    tree = open_tree(path) if path.is_dir() or zipfile.is_zipfile(path) else None
    key = tree.key if tree else file_sha256(path)
    cache = f"natural-{key[:32]}-{SIDE}"
    found = _read_cache(cache, path, key)
    if found:
        return found
    files = ((member.path, member.read()) for member in tree.members) if tree else _tar_files(path)
    natural = _decoded(files, path, key, progress)
    _write_cache(cache, natural)
    return natural


class _WholeTar(tarfile.TarInfo):
    """Headers of a tar that has to be whole: what Python takes for its end, where one is damaged or missing, is an error."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """The next header; ReadError where there is none and the tar does not end, either."""
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut off: {error}") from error


def _tar_files(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Regular files of a tar, read in order and never written anywhere."""
    try:
        with tarfile.open(path, tarinfo=_WholeTar) as archive:
            for number, entry in enumerate(archive):
                if number >= MAX_ENTRIES or entry.size > MAX_FILE_BYTES:
                    raise DataError(f"{path}: too many or too large files; this is no set of small pictures")
                stream = archive.extractfile(entry) if entry.isfile() else None
                if stream:
                    yield PurePosixPath(entry.name), stream.read()
            while archive.fileobj and archive.fileobj.read(1 << 20):
                pass  # a compressed file's checksum stands at its end
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        if "\n- method" in str(error):  # no way of packing fits, and each says so
            raise DataError(f"{path}: no readable tar, zip or folder; {_LAYOUT}") from error
        raise DataError(f"{path}: no readable tar, zip or folder ({shortened(str(error), 160)}); get it again") from error


def _decoded(files: Iterator[tuple[PurePosixPath, bytes]], origin: Path, key: str, progress: Progress | None) -> NaturalImages:
    images: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]] = {split: [] for split in _SPLITS}
    names: dict[str, list[str]] = {split: [] for split in _SPLITS}
    for done, (place, data) in enumerate(files, 1):
        if is_junk(place) or not is_picture(place.name):
            continue
        if len(place.parts) < 3 or place.parts[-3] not in _SPLITS:
            raise DataError(f"{origin}: {place} does not lie in train/<class>/ or validation/<class>/; {_LAYOUT}")
        try:
            images[place.parts[-3]].append(decode_grey(data, f"{origin}: {place}", SIDE))
        except ImageError as error:
            raise DataError(str(error)) from error
        names[place.parts[-3]].append(place.parts[-2])
        if progress and done % 512 == 0:
            progress(done, done)  # how many there are shows at the end of a tar
    classes = tuple(sorted(set(names["train"])))
    if len(classes) < 2 or set(names["validation"]) != set(classes):
        raise DataError(
            f"{origin}: {len(classes)} classes in train/, {len(set(names['validation']))} in validation/; "
            "both need the same two or more class folders with pictures"
        )
    places = {name: number for number, name in enumerate(classes)}
    return NaturalImages(
        {split: torch.from_numpy(np.stack(images[split])[:, None]) for split in _SPLITS},
        {split: torch.tensor([places[name] for name in names[split]]) for split in _SPLITS},
        classes,
        origin.name,
        key,
    )


def _write_cache(name: str, natural: NaturalImages) -> None:
    arrays = {"classes": np.frombuffer(json.dumps(natural.classes).encode(), dtype=np.uint8)}
    arrays |= {f"{split}_images": natural.images[split].numpy() for split in _SPLITS}
    arrays |= {f"{split}_labels": natural.labels[split].numpy() for split in _SPLITS}
    write_arrays(name, arrays)


def _read_cache(name: str, origin: Path, key: str) -> NaturalImages | None:
    arrays = read_arrays(name)
    if arrays is None:
        return None
    try:
        images = {split: torch.from_numpy(arrays[f"{split}_images"]) for split in _SPLITS}
        labels = {split: torch.from_numpy(arrays[f"{split}_labels"]) for split in _SPLITS}
        return NaturalImages(images, labels, tuple(json.loads(arrays["classes"].tobytes())), origin.name, key)
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("a damaged cache is ignored: %s", error)
        return None
