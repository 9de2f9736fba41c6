"""What the page shows of a finished result: figures, confusion matrix, confidence, and the faces of a cell."""

import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.finished import Finished, named, open_finished
from apps.inline import data_url, jpeg
from fer.errors import DataError
from fer.types import ByteArray
from fer.words import counted, number, percent, with_interval

if TYPE_CHECKING:
    from fer.data import Corpus

#: Faces that are shown at once.
PAGE = 25
# Side of a face in the page; dots an inch of the histograms.
_SIDE, _DPI = 80, 90
_OPENED = 4


@dataclass(frozen=True)
class Cell:
    """Faces of one label that were given one answer, from place ``first`` on, the surest first."""

    label: str
    answer: str
    first: int = 0


@dataclass(frozen=True, eq=False)
class Overview:
    """A result at a glance.

    Attributes:
        words: what it is, how good, as Markdown.
        counts: int (C, C), faces by label and answer.
        classes: C names.
        histograms: PNG of the confidences of right and wrong answers, a panel a class.
        cell: the most frequent confusion; without a mistake, the first class's hits.
        question: what its maps explain; empty without maps.
    """

    words: str
    counts: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    histograms: bytes
    cell: Cell
    question: str


@dataclass(frozen=True)
class Shown:
    """Faces of a cell: a line of words, how many there are in all, the faces as HTML, and the place of the first of them."""

    words: str
    n: int
    faces: str
    first: int


class Shelf:
    """The finished results in some folders, by name; opened when they are asked for, the last few kept.

    Args:
        folders: where they are looked for; shown are names below these.
        data: the FER-2013 whose faces they are of; None takes what the environment names, or none.
    """

    def __init__(self, folders: Sequence[Path], data: Path | None = None) -> None:
        self.folders, self._data = tuple(folders), data
        self._open = lru_cache(_OPENED)(self._opened)
        self._corpus = lru_cache(1)(self._loaded)

    def check(self) -> None:
        """DataError where a folder is not there, or cannot be looked into: an empty list would not tell."""
        for folder in self.folders:
            if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
                reason = "cannot be read" if folder.is_dir() else "no such folder"
                raise DataError(f"--explore {folder}: {reason}; name folders of finished runs or reports")

    def names(self) -> list[str]:
        """Of all results that are there now."""
        return list(named(self.folders))

    def open(self, name: str) -> Finished:
        """One of them; DataError where it is not there any more, or damaged."""
        folder = named(self.folders).get(name)
        if folder is None:
            raise DataError(f"no finished result is called {name!r} (any more); choose another")
        try:
            return self._open(name, folder, max(path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()))
        except DataError as error:  # visitors learn nothing of this machine's folders
            raise DataError(str(error).replace(str(folder), name)) from error
        except (OSError, ValueError) as error:
            raise DataError(f"{name} is gone; choose another") from error

    def _opened(self, name: str, folder: Path, changed: int) -> Finished:
        return open_finished(folder, self._corpus)

    def _loaded(self) -> "Corpus | None":
        from fer.data import load

        try:
            return load(self._data)
        except DataError:  # a data set that was named was looked at when the page started
            return None


def overview(result: Finished) -> Overview:
    """Figures, matrix, histograms of a result."""
    from analysis.figures import confidence_histograms
    from analysis.histograms import histograms
    from analysis.mistakes import find_mistakes
    from fer.metrics import evaluate_table

    table, metrics = result.table, evaluate_table(result.table)
    pairs = find_mistakes(table).pairs
    cell = Cell(pairs[0].label, pairs[0].predicted) if pairs else Cell(table.classes[0], table.classes[0])
    picture = io.BytesIO()
    confidence_histograms.figure(histograms(table)).savefig(picture, format="png", dpi=_DPI)
    counts = tuple(tuple(row) for row in metrics["confusion_matrix"])
    return Overview(_words(result, metrics), counts, table.classes, picture.getvalue(), cell, result.question)


def _words(result: Finished, metrics: dict[str, Any]) -> str:
    source = result.table.source
    figures = (
        f"**{_plain(source.get('checkpoint', 'a model'))}** on {result.table.split}: "
        f"accuracy {with_interval(metrics['accuracy'], metrics['ci95'])}, n = {metrics['n']:,}; "
        f"macro F1 {number(metrics['macro_f1'])}; calibration error {number(metrics['ece'])}."
    )
    return f"{figures}\n\n{_plain(result.note)}" if result.note else figures


def _plain(text: str) -> str:
    """Neither HTML nor Markdown, whatever a file is called."""
    return html.escape("".join(f"\\{letter}" if letter in "\\`*_[]!#|" else letter for letter in text))


def faces(result: Finished, cell: Cell, *, maps: bool) -> Shown:
    """The faces of a cell, at most :data:`PAGE` of them.

    Raises:
        DataError: the result knows no such class.
    """
    table = result.table
    unknown = {cell.label, cell.answer} - set(table.classes)
    if unknown:
        raise DataError(f"this result knows no {', '.join(sorted(unknown))}; its classes: {', '.join(table.classes)}")
    label, answer = table.classes.index(cell.label), table.classes.index(cell.answer)
    confidence = table.probs.max(axis=1)
    there = np.flatnonzero((table.labels == label) & (table.predicted == answer))
    rows = there[np.argsort(-confidence[there], kind="stable")].tolist()
    first = min(max(0, cell.first), max(0, (len(rows) - 1) // PAGE * PAGE))
    shown = rows[first : first + PAGE]
    words = _which(cell, len(rows), int((table.labels == label).sum()), first, len(shown))
    if result.images is None or not rows:
        return Shown(words, len(rows), "", first)
    items = "".join(_item(result, row, float(confidence[row]), maps=maps) for row in shown)
    return Shown(words, len(rows), f'<ul class="faces">{items}</ul>', first)


def _which(cell: Cell, count: int, of_label: int, first: int, shown: int) -> str:
    said = f"{cell.label}, recognised" if cell.label == cell.answer else f"{cell.label}, taken for {cell.answer}"
    share = f", {percent(count / of_label)} of {cell.label}" if of_label else ""
    part = f"; shown are {first + 1} to {first + shown}, the surest first" if count > PAGE else ""
    return f"**{said}**: {counted(count, 'face')}{share}{part}."


def _item(result: Finished, row: int, confidence: float, *, maps: bool) -> str:
    from analysis.figures.overlay import overlay

    assert result.images is not None
    face = np.repeat(result.images[row][:, :, None], 3, axis=2)
    heatmap = result.maps(row) if maps else None
    picture = _enlarged(face if heatmap is None else overlay(face, heatmap))
    table, name = result.table, html.escape(result.table.names[row])
    label, answer = table.classes[table.labels[row]], table.classes[table.predicted[row]]
    alt = f"face {name}: {label}, answered {answer}"
    return (
        f'<li><figure><img src="{data_url(jpeg(picture))}" alt="{alt}" width="{_SIDE}" height="{_SIDE}">'
        f'<figcaption>{confidence:.0%}<span title="{name}">{name.rpartition("/")[2]}</span></figcaption></figure></li>'
    )


def _enlarged(picture: ByteArray) -> ByteArray:
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def matrix(found: Overview) -> str:
    """The confusion matrix as a table of buttons, every one with its place; shares of the label's row are its colour."""
    head = "".join(f'<th scope="col">{name}</th>' for name in found.classes)
    rows = "".join(
        f'<tr><th scope="row">{label}</th>{"".join(_button(found, r, c) for c in range(len(found.classes)))}</tr>'
        for r, label in enumerate(found.classes)
    )
    return (
        '<div class="matrix-scroll"><table class="matrix"><caption>Label (rows) and answer (columns): click a cell to see '
        f"its faces</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _button(found: Overview, row: int, column: int) -> str:
    count, total = found.counts[row][column], max(1, sum(found.counts[row]))
    label, answer, share = found.classes[row], found.classes[column], count / total
    what = f"{label} recognised" if row == column else f"{label} taken for {answer}"
    pressed = str((label, answer) == (found.cell.label, found.cell.answer)).lower()
    strong = " strong" if share > 0.5 else ""
    return (
        f'<td><button type="button" class="cell{strong}" data-label="{label}" data-answer="{answer}" aria-pressed="{pressed}" '
        f'style="--share:{share:.3f}" aria-label="{what}: {counted(count, "face")}, {share:.0%}">'
        f"{share:.0%}<small>{count:,}</small></button></td>"
    )
