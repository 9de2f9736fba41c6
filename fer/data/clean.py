"""The clean index: a small file that names the faces of one data set that are to be left out, and why."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from fer.data.faceset import Corpus, FaceSet
from fer.errors import DataError
from fer.files import write_whole

_FORMAT = "fer clean index 2"
_MAKE_ONE = "make one with fer data check DATA --out DIR"


@dataclass(frozen=True)
class LeftOut:
    """One face that an index leaves out: where it is, why, and the face ``split/name`` that it repeats, if it does."""

    split: str
    name: str
    reason: str
    twin: str = ""


@dataclass(frozen=True)
class CleanIndex:
    """What is to be left out of a data set: the one with this :attr:`~fer.data.faceset.Corpus.named_fingerprint`."""

    fingerprint: str
    left_out: tuple[LeftOut, ...]

    @property
    def sha256(self) -> str:
        """Hex digest of the file's content."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def reasons(self) -> dict[str, int]:
        """Faces left out for every reason."""
        return dict(Counter(face.reason for face in self.left_out))

    def to_json(self) -> str:
        """JSON with one face a line, read back by :meth:`from_json`; ASCII, so that names which are no UTF-8 come back, too."""
        faces = ",\n  ".join(json.dumps(asdict(face)) for face in self.left_out)
        head = f'{{\n "format": {json.dumps(_FORMAT)},\n "fingerprint": {json.dumps(self.fingerprint)}'
        return f'{head},\n "left_out": [\n  {faces}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`; ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT!r}")
        faces = tuple(LeftOut(**face) for face in data["left_out"])
        texts = [data["fingerprint"], *(text for face in faces for text in asdict(face).values())]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("fingerprint, split, name, reason and twin are texts")
        return cls(data["fingerprint"], faces)

    def write(self, path: Path) -> None:
        """Write the file; OutputError where that is not possible."""
        write_whole(path, self.to_json().encode())

    def refuse_other(self, corpus: Corpus) -> None:
        """DataError where a data set, with its own labels and all its faces, is not the one that was checked."""
        if corpus.named_fingerprint != self.fingerprint:
            raise DataError(
                "the clean index was made for other data, or its faces had other names "
                f"(fingerprint {self.fingerprint[:12]}, {corpus.origin} has {corpus.named_fingerprint[:12]}); {_MAKE_ONE}"
            )

    def kept(self, split: str, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """bool (N,): which of these faces of a split stay; DataError where none does."""
        gone = {face.name for face in self.left_out if face.split == split}
        kept = np.array([name not in gone for name in names], dtype=bool)
        if not kept.any():
            raise DataError(f"the clean index leaves no face of the {split} split; {_MAKE_ONE}")
        return kept

    def select(self, faces: FaceSet) -> FaceSet:
        """The faces that stay; DataError where none does."""
        return faces.select(torch.from_numpy(self.kept(faces.split, faces.names)))

    def clean_train(self, corpus: Corpus) -> Corpus:
        """The data set with a clean train split; the others stay whole, so that figures can be compared.

        Raises:
            DataError: the index leaves nothing of a split that is to be trained or validated on.
        """
        if "validation" in corpus.splits:  # said before a run, at whose end the clean figures are taken
            self.kept("validation", corpus.splits["validation"].names)
        if "train" not in corpus.splits:
            return corpus
        train = self.select(corpus.splits["train"])
        note = f"clean index {self.sha256[:12]}: {len(train):,} of {len(corpus.splits['train']):,} train images"
        return replace(corpus, splits={**corpus.splits, "train": train}, clean_note=note)


def make_index(fingerprint: str, faces: Iterable[LeftOut]) -> CleanIndex:
    """An index that names every face once, by the first of its reasons."""
    first: dict[tuple[str, str], LeftOut] = {}
    for face in faces:
        first.setdefault((face.split, face.name), face)
    return CleanIndex(fingerprint, tuple(first.values()))


def read_index(path: Path) -> CleanIndex:
    """What :meth:`CleanIndex.write` wrote; DataError where it is missing or damaged."""
    try:
        return CleanIndex.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the clean index {path}: {error.strerror}; {_MAKE_ONE}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise DataError(f"{path} is no clean index: {reason}; {_MAKE_ONE}") from error
