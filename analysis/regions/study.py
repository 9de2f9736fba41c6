"""``fer regions`` without the command line: cover a sample, judge it all, write numbers and pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from analysis.averages import Average, averages
from analysis.explain.heatmaps import HeatmapTable
from analysis.figures import regions as figures
from analysis.figures import save
from analysis.figures.gallery import rgb
from analysis.figures.overlay import overlay
from analysis.perturbation import Scores
from analysis.regions.effects import occlusion_effects
from analysis.regions.face_template import Labels, regions_of_crops, template
from analysis.regions.report import Covered, RegionReport, check_tables, look
from analysis.sampling import balanced
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import to_unit
from fer.errors import ConfigError, DataError
from fer.files import make_folder, remove_earlier, write_json
from fer.types import ByteArray, FloatArray, IntArray, PredictionTable, Progress

#: Single faces that the template is drawn over.
_FITTED = 33


@dataclass(frozen=True)
class Plan:
    """How many faces have their regions covered (as equally many of every class as there are), how, and the seed."""

    faces: int = 500
    cover: str = "grey"
    seed: int = 0


def cover_sample(
    checkpoint: Checkpoint,
    faces: FaceSet,
    targets: IntArray,
    plan: Plan,
    labels: Labels | None = None,
    progress: Progress | None = None,
) -> Covered:
    """Effects of covering each region of a sample; targets int64 (N,) are the classes asked about, labels as in :func:`look`.

    Raises:
        ConfigError: no face is asked for.
        UnknownNameError: no such cover.
    """
    if plan.faces < 1:
        raise ConfigError(f"--faces {plan.faces}: cover the regions of one face or more")
    rows = balanced(faces.labels.cpu().numpy(), plan.faces, plan.seed)
    regions = template() if labels is None else labels if labels.ndim == 2 else labels[rows]
    pixels, asked = to_unit(faces.images[rows].cpu()), torch.from_numpy(targets[rows])
    effects = occlusion_effects(Scores(checkpoint), pixels, asked, regions, plan.cover, progress)
    return Covered(rows, effects, plan.cover)


def study(
    checkpoint: Checkpoint,
    faces: FaceSet,
    tables: tuple[PredictionTable, HeatmapTable],
    plan: Plan = Plan(),
    landmarks: npt.ArrayLike | None = None,
    progress: Progress | None = None,
) -> RegionReport:
    """Where a checkpoint looks, from tables of one pass over these very faces.

    Args:
        checkpoint: that made the tables.
        faces: row by row with them.
        tables: predictions and their heatmaps.
        plan: which regions are covered.
        landmarks: (N, 5, 2) as :func:`analysis.regions.face_template.regions_of_crops` takes them; the template without.
        progress: told regions done and all.

    Raises:
        DataError: tables, faces and landmarks do not belong together, or maps explain another class than the answer.
        ConfigError, UnknownNameError: as :func:`cover_sample`.
    """
    table, heatmaps = tables
    labels = None if landmarks is None else regions_of_crops(landmarks)
    check_tables(table, heatmaps)
    counts = {"predictions": len(table), "faces": len(faces), "landmarks": len(table) if labels is None else len(labels)}
    if len(set(counts.values())) > 1:
        raise DataError(f"{', '.join(f'{n:,} {what}' for what, n in counts.items())} do not belong together")
    return look(table, heatmaps, cover_sample(checkpoint, faces, heatmaps.targets, plan, labels, progress), labels)


def write(report: RegionReport, tables: tuple[PredictionTable, HeatmapTable], images: ByteArray, out: Path) -> list[Path]:
    """regions.json, four pictures, and one of the faces that look at the background; where none does, none stays from before.

    ``images`` are uint8 (N, 48, 48), row by row with the tables.

    Raises:
        OutputError: the folder is not writable.
    """
    make_folder(out)
    found = averages(*tables, images)
    about = f"{report.split} split, n = {report.n:,}"
    drawn = {
        "template.png": figures.template_figure(images.mean(axis=0), f"regions, and over the mean face of the {about}"),
        "template-fit.png": figures.fit_figure(
            _fitted(tables[0], images, found), f"the template over mean faces and single ones: {about}"
        ),
        "region-bars.png": figures.bars_figure(report),
        "region-effects.png": figures.effects_figure(report, found),
    }
    if report.background.worst:
        strays = _strays(report, tables, images)
        drawn["background.png"] = figures.fit_figure(strays, f"faces whose map lies most on the background: {about}", columns=6)
    else:
        remove_earlier(out / "background.png")
    written = [out / "regions.json"]
    write_json(written[0], report.to_dict())
    for name, figure in drawn.items():
        written.append(out / name)
        save(figure, written[-1])
    return written


def _strays(
    report: RegionReport, tables: tuple[PredictionTable, HeatmapTable], images: ByteArray
) -> list[tuple[str, FloatArray | ByteArray]]:
    table, heatmaps = tables
    rows = [table.names.index(stray.name) for stray in report.background.worst]
    captions = [f"{stray.share:.0%} of the map\n{stray.label}, answer {stray.predicted}" for stray in report.background.worst]
    return [(caption, overlay(rgb(images[row]), heatmaps[row])) for caption, row in zip(captions, rows, strict=True)]


def _fitted(table: PredictionTable, images: ByteArray, found: tuple[Average, ...]) -> list[tuple[str, FloatArray | ByteArray]]:
    """The mean faces of each class, then single faces of all of them."""
    means: list[tuple[str, FloatArray | ByteArray]] = [
        (f"mean {name}", images[table.labels == c].mean(axis=0))
        for c, name in enumerate(table.classes)
        if (table.labels == c).any()
    ]
    rows = balanced(np.asarray(table.labels), _FITTED, seed=0)
    return means + [(table.classes[table.labels[row]], images[row]) for row in rows]
