"""Faces that a pass leaves out for what they are answered: how its table says so, and that it is no evaluation."""

from pathlib import Path

from fer.errors import DataError
from fer.types import PredictionTable

#: Key in the source of a table: how many they are; there where any was left out.
LEFT_OUT = "left_out_by_answer"


def left_out(table: PredictionTable) -> str:
    """How many faces a table lacks for what they are answered, in words; empty where it lacks none."""
    count = table.source.get(LEFT_OUT, "")
    return f"{count} left out, whose class would be set against itself" if count else ""


def refuse_left_out(table: PredictionTable, place: Path) -> None:
    """DataError where a table that was read from ``place`` lacks such faces: no figure of the others is one of the split."""
    if words := left_out(table):
        raise DataError(
            f"{place} is no evaluation of the {table.split} split: of its faces {words}; "
            "write it anew with fer explain --data without --against, or with fer evaluate --table"
        )
