"""``fer regions`` without the command line: cover a sample, judge it all, write numbers and pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from analysis.averages import Average, averages
from analysis.explain.heatmaps import HeatmapTable
from analysis.face_template import template
from analysis.figures import regions as figures
from analysis.figures import save
from analysis.figures.gallery import rgb
from analysis.figures.overlay import overlay
from analysis.perturbation import Scores
from analysis.region_effects import balanced, occlusion_effects
from analysis.regions import Covered, RegionReport, look
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import to_unit
from fer.errors import ConfigError, DataError
from fer.files import make_folder, write_json
from fer.types import ByteArray, FloatArray, PredictionTable, Progress

#: Single faces that the template is drawn over.
_FITTED = 33


@dataclass(frozen=True)
class Plan:
    """How many faces have their regions covered (as equally many of every class as there are), how, and the seed."""

    faces: int = 500
    cover: str = "grey"
    seed: int = 0


def load_tables(folder: Path) -> tuple[PredictionTable, HeatmapTable]:
    """The tables of one pass, as ``fer explain --data`` writes them; DataError where they are missing or damaged."""
    return PredictionTable.load(folder / "predictions.npz"), HeatmapTable.load(folder / "heatmaps.npz")


def cover_sample(
    checkpoint: Checkpoint, faces: FaceSet, heatmaps: HeatmapTable, plan: Plan, progress: Progress | None = None
) -> Covered:
    """Effects of covering each region of a sample; faces row by row with the heatmaps, whose classes are asked about.

    Raises:
        ConfigError: no face is asked for.
        UnknownNameError: no such cover.
    """
    if plan.faces < 1:
        raise ConfigError(f"--faces {plan.faces}: cover the regions of one face or more")
    rows = balanced(faces.labels.cpu().numpy(), plan.faces, plan.seed)
    pixels, targets = to_unit(faces.images[rows].cpu()), torch.from_numpy(heatmaps.targets[rows])
    effects = occlusion_effects(Scores(checkpoint), pixels, targets, template(), plan.cover, progress)
    return Covered(rows, effects, plan.cover)


def study(
    checkpoint: Checkpoint,
    faces: FaceSet,
    tables: tuple[PredictionTable, HeatmapTable],
    plan: Plan = Plan(),
    progress: Progress | None = None,
) -> RegionReport:
    """Where a checkpoint looks, from tables of one pass over these very faces.

    Raises:
        DataError: the tables are of other faces than one another.
        ConfigError, UnknownNameError: as :func:`cover_sample`.
    """
    table, heatmaps = tables
    if len(table) != len(heatmaps) or len(table) != len(faces):
        raise DataError(f"{len(table):,} predictions, {len(heatmaps):,} maps and {len(faces):,} faces do not belong together")
    return look(table, heatmaps, cover_sample(checkpoint, faces, heatmaps, plan, progress))


def write(report: RegionReport, tables: tuple[PredictionTable, HeatmapTable], images: ByteArray, out: Path) -> list[Path]:
    """regions.json, four pictures, and one of the faces that look at the background where there are any.

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
