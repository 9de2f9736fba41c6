"""Which faces of a data set belong to the rows of a prediction table."""

from pathlib import Path

import numpy as np
import torch

from fer.data import Corpus, FaceSet
from fer.data.ferplus import read_votes
from fer.errors import DataError
from fer.types import IntArray, PredictionTable


def paired(table: PredictionTable, corpus: Corpus) -> FaceSet:
    """The faces of a table, in its order.

    Raises:
        DataError: the data set has no such split, not all of its faces, or other labels for them.
    """
    faces = corpus.split(table.split)
    chosen = faces.select(torch.from_numpy(_places(table, faces, corpus)))
    theirs = [table.classes[label] for label in table.labels]
    ours = [faces.classes[label] for label in chosen.labels.tolist()]
    other = next((row for row, pair in enumerate(zip(theirs, ours, strict=True)) if pair[0] != pair[1]), None)
    if other is not None:
        raise DataError(
            f"the table calls {table.names[other]} {theirs[other]}, {corpus.origin} {ours[other]}; "
            "name the data set the table was made from, and a table of the data set's own labels"
        )
    unknown = [name for name in table.classes if name not in faces.classes]
    if unknown:
        raise DataError(f"the table knows {', '.join(unknown)}, {corpus.origin} only {', '.join(faces.classes)}")
    return chosen


def paired_votes(table: PredictionTable, corpus: Corpus, path: Path) -> IntArray:
    """FER+ votes int64 (N, 10) of a table's rows, in the order of :data:`fer.data.ferplus.CANDIDATES`; −1 where there are none.

    Raises:
        DataError: as :func:`paired`; no readable votes, or not one of them belongs to these faces.
    """
    faces = corpus.split(table.split)
    votes = read_votes(corpus, path)[table.split][_places(table, faces, corpus)]
    if not (votes >= 0).any():
        raise DataError(f"{path} has votes for no face of this {table.split} split; name the votes of this data set")
    return votes


def _places(table: PredictionTable, faces: FaceSet, corpus: Corpus) -> IntArray:
    if table.names == faces.names:
        return np.arange(len(table))
    known = {name: place for place, name in enumerate(faces.names)}
    missing = [name for name in table.names if name not in known]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(table):,} faces of the table, such as {missing[0]}, are not in the {table.split} split "
            f"of {corpus.origin}; name the data set the table was made from"
        )
    return np.array([known[name] for name in table.names], dtype=np.int64)
