"""The page of a model's mistakes: one file that opens from disk, with every face of a split."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from analysis.figures import save
from analysis.figures.mistakes import gallery
from analysis.figures.overlay import colour_table
from analysis.map_layers import MapLayer
from analysis.mistakes import Mistakes, find_mistakes
from analysis.page import embedded, fill, resource
from fer.data.ferplus import CANDIDATES
from fer.emotions import COLOURS
from fer.files import make_folder, write_whole
from fer.types import FACE_SIZE, ByteArray, IntArray, PredictionTable

#: Faces of a sheet, in a square; a page of 60 faces that stand together needs one or two sheets.
SHEET_SIDE = 16
#: JPEG quality of the sheets; faces start at multiples of 8 pixels, so that no face bleeds into its neighbour.
_QUALITY = 90


@dataclass(frozen=True, eq=False)
class MistakesReport:
    """Everything on the page.

    Attributes:
        table: N rows.
        images: uint8 (N, 1, 48, 48), the faces of the rows.
        votes: int64 (N, 10) of FER+, −1 where there are none; None where nobody asked.
        layers: maps to choose from; the first is shown.
    """

    table: PredictionTable
    images: torch.Tensor
    votes: IntArray | None = None
    layers: Sequence[MapLayer] = ()

    @property
    def mistakes(self) -> Mistakes:
        """The pairs, the most frequent first."""
        return find_mistakes(self.table)

    def to_dict(self) -> dict[str, Any]:
        """All numbers: what mistakes.json holds and the page shows."""
        table = self.table
        return {
            "source": dict(table.source),
            "split": table.split,
            "classes": list(table.classes),
            **self.mistakes.to_dict(),
            "candidates": list(CANDIDATES) if self.votes is not None else [],
            "faces": [self._face(row, probs) for row, probs in enumerate(table.probs.astype(float).round(5).tolist())],
            "maps": [layer.to_dict() for layer in self.layers],
        }

    def _face(self, row: int, probs: list[float]) -> dict[str, Any]:
        table = self.table
        votes = None if self.votes is None or self.votes[row, 0] < 0 else self.votes[row].tolist()
        label, predicted = table.classes[table.labels[row]], table.classes[table.predicted[row]]
        return {"name": table.names[row], "label": label, "predicted": predicted, "probabilities": probs, "votes": votes}

    def pictures(self) -> dict[str, Any]:
        """What the browser of faces needs beside the numbers: sheets of faces and colours."""
        return {
            "side": FACE_SIZE,
            "columns": SHEET_SIDE,
            "sheets": [base64.b64encode(_jpeg(sheet)).decode() for sheet in sheets(self.images)],
            "heat": base64.b64encode(colour_table().tobytes()).decode(),
            "colours": {name: COLOURS[name] for name in self.table.classes},
        }

    def html(self) -> str:
        """The page; it needs no network, and its numbers are those of :meth:`to_dict`."""
        parts = {
            "style": "".join(resource(name) for name in ("theme.css", "faces.css", "mistakes.css")),
            "browser": browser(level=2),
            "numbers": embedded(self.to_dict()),
            "pictures": embedded(self.pictures()),
            "script": "".join(resource(name) for name in ("faces.js", "mistakes.js")),
        }
        return fill(resource("mistakes.html"), parts)

    def write(self, out: Path) -> list[Path]:
        """Write mistakes.json, mistakes.html and the gallery of the most frequent pairs; returns their paths.

        Raises:
            OutputError: the folder is not writable.
        """
        make_folder(out)
        paths = [out / name for name in ("mistakes.json", "mistakes.html", "mistakes.png")]
        write_whole(paths[0], (json.dumps(self.to_dict()) + "\n").encode())
        write_whole(paths[1], self.html().encode())
        maps = self.layers[0].heatmap if self.layers else lambda row: None
        save(gallery(self.mistakes, self.table, self.images, maps), paths[2])
        return paths


def browser(level: int) -> str:
    """The browser of faces as a part of a page that has faces.css, faces.js and both blocks of data; headings from a level."""
    return fill(resource("faces.html"), {"level": str(level)})


def sheets(images: torch.Tensor) -> list[ByteArray]:
    """Faces uint8 (N, 1, 48, 48) as pictures of 16×16 faces, row by row; the last one only as high as it has to be."""
    faces = images.cpu().numpy()[:, 0]
    per_sheet = SHEET_SIDE * SHEET_SIDE
    return [_sheet(faces[start : start + per_sheet]) for start in range(0, len(faces), per_sheet)]


def _sheet(faces: ByteArray) -> ByteArray:
    rows = -(-len(faces) // SHEET_SIDE)
    grid = np.zeros((rows * SHEET_SIDE, FACE_SIZE, FACE_SIZE), dtype=np.uint8)
    grid[: len(faces)] = faces
    lines = grid.reshape(rows, SHEET_SIDE, FACE_SIZE, FACE_SIZE).swapaxes(1, 2)
    return lines.reshape(rows * FACE_SIZE, SHEET_SIDE * FACE_SIZE)


def _jpeg(picture: ByteArray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()
