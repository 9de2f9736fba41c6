"""The files of a bulk run: finished parts while it lasts, one table and a list of bad files when it is done."""

import csv
import errno
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from fer.bulk.listing import Part
from fer.bulk.lock import LOCK, only_writer
from fer.bulk.stage import Columns
from fer.errors import ConfigError, OutputError
from fer.faces.crop import CROPPED_SIZE
from fer.files import move_whole, workshop, write_json, write_whole
from fer.types import WHOLE_IMAGE

#: Kinds of tables by ending.
SUFFIXES = (".parquet", ".csv")

#: Rows that a reader of the table takes at once.
_ROW_GROUP = 65_536


@dataclass(frozen=True)
class Counts:
    """What a table and its list of errors hold.

    Attributes:
        rows: of the table.
        whole: of these, pictures too large to be a face already cut out that no detector found one in.
        unreadable: rows of the list.
    """

    rows: int
    whole: int
    unreadable: int


@dataclass(frozen=True)
class Store:
    """Parts beside the table that they become.

    Attributes:
        table: the file that is made, ``.parquet`` or ``.csv``; ConfigError for another ending.
    """

    table: Path

    def __post_init__(self) -> None:
        if self.table.suffix not in SUFFIXES:
            raise ConfigError(f"{self.table}: tables end in {' or '.join(SUFFIXES)}; name one with --out")

    @property
    def folder(self) -> Path:
        """Where finished parts wait."""
        return self.table.with_name(f"{self.table.name}.parts")

    @property
    def errors(self) -> Path:
        """The list of files that could not be read."""
        return self.table.with_name(f"{self.table.name}.errors.csv")

    @contextmanager
    def open(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Begin, or go on with parts made under the same settings; no other run can while the block lasts.

        Raises:
            ConfigError: parts of other settings lie there.
            OutputError: the folder cannot be written, another run writes into it, or the table has the name of a folder.
        """
        if self.table.is_dir():
            raise OutputError(f"cannot write {self.table}: that is a folder; choose another name")
        with only_writer(self.table, self.folder):
            self._check(settings)
            write_json(self._note, dict(settings))
            yield

    @property
    def _note(self) -> Path:
        return self.folder / "settings.json"

    def _check(self, settings: Mapping[str, Any]) -> None:
        if not any(self.folder.glob("*.parquet")):
            return
        theirs = _read(self._note)
        other = [name for name, value in settings.items() if theirs.get(name) != value]
        if other:
            raise ConfigError(
                f"{self.folder} holds parts made with another {', '.join(other)}; remove it, or name another --out"
            )

    def has(self, part: Part) -> bool:
        """True where a part is done and its files are as they were; a damaged one is not."""
        try:
            pq.read_metadata(self.path(part))
        except (OSError, pa.ArrowException):
            return False
        return True

    def put(self, part: Part, columns: Columns) -> None:
        """Keep a finished part; OutputError where the disk is full."""
        buffer = io.BytesIO()
        pq.write_table(as_table(columns), buffer)
        write_whole(self.path(part), buffer.getvalue())

    def join(self, parts: Sequence[Path]) -> Counts:
        """Make the table and the list of errors of finished parts, in order, and remove these.

        Raises:
            OutputError: a part cannot be read, or the table not be written; the parts are kept then.
        """
        with workshop(self.table) as folder:
            made, errors = folder / self.table.name, folder / self.errors.name
            try:
                counts = _join(parts, made, errors)
            except (OSError, pa.ArrowException) as error:
                raise OutputError(f"cannot write {self.table}: {_said(error)}") from error
            move_whole(errors, self.errors)
            move_whole(made, self.table)
        self._clear()
        return counts

    def _clear(self) -> None:
        """Remove all but the lock, which goes last."""
        for file in self.folder.iterdir():
            if file.name != LOCK:
                with suppress(OSError):
                    file.unlink()

    def path(self, part: Part) -> Path:
        """The file of a part."""
        return self.folder / f"{part.number:08d}-{part.digest[:16]}.parquet"


def _read(note: Path) -> dict[str, Any]:
    """Settings of the parts beside them; none where they cannot be read."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(error: Exception) -> str:
    """What kept a table from being written, and what to do."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on its disk; the parts are kept, make room and run again"
    return f"{' '.join(str(error).split())}; the parts are kept, run again when that is mended"


def _join(parts: Sequence[Path], made: Path, errors: Path) -> Counts:
    rows = whole = unreadable = 0
    waiting: list[pa.Table] = []
    schema = _rows_of(parts[0]).schema
    schema = schema.remove(schema.get_field_index("error"))
    with _writer(made, schema) as table, errors.open("w", newline="", encoding="utf-8") as file:
        bad = csv.writer(file, lineterminator="\n")
        bad.writerow(["path", "error"])
        for place, part in enumerate(parts, 1):
            found = _rows_of(part)
            failed = found.filter(pc.field("error") != "")
            bad.writerows(zip(failed["path"].to_pylist(), failed["error"].to_pylist(), strict=True))
            waiting.append(found.filter(pc.field("error") == "").drop_columns(["error"]))
            rows, unreadable = rows + waiting[-1].num_rows, unreadable + failed.num_rows
            whole += waiting[-1].filter(_IS_WHOLE).num_rows
            # readers are slow where row groups are small
            if sum(one.num_rows for one in waiting) >= _ROW_GROUP or place == len(parts):
                table.write_table(pa.concat_tables(waiting))
                waiting = []
    return Counts(rows, whole, unreadable)


# Small pictures are faces already cut out, and are not searched; a whole picture begins at 0, so that x2 is its width.
_IS_WHOLE = (pc.field("detector") == WHOLE_IMAGE) & ((pc.field("x2") > CROPPED_SIZE) | (pc.field("y2") > CROPPED_SIZE))


def _rows_of(part: Path) -> pa.Table:
    """A finished part; OutputError where it is gone or damaged, since it was finished."""
    try:
        return pq.read_table(part)
    except FileNotFoundError as error:
        raise OutputError(f"the finished part {part} is gone; run again, which makes it anew and keeps the others") from error
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"cannot read the finished part {part}: {reason}; remove it and run again") from error


def _writer(path: Path, schema: pa.Schema) -> Any:
    if path.suffix == ".csv":
        return pa.csv.CSVWriter(path, schema)
    return pq.ParquetWriter(path, schema)


def as_table(columns: Columns) -> pa.Table:
    """Columns as Arrow has them; a name that is no UTF-8 is written with escapes."""
    return pa.table({name: _array(values) for name, values in columns.items()})


def _array(values: Any) -> pa.Array:
    if values.dtype != object:
        return pa.array(values)
    return pa.array([text.encode(errors="surrogateescape").decode(errors="backslashreplace") for text in values], pa.string())
