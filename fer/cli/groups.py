"""``--groups`` of ``fer evaluate``: a table for every column of a groups file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer.cli import console

if TYPE_CHECKING:
    from analysis.groups import GroupFile
    from fer.types import PredictionTable


def read(path: Path | None, column: str | None, names: Sequence[str]) -> GroupFile | None:
    """The groups file, or None without one; says which faces and rows it leaves over.

    Raises:
        ConfigError: a column without a file.
        DataError: a file that cannot be used.
    """
    from analysis.groups import GroupFile
    from fer.errors import ConfigError

    if path is None:
        if column:
            raise ConfigError(f"--column {column} needs the file that has it; name it with --groups FILE")
        return None
    file = GroupFile.read(path, names, column.strip().lower() if column else None)
    if file.note:
        console.say(file.note)
    return file


def judged(table: PredictionTable, file: GroupFile | None) -> dict[str, Any]:
    """``{"groups": ...}``, one entry a column; nothing without a file."""
    from analysis.groups import groupings

    return {"groups": [grouping.to_dict() for grouping in groupings(table, file)]} if file else {}


def show(groupings: Sequence[dict[str, Any]]) -> None:
    """Print one table a column."""
    for grouping in groupings:
        title = f"by {grouping['column']}" + (f" ({grouping['without']:,} faces in no group)" if grouping["without"] else "")
        table = console.make_table("group", "n", "accuracy (95 %)", "against the rest", "p", "p (Holm)", "note", title=title)
        for row in grouping["groups"]:
            low, high = (console.percent(value) for value in row["ci95"])
            difference = "" if row["difference"] is None else f"{100 * row['difference']:+.2f} points"
            tests = [console.p_value(row[key]) for key in ("p", "p_holm")]
            accuracy = f"{console.percent(row['accuracy'])} ({low} to {high})"
            table.add_row(row["name"], f"{row['n']:,}", accuracy, difference, *tests, row["note"])
        console.put_table(table)
