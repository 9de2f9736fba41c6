"""The maps of a whole split beside its predictions: what every later look at them reads."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from fer.errors import DataError
from fer.files import write_whole
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
    """

    values: npt.NDArray[np.float16]
    peaks: FloatArray
    targets: IntArray
    classes: tuple[str, ...]
    method: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, dtype in (("values", np.float16), ("peaks", np.float32), ("targets", np.int64)):
            value = np.asarray(getattr(self, name), dtype=dtype)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        n = len(self.values)
        if self.values.ndim != 3 or any(len(part) != n for part in (self.peaks, self.targets, self.names)):
            raise ValueError(
                f"{self.values.shape} maps, {len(self.peaks)} peaks, {len(self.targets)} targets, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> Heatmap:
        """The heatmap of one face."""
        values = self.values[row].astype(np.float32)
        return Heatmap(values, float(self.peaks[row]), self.classes[self.targets[row]], self.method)

    def save(self, path: Path) -> None:
        """Write one .npz; OutputError where the folder is missing or not writable."""
        about = {"classes": self.classes, "method": self.method, "names": self.names}
        content = io.BytesIO()
        np.savez_compressed(
            content, values=self.values, peaks=self.peaks, targets=self.targets, about=np.array(json.dumps(about))
        )
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; DataError where that is not possible."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                about: dict[str, Any] = json.loads(str(arrays["about"]))
                parts = (arrays["values"], arrays["peaks"], arrays["targets"])
            return cls(*parts, tuple(about["classes"]), about["method"], tuple(about["names"]))
        except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise DataError(f"{path} holds no heatmaps of fer: {error}; write them anew with fer explain --data") from error
