"""Which parts of the face the maps fall on, where ``fer regions`` measured it."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.report.material import Material
from analysis.report.section import Section, Table, section
from fer.words import number


@section("regions", "Parts of the face", needs="--with regions.json")
def regions(material: Material) -> Section | None:
    """The file's own tables: every mapping of rows and every list of rows in it."""
    if "regions" not in material.extras:
        return None
    content: Mapping[str, Any] = material.extras["regions"]
    tables = tuple(table for key, value in content.items() if (table := table_of(key, value)))
    plain = ", ".join(f"{key} {_cell(value)}" for key, value in content.items() if isinstance(value, str | int | float))
    return Section(content, (f"As measured elsewhere: {plain}." if plain else "As measured elsewhere.", *tables))


def table_of(caption: str, value: Any) -> Table | None:
    """A table of a mapping of mappings, or of a list of them, as far as their values are numbers or texts; None without.

    >>> table_of("share", {"mouth": {"happy": 0.5}}).rows
    (('mouth', '0.5000'),)
    """
    rows = _rows(value)
    columns = list(dict.fromkeys(key for _, row in rows for key, cell in row.items() if isinstance(cell, str | int | float)))
    if not columns:
        return None
    cells = tuple((name, *(_cell(row.get(key)) for key in columns)) for name, row in rows)
    return Table(_words(caption), ("", *(_words(key) for key in columns)), cells)


def _rows(value: Any) -> Sequence[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        return [(str(name), row) for name, row in value.items() if isinstance(row, Mapping)]
    if isinstance(value, list):
        return [(str(number_), row) for number_, row in enumerate(value, 1) if isinstance(row, Mapping)]
    return []


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value) if value is not None else "–"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else "–"


def _words(key: str) -> str:
    return key.replace("_", " ")
