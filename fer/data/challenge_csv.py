"""``fer2013.csv`` of the 2013 challenge: columns emotion, pixels, Usage."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from fer.data.faceset import OFFICIAL_SPLITS, Row
from fer.emotions import CSV_CODES, EMOTIONS
from fer.errors import DataError
from fer.types import FACE_SIZE, ByteArray, Progress

if TYPE_CHECKING:
    import _csv

_COLUMNS = ("emotion", "pixels", "usage")
_SHOWN = 3
_PIXELS = FACE_SIZE * FACE_SIZE


def read_csv(data: bytes, name: str, progress: Progress | None = None) -> list[Row]:
    """Parse the whole file; all bad lines are counted, the first three are shown.

    Raises:
        DataError: not such a csv, or lines with wrong pixel counts, labels or Usage.
    """
    try:
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""))
        header = [column.strip().lower() for column in next(reader, [])]
        if any(column not in header for column in _COLUMNS):
            raise DataError(f"{name}: columns {header[:5]}; a FER csv has emotion, pixels, Usage")
        return _rows(_fields(reader, [header.index(column) for column in _COLUMNS]), name, progress, data.count(b"\n"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: no readable csv ({error}); download fer2013.csv again") from error


def _fields(reader: "_csv.Reader", columns: list[int]) -> Iterator[tuple[int, list[str]]]:
    for record in reader:
        if record:
            yield reader.line_num, [record[i].strip() if i < len(record) else "" for i in columns]


def _rows(fields: Iterable[tuple[int, list[str]]], name: str, progress: Progress | None, total: int) -> list[Row]:
    rows: list[Row] = []
    problems: list[str] = []
    for line, (emotion, pixels, usage) in fields:
        try:
            rows.append(Row(_pixels(pixels), _label(emotion), _split(usage), f"row {line}"))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
        if progress and len(rows) % 512 == 0:
            progress(len(rows), max(total, len(rows)))
    if problems:
        more = len(problems) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        raise DataError(f"{name}: {'; '.join(problems[:_SHOWN])}{rest}; correct or remove these lines")
    if not rows:
        raise DataError(f"{name}: no rows; download fer2013.csv again")
    return rows


def _label(text: str) -> int:
    if not text.isdecimal() or int(text) >= len(CSV_CODES):
        raise ValueError(f"emotion {text!r} is not 0..{len(CSV_CODES) - 1}")
    return EMOTIONS.index(CSV_CODES[int(text)])


def _split(text: str) -> str:
    if text not in OFFICIAL_SPLITS:
        raise ValueError(f"Usage {text!r} is none of {', '.join(OFFICIAL_SPLITS)}")
    return OFFICIAL_SPLITS[text]


def _pixels(text: str) -> ByteArray:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise ValueError("pixels hold something that is no whole number") from None
    if len(values) != _PIXELS:
        raise ValueError(f"{len(values)} pixels instead of {_PIXELS}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("pixels lie outside 0..255")
    return values.astype(np.uint8).reshape(FACE_SIZE, FACE_SIZE)
