"""The waist of the project: small frozen validated values that everything above and below exchanges.

Numpy only. Arrays are stored read-only, so that a value can be shared without being copied.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fer.emotions import EMOTIONS
from fer.errors import DataError, OutputError
from fer.files import DAMAGED_NPZ, check_place, write_whole

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]

#: Side of a FER-2013 face in pixels; every data set is brought to it.
FACE_SIZE = 48

# What writes prediction tables.
_MAKERS = "fer evaluate --table or fer explain --data"

#: Told (done, total) during long work.
Progress = Callable[[int, int], None]


def _frozen(array: npt.ArrayLike, dtype: type[np.generic], ndim: int, name: str) -> npt.NDArray[Any]:
    value = np.array(array, dtype=dtype)
    if value.ndim != ndim:
        raise ValueError(f"{name} has {value.ndim} dimensions, {ndim} are needed")
    if np.issubdtype(dtype, np.floating) and not np.isfinite(value).all():
        raise ValueError(f"{name} holds values that are not finite")
    value.setflags(write=False)
    return value


@dataclass(frozen=True)
class Box:
    """Rectangle in pixels of the original image; ``x2`` and ``y2`` are exclusive.

    >>> Box(2, 3, 12, 23).width
    10
    """

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        if self.x1 < 0 or self.y1 < 0 or self.x2 <= self.x1 or self.y2 <= self.y1:
            raise ValueError(f"box {self.as_list()} is empty or has negative corners")

    @property
    def width(self) -> int:
        """Extent along x in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Extent along y in pixels."""
        return self.y2 - self.y1

    def as_list(self) -> list[int]:
        """``[x1, y1, x2, y2]``, the form of the JSON output."""
        return [self.x1, self.y1, self.x2, self.y2]


@dataclass(frozen=True, eq=False)
class Face:
    """One face cut out of an image.

    Attributes:
        image: uint8 (h, w, 3), RGB, the pixels inside the box, turned where ``angle`` is not 0; where its square sticks out
            of the original image, the pixels at the edge go on.
        box: where it was cut from the original image.
        score: the detector's own confidence, ≥ 0, on the detector's own scale; 0 where nothing was detected.
        detector: name of the detector, or ``"whole image"`` where none found a face.
        landmarks: float32 (5, 2) in pixels of ``image``, or None where the detector gives none.
        angle: degrees by which the face leant clockwise before it was turned upright; 0 for none.
        pivot: the point about which it was turned, in pixels of ``image``: the middle of its square.
        inset: x and y in pixels of ``image`` where the box begins; 0 unless the square sticks out to the left or above.
    """

    image: ByteArray
    box: Box
    score: float
    detector: str
    landmarks: FloatArray | None = None
    angle: float = 0.0
    pivot: tuple[float, float] = (0.0, 0.0)
    inset: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", _frozen(self.image, np.uint8, 3, "face image"))
        (height, width, channels), (x, y), box = self.image.shape, self.inset, self.box
        if channels != 3 or min(x, y) < 0 or height < y + box.height or width < x + box.width:
            raise ValueError(f"face image {self.image.shape} does not fill its box {box.as_list()}, inset by {self.inset}")

    @property
    def is_whole_image(self) -> bool:
        """True where no detector found a face and the whole image stands in for it."""
        return self.detector == WHOLE_IMAGE


#: Detector name of a face that is the uncut image.
WHOLE_IMAGE = "whole image"


@dataclass(frozen=True)
class Preprocess:
    """How a face becomes a network's input; travels with every checkpoint.

    Faces are reduced to 48×48 grey first, the form of FER-2013, then scaled to ``size`` and repeated over
    ``channels``; pixel values 0..1 are standardised with ``mean`` and ``std`` (one value a channel).
    """

    size: int = 48
    channels: int = 1
    mean: tuple[float, ...] = (0.5077,)  # grey mean of the FER-2013 Training split
    std: tuple[float, ...] = (0.2550,)  # and about its standard deviation over all pixels (0.2551)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 512:
            raise ValueError(f"input size {self.size} lies outside 16..512")
        if self.channels not in (1, 3) or len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"{self.channels} channels with {len(self.mean)} means and {len(self.std)} deviations")
        if min(self.std) <= 0:
            raise ValueError(f"standard deviations {self.std} must be positive")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, read back by :meth:`from_dict`."""
        return {"size": self.size, "channels": self.channels, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; ValueError or TypeError on a malformed mapping."""
        return cls(int(data["size"]), int(data["channels"]), tuple(data["mean"]), tuple(data["std"]))


def softmax(logits: npt.ArrayLike) -> FloatArray:
    """Probabilities along the last axis, computed in float64 and returned as float32.

    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    z = np.asarray(logits, dtype=np.float64)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), dtype=np.float32)


def log_mean_probs(views: Sequence[FloatArray]) -> FloatArray:
    """Logarithm float32 (N, C) of the mean probabilities that several logits (N, C) of the same faces stand for.

    >>> np.exp(log_mean_probs([np.log([[0.5, 0.5]]), np.log([[0.7, 0.3]])])).round(4)
    array([[0.6, 0.4]], dtype=float32)
    """
    stacked = np.stack([np.asarray(logits, dtype=np.float64) for logits in views])
    logs = stacked - np.logaddexp.reduce(stacked, axis=2, keepdims=True)
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - np.log(len(views)), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one face.

    Attributes:
        face: the face that was judged.
        logits: float32 (C,), the network's scores before softmax.
        classes: the C class names in the order of the logits.
    """

    face: Face
    logits: FloatArray
    classes: tuple[str, ...] = EMOTIONS

    def __post_init__(self) -> None:
        object.__setattr__(self, "logits", _frozen(self.logits, np.float32, 1, "logits"))
        if len(self.logits) != len(self.classes):
            raise ValueError(f"{len(self.logits)} logits for {len(self.classes)} classes")

    @property
    def probs(self) -> FloatArray:
        """float32 (C,), non-negative, summing to 1."""
        return softmax(self.logits)

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.logits))]

    @property
    def confidence(self) -> float:
        """Probability of :attr:`label`, 0..1."""
        return float(self.probs.max())

    @property
    def probabilities(self) -> dict[str, float]:
        """Class name to probability, in class order."""
        return {name: float(p) for name, p in zip(self.classes, self.probs, strict=True)}

    def top(self, k: int) -> list[tuple[str, float]]:
        """The ``k`` most probable classes with their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Where a network looked when it scored ``target``.

    Attributes:
        values: float32 (S, S), 0..1, at the size of the network's input; all 0 where the raw map is empty.
        peak: largest raw value before scaling, ≥ 0, in the method's own units: a faint map and a strong one differ here.
        target: the class that is explained.
        method: name of the explanation method.
        against: the class whose score was subtracted ("why this and not that"), or empty.
    """

    values: FloatArray
    peak: float
    target: str
    method: str
    against: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _frozen(self.values, np.float32, 2, "heatmap"))
        if self.values.min() < 0 or self.values.max() > 1:
            raise ValueError(f"heatmap values {self.values.min()}..{self.values.max()} lie outside 0..1")
        if not np.isfinite(self.peak) or self.peak < 0:
            raise ValueError(f"heatmap peak {self.peak} is negative or not finite")


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """One pass of a model over a split: everything later is a pure function of this table.

    Attributes:
        logits: float32 (N, C).
        labels: int64 (N,), 0..C-1, as the data set states them.
        names: N file names or row numbers, to find a face again.
        classes: the C class names in the order of the logits.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        source: where it comes from: checkpoint, weights sha256, data fingerprint, test-time augmentation, the temperature
            that the logits have been divided by, the class biases in them, the log loss of the faces held out from both, and
            how many faces were left out for what they are answered, where any was.
    """

    logits: FloatArray
    labels: IntArray
    names: tuple[str, ...]
    classes: tuple[str, ...]
    split: str
    source: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "logits", _frozen(self.logits, np.float32, 2, "logits"))
        object.__setattr__(self, "labels", _frozen(self.labels, np.int64, 1, "labels"))
        n, c = self.logits.shape
        if n == 0 or len(self.labels) != n or len(self.names) != n or len(self.classes) != c:
            raise ValueError(
                f"logits {self.logits.shape}, {len(self.labels)} labels, {len(self.names)} names and "
                f"{len(self.classes)} classes do not belong together"
            )
        if self.labels.min() < 0 or self.labels.max() >= c:
            raise ValueError(f"labels {self.labels.min()}..{self.labels.max()} lie outside 0..{c - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def probs(self) -> FloatArray:
        """float32 (N, C), every row summing to 1."""
        return softmax(self.logits)

    @property
    def predicted(self) -> IntArray:
        """int64 (N,), index of the most probable class."""
        return np.asarray(np.argmax(self.logits, axis=1), dtype=np.int64)

    def only(self, classes: Sequence[str]) -> Self:
        """The rows of some classes, judged among these alone: their logits are kept, the others' dropped.

        Raises:
            ValueError: a class is not in the table, or no row is left.
        """
        columns = [i for i, name in enumerate(self.classes) if name in classes]
        if len(columns) != len(set(classes)):
            raise ValueError(f"classes {list(classes)} are not all among {list(self.classes)}")
        places = np.full(len(self.classes), -1)
        places[columns] = np.arange(len(columns))
        rows = np.flatnonzero(places[self.labels] >= 0)
        names = tuple(self.names[row] for row in rows)
        kept = tuple(self.classes[i] for i in columns)
        logits = self.logits[rows][:, columns]
        return replace(self, logits=logits, labels=places[self.labels[rows]], names=names, classes=kept)

    def rows(self, where: npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]) -> Self:
        """The rows at these positions, or where a mask is true; ValueError where none is left."""
        places = np.arange(len(self))[where]
        names = tuple(self.names[row] for row in places)
        return replace(self, logits=self.logits[places], labels=self.labels[places], names=names)

    def cooled(self, temperature: float) -> Self:
        """The same with all logits divided by ``temperature``; a source that names one names the product."""
        source = dict(self.source)
        if "temperature" in source:
            source["temperature"] = repr(float(source["temperature"]) * temperature)
        return replace(self, logits=self.logits / np.float32(temperature), source=source)

    def save(self, path: Path) -> None:
        """Write ``path`` (.npz: arrays) and the same name with .json (the rest).

        Raises:
            OutputError: the folder is missing or not writable, or the name is no .npz.
        """
        _refuse_other_ending(path)
        meta = {"names": self.names, "classes": self.classes, "split": self.split, "source": dict(self.source)}
        arrays = io.BytesIO()
        np.savez_compressed(arrays, logits=self.logits, labels=self.labels)
        write_whole(path, arrays.getvalue())
        try:
            write_whole(path.with_suffix(".json"), (json.dumps(meta, indent=1) + "\n").encode())
        except OutputError:
            path.unlink(missing_ok=True)  # one without the other is no table
            raise

    @staticmethod
    def check_place(path: Path) -> None:
        """OutputError where :meth:`save` cannot write, or would replace a .json that is no table's: known before the work."""
        _refuse_other_ending(path)
        beside = path.with_suffix(".json")
        for place in (path, beside):
            check_place(place)
        if beside.exists() and not _is_of_table(beside):
            raise OutputError(f"{path} is kept in two files, and {beside} is there and no table's; choose another name")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: a file is missing, damaged, not such a table, or one of other classes.
        """
        if not path.is_file():
            raise DataError(f"{path} is {'a folder' if path.is_dir() else 'missing'}; name the .npz of {_MAKERS}")
        if not path.with_suffix(".json").is_file():
            raise DataError(f"{path} is no prediction table of fer: the .json beside it is missing; name the .npz of {_MAKERS}")
        try:
            meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                table = cls(
                    arrays["logits"],
                    arrays["labels"],
                    tuple(meta["names"]),
                    tuple(meta["classes"]),
                    meta["split"],
                    dict(meta["source"]),
                )
        except DAMAGED_NPZ as error:
            raise DataError(f"{path} is no prediction table of fer: {error}; write it anew with {_MAKERS}") from error
        if len(table.classes) < 2:
            raise DataError(f"{path} is a table of one class; give one of two classes or more")
        if any(name not in EMOTIONS for name in table.classes):
            raise DataError(f"{path} is a table of the classes {list(table.classes)}; known classes: {', '.join(EMOTIONS)}")
        return table


def _refuse_other_ending(path: Path) -> None:
    """Any other, above all .json, would be the name of the second file."""
    if path.suffix != ".npz":
        raise OutputError(f"cannot write {path}: tables end in .npz, and have a .json beside them; choose such a name")


def _is_of_table(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() >= {"names", "classes", "split", "source"}
