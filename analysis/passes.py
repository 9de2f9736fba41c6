"""One pass of a checkpoint over a split as it lies in a folder: predictions, and the maps of the same faces."""

from pathlib import Path

from analysis.explain.heatmaps import HeatmapTable
from analysis.left_out import refuse_left_out
from fer.checkpoint import Checkpoint
from fer.errors import ConfigError
from fer.types import PredictionTable

PREDICTIONS, HEATMAPS = "predictions.npz", "heatmaps.npz"


def save_pass(folder: Path, table: PredictionTable, heatmaps: HeatmapTable) -> list[Path]:
    """Write both, for :func:`load_pass`; their paths. OutputError where the folder is not writable."""
    table.save(folder / PREDICTIONS)
    heatmaps.save(folder / HEATMAPS)
    return [folder / PREDICTIONS, folder / HEATMAPS]


def load_pass(folder: Path, checkpoint: Checkpoint) -> tuple[PredictionTable, HeatmapTable]:
    """What a checkpoint said of a split and where it looked.

    Raises:
        ConfigError: the pass is another checkpoint's.
        DataError: a file is missing or damaged, or faces were left out for what they are answered.
    """
    table = PredictionTable.load(folder / PREDICTIONS)
    check_maker(table, checkpoint, folder)
    return table, HeatmapTable.load(folder / HEATMAPS)


def other_way(table: PredictionTable) -> str:
    """How a table was made where it is not what its checkpoint says of each face once; empty where it is."""
    if "format" in table.source:
        return f"of the model exported as {table.source['format']}"
    tta = table.source.get("tta", "none")
    return "" if tta == "none" else f"of several views of each face (--tta {tta})"


def check_maker(table: PredictionTable, checkpoint: Checkpoint, place: Path) -> None:
    """Refuse a table read from ``place`` that is not what this checkpoint says of each face once.

    Raises:
        ConfigError: it is not by this checkpoint, or not of one plain pass of it.
        DataError: faces were left out for what they are answered.
    """
    if table.source.get("weights_sha256") != checkpoint.card.weights_sha256:
        raise ConfigError(
            f"{place} is by {table.source.get('checkpoint', 'another checkpoint')}, not by {checkpoint.name}; "
            "name the checkpoint that made it with --checkpoint"
        )
    if way := other_way(table):
        raise ConfigError(
            f"{place} is {way}, and maps are not; write it anew by fer evaluate, of the .pth itself and without --tta"
        )
    refuse_left_out(table, place)
