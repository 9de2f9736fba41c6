"""What is done to a batch of picture files: decode, detect, judge; the same in every process and on every machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.errors import ImageError
from fer.faces import DEFAULT_DETECTOR, Search
from fer.images import grey_batch
from fer.predict import Predictor, model_logits, open_model
from fer.types import ByteArray, FloatArray, softmax

#: Column name → values, one entry a row.
Columns = dict[str, npt.NDArray[Any]]

#: Columns of a face's place, in pixels of its picture.
BOX = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, eq=False)
class _Found:
    """A face of a file, or what is wrong with the file: then it has number 0 and no pixels."""

    path: str
    number: int = 0
    grey: ByteArray | None = None
    box: Sequence[int] = (0, 0, 0, 0)
    score: float = float("nan")
    detector: str = ""
    error: str = ""


class FaceStage:
    """A model and a detector that turn batches of paths into columns; made once a process.

    Args:
        model: file or name, see :func:`fer.predict.open_model`.
        detector: name in :data:`fer.faces.DETECTORS`, or a search.
        tta: test-time augmentation.

    Raises:
        CheckpointError: the model cannot be used.

    >>> from fer.samples import sample_path
    >>> columns = FaceStage()({"path": [str(sample_path())]})
    >>> columns["label"].tolist(), columns["face"].tolist(), columns["error"].tolist()
    (['happy'], [1], [''])
    """

    def __init__(self, model: str | None = None, detector: str | Search = DEFAULT_DETECTOR, tta: str = "none") -> None:
        self._predictor = Predictor(open_model(model, threads=1), detector, tta)

    @property
    def detector(self) -> str:
        """Name of the detector that searches, never ``auto``."""
        return self._predictor.detector.name

    def __call__(self, batch: Mapping[str, Sequence[str] | npt.NDArray[Any]]) -> Columns:
        """Rows in the order of ``batch["path"]``, a row a face.

        Columns: path, face (from 1), x1, y1, x2, y2, score, detector, label, confidence, a probability a class, error. A
        file that cannot be read has one row: face 0, no label, and why.
        """
        found = [one for path in batch["path"] for one in self._faces(str(path))]
        return self._columns(found, self._probs([one.grey for one in found]))

    def _faces(self, path: str) -> Iterator[_Found]:
        try:
            faces = self._predictor.faces(Path(path))
        except ImageError as error:
            yield _Found(path, error=" ".join(str(error).removeprefix(f"{path}: ").split()))
            return
        for number, face in enumerate(faces, 1):
            yield _Found(path, number, grey_batch([face])[0], face.box.as_list(), face.score, face.detector)

    def _probs(self, greys: Sequence[ByteArray | None]) -> FloatArray:
        """float32 (N, C), NaN where there are no pixels."""
        model = self._predictor.model
        probs = np.full((len(greys), len(model.card.classes)), np.nan, np.float32)
        seen = [grey for grey in greys if grey is not None]
        if seen:
            there = np.array([grey is not None for grey in greys])
            probs[there] = softmax(model_logits(model, np.stack(seen), tta=self._predictor.tta))
        return probs

    def _columns(self, found: Sequence[_Found], probs: FloatArray) -> Columns:
        classes = self._predictor.model.card.classes
        boxes = np.array([one.box for one in found], np.int32).reshape(-1, len(BOX))
        labels = [classes[int(row.argmax())] if one.grey is not None else "" for one, row in zip(found, probs, strict=True)]
        return {
            "path": _texts(one.path for one in found),
            "face": np.array([one.number for one in found], np.int32),
            **{name: boxes[:, column] for column, name in enumerate(BOX)},
            "score": np.array([one.score for one in found], np.float32),
            "detector": _texts(one.detector for one in found),
            "label": _texts(labels),
            "confidence": probs.max(axis=1, initial=-np.inf) if len(found) else np.zeros(0, np.float32),
            **{name: probs[:, column] for column, name in enumerate(classes)},
            "error": _texts(one.error for one in found),
        }


def _texts(values: Iterator[str] | Sequence[str]) -> npt.NDArray[Any]:
    return np.array(list(values), dtype=object)
