"""The files of a label audit: figures, the numbers they are drawn from, and the suspects as a table."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.figures import labels, save
from analysis.labels.audit import LabelAudit
from analysis.labels.tagger_votes import TaggerCheck
from fer.data import FaceSet
from fer.data.ferplus import CANDIDATES
from fer.files import ESCAPED, make_folder, remove_earlier, write_whole
from fer.types import IntArray

_COLUMNS = ("rank", "name", "label", "suggested", "probability of the label")


@dataclass(frozen=True, eq=False)
class LabelReport:
    """An audit with its faces, and what taggers say where that is known: votes int64 (N, 10), −1 for none."""

    audit: LabelAudit
    faces: FaceSet
    votes: IntArray | None = None
    check: TaggerCheck | None = None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as label-audit.json holds them."""
        content = self.audit.to_dict()
        for suspect in content["ranking"]:
            suspect["votes"] = votes_of(self.votes, suspect["row"])
        return {**content, "taggers": None if self.check is None else self.check.to_dict()}

    def write(self, out: Path, top: int) -> list[Path]:
        """Write label-audit.json, suspects.csv and the figures, the gallery with the first ``top`` suspects.

        Figures of votes that an earlier audit left there go where this one has none.

        Raises:
            OutputError: the folder is not writable.
        """
        make_folder(out)
        write_whole(out / "label-audit.json", (json.dumps(self.to_dict(), indent=1) + "\n").encode())
        write_whole(out / "suspects.csv", self._csv().encode(errors=ESCAPED))
        shown = self.audit.suspects[:top]
        images = [self.faces.images[suspect.row, 0].numpy() for suspect in shown]
        said = ["" if self.votes is None else votes_in_words(votes_of(self.votes, suspect.row)) for suspect in shown]
        figures = {"suspects.png": labels.suspects_figure(self.audit, images, said)}
        for name, draw in {"precision.png": labels.precision_figure, "agreement.png": labels.agreement_figure}.items():
            if self.check is None:
                remove_earlier(out / name)
            else:
                figures[name] = draw(self.check)
        for name, figure in figures.items():
            save(figure, out / name)
        return [out / name for name in ("label-audit.json", "suspects.csv", *figures)]

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(() if self.votes is None else CANDIDATES)])
        for rank, s in enumerate(self.audit.suspects, 1):
            votes = votes_of(self.votes, s.row) or {}
            writer.writerow([rank, s.name, s.label, s.suggested, f"{s.score:.6f}", *_cells(self.votes, votes)])
        return text.getvalue()


def _cells(votes: IntArray | None, of_face: dict[str, int]) -> Sequence[int | str]:
    return () if votes is None else [of_face.get(name, "") for name in CANDIDATES]


def votes_of(votes: IntArray | None, row: int) -> dict[str, int] | None:
    """A face's votes by candidate, without those nobody chose; None where there are no votes.

    >>> votes_of(np.array([[0, 0, 0, 8, 2, 0, 0, 0, 0, 0]]), 0)
    {'happy': 8, 'neutral': 2}
    """
    if votes is None or votes[row, 0] < 0:
        return None
    return {CANDIDATES[place]: int(votes[row, place]) for place in np.flatnonzero(votes[row])}


def votes_in_words(votes: dict[str, int] | None) -> str:
    """The two largest counts, as ``"8 happy, 1 neutral, …"``.

    >>> votes_in_words({"fear": 1, "happy": 8, "neutral": 1})
    '8 happy, 1 fear, …'
    """
    if votes is None:
        return "no votes known"
    best = sorted(votes.items(), key=lambda item: -item[1])
    return ", ".join([*(f"{count} {name}" for name, count in best[:2]), *(["…"] if len(best) > 2 else [])])
