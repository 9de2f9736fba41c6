"""Where a model looks: shares of its maps by region of the face, and what covering a region costs, class by class.

A map's mass on a region says where it points, the effect of covering it what it is worth. Both are set against the size of the
region, and against the regions that the action units of a class move (:mod:`analysis.regions.verdicts`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.averages import RIGHT, WRONG
from analysis.explain.heatmaps import HeatmapTable
from analysis.means import Mean
from analysis.regions.background import BACKGROUND_LIFT, Background
from analysis.regions.face_template import REGIONS, Labels, template
from analysis.regions.shares import Mask, Shares, Values, ratio, region_shares
from analysis.regions.verdicts import Verdict, verdicts
from fer.errors import DataError
from fer.types import IntArray, PredictionTable


@dataclass(frozen=True)
class Group:
    """The faces of a class that are recognised, or those that are not.

    Attributes:
        name: the true class.
        group: ``"right"`` or ``"wrong"``.
        n: faces.
        empty: those among them whose map is 0 everywhere; they have no mass and no lift.
        mass: region → mean share of the maps.
        lift: region → mean share over area.
        effect: region → mean drop of the probability of the answer when the region is covered.
        effect_per_tenth: the same over the size of the region: the drop for 10 % of the picture.
    """

    name: str
    group: str
    n: int
    empty: int
    mass: dict[str, Mean]
    lift: dict[str, Mean]
    effect: dict[str, Mean]
    effect_per_tenth: dict[str, Mean]


@dataclass(frozen=True, eq=False)
class Covered:
    """What covering regions costs: rows int64 (M,) of a table, effects float64 (M, 8), the name of the cover."""

    rows: IntArray
    effects: Values
    cover: str


@dataclass(frozen=True)
class RegionReport:
    """Where one checkpoint looks on one split.

    Attributes:
        checkpoint: its name.
        source: of the table.
        split: of the faces.
        method: of the maps, which explain each face's answer.
        cover: what regions were covered with.
        n: faces.
        own_regions: those among them whose regions follow landmarks; all others have the template's.
        empty: maps that are 0 everywhere.
        covered: faces whose regions were covered.
        area: region → share of the picture, mean over the faces.
        groups: two a class.
        verdicts: one a class.
        background: who looks at it.
    """

    checkpoint: str
    source: dict[str, str]
    split: str
    method: str
    cover: str
    n: int
    own_regions: int
    empty: int
    covered: int
    area: dict[str, float]
    groups: tuple[Group, ...]
    verdicts: tuple[Verdict, ...]
    background: Background

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        said = [{**asdict(verdict), "words": verdict.words} for verdict in self.verdicts]
        return {**asdict(self), "verdicts": said, "background": {"threshold_lift": BACKGROUND_LIFT, **asdict(self.background)}}


def check_tables(table: PredictionTable, heatmaps: HeatmapTable) -> None:
    """DataError where maps are of other faces or classes, or explain anything but each face's answer at the usual layers."""
    if table.names != heatmaps.names or table.classes != heatmaps.classes:
        raise DataError(
            "the predictions and the heatmaps are of different faces or classes; write both with fer explain --data"
        )
    if (heatmaps.against >= 0).any() or heatmaps.layers:
        kind = f"layers {', '.join(heatmaps.layers)}" if heatmaps.layers else "a contrast of two classes"
        raise DataError(f"the heatmaps are of {kind}; write them with fer explain --data without --against and --layer")
    other = np.flatnonzero(heatmaps.targets != table.predicted)
    if len(other):
        target = table.classes[heatmaps.targets[other[0]]]
        raise DataError(
            f"{len(other):,} of {len(table):,} heatmaps explain another class ({target}) than the answer; "
            "write them with fer explain --data without --target"
        )


def look(table: PredictionTable, heatmaps: HeatmapTable, covered: Covered, labels: Labels | None = None) -> RegionReport:
    """All figures, from tables of one pass and the effects of a sample of its faces.

    Args:
        table: predictions.
        heatmaps: maps of these predictions, row by row.
        covered: what covering regions costs.
        labels: regions int8 (48, 48) or (N, 48, 48); the template where None.

    Raises:
        DataError: the tables do not belong together, or their maps have another size than the regions.
    """
    check_tables(table, heatmaps)
    regions = template() if labels is None else labels
    shares = region_shares(heatmaps.values, regions)
    effects = np.full(shares.mass.shape, np.nan)
    effects[covered.rows] = covered.effects
    right = table.predicted == table.labels
    groups = [
        _group(name, group, (table.labels == c) & where, shares, effects)
        for c, name in enumerate(table.classes)
        for group, where in ((RIGHT, right), (WRONG, ~right))
    ]
    return RegionReport(
        checkpoint=table.source.get("checkpoint", ""),
        source=dict(table.source),
        split=table.split,
        method=heatmaps.method,
        cover=covered.cover,
        n=len(table),
        own_regions=int((regions != template()).any(axis=(1, 2)).sum()) if regions.ndim == 3 else 0,
        empty=int(shares.empty.sum()),
        covered=len(covered.rows),
        area=dict(zip(REGIONS, shares.area.mean(axis=0).tolist(), strict=True)),
        groups=tuple(groups),
        verdicts=verdicts(table, shares, effects),
        background=Background.of(table, shares, heatmaps.peaks),
    )


def _group(name: str, group: str, where: Mask, shares: Shares, effects: Values) -> Group:
    per_tenth = 0.1 * ratio(effects, shares.area)
    means = (
        {region: Mean.of(values[where, place]) for place, region in enumerate(REGIONS)}
        for values in (shares.mass, shares.lift, effects, per_tenth)
    )
    return Group(name, group, int(where.sum()), int(shares.empty[where].sum()), *means)
