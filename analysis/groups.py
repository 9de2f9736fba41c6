"""Is a model worse for some? Accuracy by the groups that a CSV names, each against all other faces."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from analysis.significance import fisher, holm
from fer.data.names import paired
from fer.emotions import suggestion
from fer.errors import DataError
from fer.metrics import wilson_interval
from fer.types import PredictionTable

#: Columns of a groups file that may hold the names of faces, the first that is there.
NAME_COLUMNS = ("name", "file", "image")

#: Below so many faces a group's figures say little, whatever its p.
FEW = 30

#: A column with more values than this is a measurement, not a grouping.
MOST_GROUPS = 50


@dataclass(frozen=True)
class GroupFile:
    """What a groups file says of some faces.

    Attributes:
        values: column → name of a face → its group, "" where it has none.
        note: one sentence on faces without a row and rows without a face, or "".
    """

    values: Mapping[str, Mapping[str, str]]
    note: str

    @classmethod
    def read(cls, path: Path, names: Sequence[str], column: str | None = None) -> Self:
        """Read a CSV with a column ``name``, ``file`` or ``image`` and one or more columns of groups.

        Args:
            path: the file.
            names: of the faces, as in a data set; the file may give whole names or only their last parts.
            column: the only grouping to take; all of them where None.

        Raises:
            DataError: the file cannot be read, lacks a column, names no face, or has too many groups.
        """
        header, rows = _rows(path)
        name_column = next((name for name in NAME_COLUMNS if name in header), None)
        if name_column is None:
            raise DataError(f"{path} has no column {' or '.join(NAME_COLUMNS)} (it has: {', '.join(header)}); add one")
        columns = [name for name in header if name and name != name_column]
        if column is not None and column not in columns:
            raise DataError(f"{path} has no groups {column!r}{suggestion(column, columns)}; its columns: {', '.join(columns)}")
        if not columns:
            raise DataError(f"{path} has no column beside {name_column}; add one with the group of every face")
        given = [row[name_column] for row in rows]
        found = paired(names, given)
        known = sum(place >= 0 for place in found)
        if not known:
            example = f" ({given[0]!r} is none of {names[0]!r}, …)" if given else ""
            raise DataError(f"{path} names not one of the {len(names):,} faces{example}; name faces as the data set does")
        chosen = [column] if column else columns
        values = {key: _values(path, key, names, found, rows) for key in chosen}
        return cls(values, _note(path, len(names) - known, len(rows) - known))


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header in lower case and stripped, and the rows by it."""
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
        header = [cell.strip().lower() for cell in next(reader, [])]
        records = [[cell.strip() for cell in record] for record in reader if record]
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"cannot read groups from {path}: {reason}; give a CSV with a name column and columns of groups"
        ) from error
    return header, [dict(zip(header, [*record, *[""] * len(header)], strict=False)) for record in records]


def _values(
    path: Path, column: str, names: Sequence[str], found: Sequence[int], rows: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    values = {name: rows[place][column] if place >= 0 else "" for name, place in zip(names, found, strict=True)}
    groups = set(values.values()) - {""}
    if len(groups) > MOST_GROUPS:
        here = f"{path}: {column} has {len(groups):,} values, {MOST_GROUPS} groups are read at most"
        raise DataError(f"{here}; put them into bins or choose another --column")
    return values


def _note(path: Path, without: int, strangers: int) -> str:
    parts = [f"{without:,} faces have no row in it and are in no group"] * (without > 0)
    parts += [f"{strangers:,} of its rows name no face here, or one that another row names, too"] * (strangers > 0)
    return f"{path}: {'; '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class Group:
    """One group against all other faces that have one.

    Attributes:
        name: the value in the file.
        n: its faces.
        accuracy: 0..1.
        ci95: Wilson interval of the accuracy.
        difference: its accuracy minus that of the rest; None where there is no rest.
        p: Fisher's exact test against the rest, two-sided; None where there is no rest.
        p_holm: the same, corrected for the number of tests in the column: one where it has two groups, else one a group.
        note: a warning for the reader, or "".
    """

    name: str
    n: int
    accuracy: float
    ci95: tuple[float, float]
    difference: float | None
    p: float | None
    p_holm: float | None
    note: str


@dataclass(frozen=True)
class Grouping:
    """A column of a groups file: its groups by name, and how many faces have none."""

    column: str
    groups: tuple[Group, ...]
    without: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, table: PredictionTable, column: str, values: Mapping[str, str]) -> Self:
        """Judge every group of a column; ``values`` as in :class:`GroupFile`."""
        belongs = np.array([values.get(name, "") for name in table.names])
        right, has = table.predicted == table.labels, belongs != ""
        groups = [_group(str(name), right[has], belongs[has] == name) for name in np.unique(belongs[has])]
        tested = [group.p for group in groups if group.p is not None]
        # of two groups each is the other's rest: one test
        corrected = tested if len(tested) == 2 else holm(tested) if tested else []
        if tested:
            groups = [replace(group, p_holm=p) for group, p in zip(groups, corrected, strict=True)]
        return cls(column, tuple(groups), int((~has).sum()))


def _group(name: str, right: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]) -> Group:
    n, hits = int(inside.sum()), int(right[inside].sum())
    rest, rest_hits = int((~inside).sum()), int(right[~inside].sum())
    note = f"fewer than {FEW} faces" if n < FEW else f"fewer than {FEW} others" if 0 < rest < FEW else ""
    alone = rest == 0
    return Group(
        name=name,
        n=n,
        accuracy=hits / n,
        ci95=wilson_interval(hits, n),
        difference=None if alone else hits / n - rest_hits / rest,
        p=None if alone else fisher(hits, n - hits, rest_hits, rest - rest_hits),
        p_holm=None,
        note="all faces: nothing to compare with" if alone else note,
    )


def groupings(table: PredictionTable, file: GroupFile) -> list[Grouping]:
    """Every column of a groups file, judged on a table."""
    return [Grouping.of(table, column, values) for column, values in file.values.items()]
