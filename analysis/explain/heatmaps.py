"""The maps of a whole split beside its predictions: what every later look at them reads."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fer.errors import DataError
from fer.files import DAMAGED_NPZ, write_whole
from fer.types import FloatArray, Heatmap, IntArray


@dataclass(frozen=True, eq=False)
class HeatmapTable:
    """The heatmaps of N faces, row by row with the :class:`~fer.types.PredictionTable` of the same pass.

    Attributes:
        values: float16 (N, H, W), 0..1, at the size of the faces.
        peaks: float32 (N,), raw maxima ≥ 0.
        targets: int64 (N,), the class that each map explains.
        classes: names of the classes.
        method: name of the explanation method.
        names: N names of the faces.
        against: int64 (N,), the class that each target is set against, -1 for none; all none where not given.
        layers: the modules that were read; those that the architecture declares where empty.
    """

    values: npt.NDArray[np.float16]
    peaks: FloatArray
    targets: IntArray
    classes: tuple[str, ...]
    method: str
    names: tuple[str, ...]
    against: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.against):
            object.__setattr__(self, "against", np.full(len(self.values), -1))
        for name, dtype in (("values", np.float16), ("peaks", np.float32), ("targets", np.int64), ("against", np.int64)):
            value = np.asarray(getattr(self, name), dtype=dtype)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        n = len(self.values)
        counts = {name: len(getattr(self, name)) for name in ("peaks", "targets", "names", "against")}
        if self.values.ndim != 3 or set(counts.values()) != {n}:
            raise ValueError(f"{self.values.shape} maps, " + ", ".join(f"{count} {name}" for name, count in counts.items()))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> Heatmap:
        """The heatmap of one face."""
        values = self.values[row].astype(np.float32)
        other = self.against[row]
        against = self.classes[other] if other >= 0 else ""
        return Heatmap(values, float(self.peaks[row]), self.classes[self.targets[row]], self.method, against)

    def question(self, predicted: IntArray) -> str:
        """What the maps explain, for captions, of faces for which the network says ``predicted``, int64 (N,).

        >>> maps = HeatmapTable(np.zeros((1, 2, 2)), [1.0], [0], ("fear", "happy"), "gradcam", ("a.png",), [1], ("block2",))
        >>> maps.question(np.array([1]))
        'gradcam for fear against happy (block2)'
        """
        own = bool((self.targets == predicted).all())
        target = "the prediction" if own else self._named(self.targets, "classes that were asked for")
        against = f" against {self._named(self.against, 'other classes')}" if (self.against >= 0).any() else ""
        return f"{self.method} for {target}{against}" + (f" ({', '.join(self.layers)})" if self.layers else "")

    def _named(self, places: IntArray, several: str) -> str:
        names = {self.classes[place] for place in places.tolist()}
        return names.pop() if len(names) == 1 else several

    def save(self, path: Path) -> None:
        """Write one .npz; OutputError where the folder is missing or not writable."""
        about = {"classes": self.classes, "method": self.method, "names": self.names, "layers": self.layers}
        content = io.BytesIO()
        np.savez_compressed(
            content,
            values=self.values,
            peaks=self.peaks,
            targets=self.targets,
            against=self.against,
            about=np.array(json.dumps(about)),
        )
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; DataError where that is not possible."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                about: dict[str, Any] = json.loads(str(arrays["about"]))
                values, peaks, targets, against = (arrays[name] for name in ("values", "peaks", "targets", "against"))
            classes, names, layers = (tuple(about[name]) for name in ("classes", "names", "layers"))
            return cls(values, peaks, targets, classes, about["method"], names, against, layers)
        except DAMAGED_NPZ as error:
            raise DataError(f"{path} holds no heatmaps of fer: {error}; write them anew with fer explain --data") from error
