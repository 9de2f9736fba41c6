"""What the runs of a cross-validation say of the faces they did not train on, as one table of the train split."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fer import run_files
from fer.data import FaceSet
from fer.errors import ConfigError, DataError
from fer.types import PredictionTable

#: File of the table in the folder of a series.
OUT_OF_FOLD = "out-of-fold.npz"


def assemble(parts: Sequence[PredictionTable], held_out: Sequence[torch.Tensor], faces: FaceSet) -> PredictionTable:
    """One table of all faces in their own order, every row by the run that did not train on that face.

    Args:
        parts: a table a fold.
        held_out: int64 positions in ``faces`` that each table judges, every position once.
        faces: the split that was divided.

    Raises:
        ConfigError: a table is not one of these faces.
    """
    logits = np.full((len(faces), len(faces.classes)), np.nan, dtype=np.float32)
    for number, (part, places) in enumerate(zip(parts, held_out, strict=True), 1):
        _refuse_others(part, faces.select(places), number)
        logits[places.numpy()] = part.logits
    source = {
        "checkpoint": f"{len(parts)} folds",
        "weights_sha256": ", ".join(part.source.get("weights_sha256", "") for part in parts),
        "data": faces.fingerprint,
        "folds": str(len(parts)),
    }
    return PredictionTable(logits, faces.labels.cpu().numpy(), faces.names, faces.classes, faces.split, source)


def _refuse_others(part: PredictionTable, judged: FaceSet, number: int) -> None:
    if (part.names, part.classes, part.labels.tolist()) != (judged.names, judged.classes, judged.labels.tolist()):
        raise ConfigError(
            f"fold {number} judged other faces than it would now; name the data, folds and seed the series began with"
        )


def check_finished(folder: Path, held_out: Sequence[torch.Tensor], faces: FaceSet) -> None:
    """Before more is trained: the runs of a series that are finished judged these parts of these faces.

    Raises:
        ConfigError: a run's table is missing or damaged, or it judged other faces.
    """
    for number, places in enumerate(held_out, 1):
        run = folder / run_name(number)
        if (run / run_files.METRICS).exists():
            _refuse_others(_part(run), faces.select(places), number)


def run_name(number: int) -> str:
    """Folder of the run that judges a part, counted from 1."""
    return f"fold-{number}"


def save(folder: Path, held_out: Sequence[torch.Tensor], faces: FaceSet) -> PredictionTable:
    """Write the table of a finished series, from the tables its runs left; returns it.

    Raises:
        ConfigError: a run's table is missing or damaged, or it judged other faces.
    """
    table = assemble([_part(folder / run_name(number)) for number in range(1, len(held_out) + 1)], held_out, faces)
    table = replace(table, source={**table.source, "checkpoint": f"{folder.name}, {len(held_out)} folds"})
    table.save(folder / OUT_OF_FOLD)
    return table


def _part(run: Path) -> PredictionTable:
    try:
        return PredictionTable.load(run / run_files.TABLE)
    except DataError as error:
        raise ConfigError(
            f"{run / run_files.TABLE} cannot be read; remove {run / run_files.METRICS}, and its run writes both anew"
        ) from error


def load(folder: Path) -> PredictionTable:
    """The table of a finished series over folds.

    Raises:
        ConfigError: no such series, an unfinished one, or one over seeds.
        DataError: the table is damaged.
    """
    if (folder / OUT_OF_FOLD).exists():
        return PredictionTable.load(folder / OUT_OF_FOLD)
    started = len(list(folder.glob("fold-*")))
    if started:
        raise ConfigError(
            f"{folder} has no {OUT_OF_FOLD}, since not all of its folds are finished; "
            f"finish it with fer train --resume {folder} --folds K, with the K and --data it began with"
        )
    raise ConfigError(f"{folder} is no series over folds: it has no {OUT_OF_FOLD}; make one with fer train NAME --folds 5")
