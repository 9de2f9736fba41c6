"""What a report is made of: one pass of a model over a split, with all that was measured elsewhere and is at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.explain import OWN_PREDICTION, HeatmapTable, Question, explain_set
from analysis.map_layers import MapLayer, layer_of
from analysis.mistakes_page import MistakesReport
from analysis.pairing import paired, paired_votes
from analysis.passes import load_pass
from analysis.report.extras import Extra
from fer.checkpoint import Checkpoint
from fer.data import Corpus, FaceSet
from fer.errors import DataError
from fer.metrics import evaluate_table
from fer.types import ByteArray, IntArray, PredictionTable, Progress


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that sections read; rows of table, heatmaps, faces and votes belong together.

    Attributes:
        checkpoint: whose card is shown; it is not asked again.
        corpus: the data set.
        table: what the checkpoint says of N faces.
        heatmaps: where it looks in them.
        faces: the N faces.
        votes: int64 (N, 10) of FER+, −1 where there are none; None where nobody asked.
        extras: kind → a result of another command.
    """

    checkpoint: Checkpoint
    corpus: Corpus
    table: PredictionTable
    heatmaps: HeatmapTable
    faces: FaceSet
    votes: IntArray | None = None
    extras: Mapping[str, Extra] = field(default_factory=dict)

    def __post_init__(self) -> None:
        same = self.table.names == self.heatmaps.names and self.table.classes == self.heatmaps.classes
        if not same or len(self.faces) != len(self.table):
            raise DataError("predictions and heatmaps are of different faces; write both anew with fer explain --data")

    @property
    def n(self) -> int:
        """Faces."""
        return len(self.table)

    @property
    def images(self) -> ByteArray:
        """uint8 (N, 48, 48)."""
        return self.faces.images.cpu().numpy()[:, 0]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """All figures of the evaluation."""
        return evaluate_table(self.table)

    @property
    def about(self) -> str:
        """The faces, for captions."""
        return f"{self.table.split} split, n = {self.n:,}"

    @cached_property
    def question(self) -> str:
        """What the maps explain, for captions: ``gradcam for the prediction``, ``gradcam for fear against happy (block2)``."""
        return self.heatmaps.question(self.table.predicted)

    @cached_property
    def mistakes(self) -> MistakesReport:
        """The browser of faces and its numbers."""
        return MistakesReport(self.table, self.faces.images, self.votes, [self._layer()])

    def _layer(self) -> MapLayer:
        return layer_of(self.question, range(self.n), (self.heatmaps[row] for row in range(self.n)))


def gather(
    checkpoint: Checkpoint, corpus: Corpus, split: str, question: Question = OWN_PREDICTION, progress: Progress | None = None
) -> Material:
    """One pass of a checkpoint over a split: predictions and maps together.

    Raises:
        DataError: no such split, or no face of a class that the checkpoint knows.
    """
    faces = corpus.split(split).only(checkpoint.card.classes)
    table, heatmaps = explain_set(checkpoint, faces, question, progress)
    return Material(checkpoint, corpus, table, heatmaps, faces)


def recall(checkpoint: Checkpoint, corpus: Corpus, folder: Path) -> Material:
    """The material of a pass that ``fer explain --data`` kept in a folder.

    Raises:
        ConfigError: the pass is another checkpoint's.
        DataError: files are missing or damaged, or are of other faces than the data set's.
    """
    table, heatmaps = load_pass(folder, checkpoint)
    return Material(checkpoint, corpus, table, heatmaps, paired(table, corpus))


def votes_of(material: Material, path: Path | None) -> IntArray | None:
    """FER+ votes of the faces; None where no file is named. DataError as :func:`analysis.pairing.paired_votes`."""
    return None if path is None else paired_votes(material.table, material.corpus, path)
