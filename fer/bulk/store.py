"""The files of a bulk run: finished parts while it lasts, one table and a list of bad files when it is done."""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from fer.bulk.listing import Part
from fer.bulk.stage import Columns
from fer.errors import ConfigError, OutputError
from fer.files import make_folder, move_whole, workshop, write_json, write_whole

#: Kinds of tables by ending.
SUFFIXES = (".parquet", ".csv")

#: Rows that a reader of the table takes at once.
_ROW_GROUP = 65_536


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

    def open(self, settings: Mapping[str, Any]) -> None:
        """Begin, or go on with parts made under the same settings.

        Raises:
            ConfigError: parts of other settings lie there.
            OutputError: the folder cannot be written, or the table has the name of one.
        """
        if self.table.is_dir():
            raise OutputError(f"cannot write {self.table}: that is a folder; choose another name")
        make_folder(self.folder)
        note = self.folder / "settings.json"
        if any(self.folder.glob("*.parquet")):
            theirs = _read(note)
            other = [name for name, value in settings.items() if theirs.get(name) != value]
            if other:
                raise ConfigError(
                    f"{self.folder} holds parts made with another {', '.join(other)}; remove it, or name another --out"
                )
        write_json(note, dict(settings))

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

    def join(self, parts: Sequence[Path]) -> tuple[int, int]:
        """Make the table and the list of errors of finished parts, in order, and remove these.

        Returns:
            Rows of the table, and of the list.

        Raises:
            OutputError: there is no room; the parts are kept then.
        """
        with workshop(self.table) as folder:
            made, errors = folder / self.table.name, folder / self.errors.name
            try:
                counts = _join(parts, made, errors)
            except (OSError, pa.ArrowException) as error:
                raise OutputError(f"cannot write {self.table}: {error}; the parts are kept, make room and run again") from error
            move_whole(errors, self.errors)
            move_whole(made, self.table)
        shutil.rmtree(self.folder, ignore_errors=True)
        return counts

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


def _join(parts: Sequence[Path], made: Path, errors: Path) -> tuple[int, int]:
    faces = unreadable = 0
    waiting: list[pa.Table] = []
    schema = pq.read_schema(parts[0])
    schema = schema.remove(schema.get_field_index("error"))
    with _writer(made, schema) as table, errors.open("w", newline="", encoding="utf-8") as file:
        bad = csv.writer(file, lineterminator="\n")
        bad.writerow(["path", "error"])
        for place, part in enumerate(parts, 1):
            rows = pq.read_table(part)
            failed = rows.filter(pc.field("error") != "")
            bad.writerows(zip(failed["path"].to_pylist(), failed["error"].to_pylist(), strict=True))
            waiting.append(rows.filter(pc.field("error") == "").drop_columns(["error"]))
            faces, unreadable = faces + waiting[-1].num_rows, unreadable + failed.num_rows
            # readers are slow where row groups are small
            if sum(one.num_rows for one in waiting) >= _ROW_GROUP or place == len(parts):
                table.write_table(pa.concat_tables(waiting))
                waiting = []
    return faces, unreadable


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
