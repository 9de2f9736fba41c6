"""Finished results, opened again from the folders that the commands wrote: what a model said of a split, and its faces."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.files import DAMAGED_NPZ
from fer.run_files import METRICS, TABLE
from fer.types import FACE_SIZE, ByteArray, Heatmap, PredictionTable

if TYPE_CHECKING:
    from fer.data import Corpus

#: Gives the data set that results are of; None where none is at hand.
Source = Callable[[], "Corpus | None"]
_NO_FACES = "The faces are not in this folder: name the data set that it was made from to see them."
# The smallest probability that a page keeps is 1e-5.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Finished:
    """A result of an earlier command.

    Attributes:
        kind: the command's word for it: run, explanations, mistakes or report.
        table: what the model said of N faces.
        images: uint8 (N, 48, 48); None where they are not at hand, for the reason in ``note``.
        maps: gives the heatmap of a row, None where it has none.
        question: what the maps explain; empty without maps.
        note: what a reader should know of it; else empty.
    """

    kind: str
    table: PredictionTable
    images: ByteArray | None = None
    maps: Callable[[int], Heatmap | None] = lambda row: None
    question: str = ""
    note: str = ""


def find_finished(folder: Path, depth: int = 2) -> list[Path]:
    """The folders of finished results in and below a folder, sorted; those deeper than ``depth`` are not looked for."""
    try:
        if _kind(folder):
            return [folder]
        if depth == 0 or not folder.is_dir():
            return []
        below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:  # a folder of somebody else's holds nothing that could be opened
        return []
    return [found for path in below for found in find_finished(path, depth - 1)]


_DAMAGED: tuple[type[Exception], ...] = (*DAMAGED_NPZ, AttributeError)  # the latter of JSON that is another kind of value


def open_finished(folder: Path, source: Source = lambda: None) -> Finished:
    """Open a finished result.

    Args:
        folder: of a finished training run, or written by ``fer explain --data``, ``fer mistakes`` or ``fer report``.
        source: asked for the faces where the folder holds none.

    Raises:
        DataError: it is none of these, or damaged.
    """
    kind = _kind(folder)
    if not kind:
        raise DataError(
            f"{folder} is no finished result; give the folder of a run, of fer report, fer mistakes or fer explain --data"
        )
    try:
        return _KINDS[kind][1](folder, source)
    except _DAMAGED as error:
        raise DataError(f"{folder} is damaged ({error}); write it anew") from error


def _kind(folder: Path) -> str:
    return next((kind for kind, (sign, _) in _KINDS.items() if (folder / sign).is_file()), "")


def _run(folder: Path, source: Source) -> Finished:
    return _with_faces(Finished("run", PredictionTable.load(folder / TABLE)), source)


def _explanations(folder: Path, source: Source) -> Finished:
    from analysis.explain.heatmaps import HeatmapTable
    from analysis.left_out import left_out
    from analysis.passes import HEATMAPS, PREDICTIONS

    table = PredictionTable.load(folder / PREDICTIONS)
    heatmaps = HeatmapTable.load(folder / HEATMAPS)
    if heatmaps.names != table.names:
        raise ValueError("its predictions and heatmaps are of different faces")
    found = _with_faces(Finished("explanations", table, None, heatmaps.__getitem__, heatmaps.question(table.predicted)), source)
    words = left_out(table)
    return replace(found, note=f"Figures are of a part of the split: {words}. {found.note}".strip()) if words else found


def _mistakes(folder: Path, _: Source) -> Finished:
    numbers, pictures = _page(folder / "mistakes.html")
    return _of_page("mistakes", numbers, pictures)


def _report(folder: Path, _: Source) -> Finished:
    numbers, pictures = _page(folder / "report.html")
    if "mistakes" not in numbers["sections"]:
        raise ValueError(f"its faces are not there: {numbers['undefined'].get('mistakes', 'no section of mistakes')}")
    return _of_page("report", numbers["sections"]["mistakes"], pictures)


#: Kind → the file that shows it, written last, and its reader.
_KINDS: dict[str, tuple[str, Callable[[Path, Source], Finished]]] = {
    "run": (METRICS, _run),
    "report": ("report.html", _report),
    "mistakes": ("mistakes.html", _mistakes),
    "explanations": ("heatmaps.npz", _explanations),
}


def _with_faces(result: Finished, source: Source) -> Finished:
    """The same with the faces of the data set, or with the reason why not."""
    corpus = source()
    if corpus is None:
        return replace(result, note=_NO_FACES)
    from analysis.pairing import paired

    try:
        faces = paired(result.table, corpus)
    except DataError as error:
        return replace(result, note=f"No faces are shown: {str(error).replace(str(corpus.origin), 'the data set at hand')}.")
    return replace(result, images=faces.images.cpu().numpy()[:, 0])


def _page(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Numbers and pictures inside a page."""
    text = path.read_text(encoding="utf-8")
    blocks = dict(re.findall(r'<script type="application/json" id="(\w+)"[^>]*>([^<]*)</script>', text))
    return json.loads(blocks["numbers"]), json.loads(blocks["pictures"])


def _of_page(kind: str, numbers: Mapping[str, Any], pictures: Mapping[str, Any]) -> Finished:
    from analysis.map_layers import layer_from

    layers = [layer_from(content) for content in numbers["maps"]]
    table = _table(numbers)
    images = _images(pictures, len(table))
    if not layers:
        return Finished(kind, table, images)
    return Finished(kind, table, images, layers[0].heatmap, layers[0].title)


def _table(numbers: Mapping[str, Any]) -> PredictionTable:
    """The table that a page's numbers were made from, to five digits of the probabilities; answers are the page's own."""
    classes, faces = tuple(numbers["classes"]), numbers["faces"]
    if len(classes) < 2 or any(name not in EMOTIONS for name in classes):
        raise ValueError(f"its classes are {classes}")
    probs = np.array([face["probabilities"] for face in faces], dtype=np.float64)
    answers = [classes.index(face["predicted"]) for face in faces]
    probs[np.arange(len(faces)), answers] += _LEAST  # where two were equal after rounding
    labels = np.array([classes.index(face["label"]) for face in faces])
    names = tuple(str(face["name"]) for face in faces)
    return PredictionTable(np.log(probs.clip(_LEAST)), labels, names, classes, numbers["split"], dict(numbers["source"]))


def _images(pictures: Mapping[str, Any], count: int) -> ByteArray:
    """The faces of a page's sheets, row by row."""
    side, columns = pictures["side"], pictures["columns"]
    if side != FACE_SIZE:
        raise ValueError(f"its faces have {side} pixels")
    sheets = [_cut(_pixels(sheet), columns) for sheet in pictures["sheets"]]
    return np.concatenate(sheets)[:count]


def _pixels(sheet: str) -> ByteArray:
    with Image.open(io.BytesIO(base64.b64decode(sheet)), formats=["JPEG"]) as image:
        return np.asarray(image.convert("L"))


def _cut(sheet: ByteArray, columns: int) -> ByteArray:
    grid = sheet.reshape(-1, FACE_SIZE, columns, FACE_SIZE).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(-1, FACE_SIZE, FACE_SIZE))


def named(folders: Iterable[Path]) -> dict[str, Path]:
    """Finished results by names to show, which say no more of this machine than what lies below the folders given.

    >>> named([Path("nowhere")])
    {}
    """
    found: dict[str, Path] = {}
    for folder in folders:
        root = folder.resolve()
        for path in find_finished(root):
            name, number = "/".join((root.name, *path.relative_to(root).parts)), 1
            while found.get(name, path) != path:
                number += 1
                name = f"{'/'.join((root.name, *path.relative_to(root).parts))} ({number})"
            found[name] = path
    return found
