"""Where a model looks: shares of its maps by region of the face, what covering a region costs, and what was to be expected.

A map's mass on a region says where it points, the effect of covering it what it is worth. Both are set against the size of the
region, and against the regions that the action units of a class move (:mod:`analysis.action_units`).
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from analysis.action_units import PROTOTYPES, expected_regions
from analysis.averages import RIGHT, WRONG
from analysis.explain.heatmaps import HeatmapTable
from analysis.face_template import BACKGROUND, REGIONS, Labels, template
from analysis.significance import DRAWS, percentile_interval
from fer.errors import DataError
from fer.types import IntArray, PredictionTable

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Faces below which nothing is said of a difference.
FEW = 10
#: A map "looks at the background" where it lies there more than a map that is the same everywhere would.
BACKGROUND_LIFT = 1.0
#: Faces listed that look most at the background.
_LISTED = 12


@dataclass(frozen=True, eq=False)
class Shares:
    """How maps lie on the regions.

    Attributes:
        mass: float64 (N, 7), share of each map on each region, rows summing to 1; NaN where a map is empty.
        area: float64 (N, 7), share of the pixels.
    """

    mass: Values
    area: Values

    @property
    def lift(self) -> Values:
        """float64 (N, 7), mass over area: 1 is what a map has there that is the same everywhere; NaN without area."""
        return _ratio(self.mass, self.area)

    @property
    def empty(self) -> Mask:
        """bool (N,), maps that are 0 everywhere."""
        return np.asarray(np.isnan(self.mass).any(axis=1))


def region_shares(maps: npt.ArrayLike, labels: Labels) -> Shares:
    """Shares of maps float (N, H, W) ≥ 0 on regions int8 (H, W), or (N, H, W) for faces with regions of their own.

    Raises:
        DataError: maps and regions differ in size.
    """
    values, where = np.asarray(maps, dtype=np.float64), np.asarray(labels)
    if values.ndim != 3 or where.shape[-2:] != values.shape[-2:]:
        raise DataError(f"maps {values.shape} and regions {where.shape} differ in size; write the maps with fer explain --data")
    each = [where == region for region in range(len(REGIONS))]
    mass = np.stack([(values * one).sum(axis=(1, 2)) for one in each], axis=1)
    total = values.sum(axis=(1, 2))[:, None]
    mass = _ratio(mass, np.broadcast_to(total, mass.shape))
    area = np.stack([one.mean(axis=(-2, -1)) for one in each], axis=-1)
    return Shares(mass, np.broadcast_to(area, mass.shape))


@dataclass(frozen=True)
class Mean:
    """A mean over ``n`` faces with its 95 % bootstrap interval: None without a face, no interval with one."""

    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None

    @classmethod
    def of(cls, values: Values, seed: int = 0) -> Self:
        """Of float64 (N,), what is NaN left out.

        >>> Mean.of(np.array([0.5, np.nan]))
        Mean(n=1, mean=0.5, ci95=None)
        """
        return cls._drawn(seed, values)

    @classmethod
    def difference(cls, one: Values, other: Values, seed: int = 0) -> Self:
        """Mean of one group less that of another, each resampled by itself; ``n`` is the smaller group."""
        return cls._drawn(seed, one, other)

    @classmethod
    def _drawn(cls, seed: int, *groups: Values) -> Self:
        rng, known = np.random.default_rng(seed), [values[~np.isnan(values)] for values in groups]
        n = min(len(values) for values in known)
        if n == 0:
            return cls(0)
        mean = float(known[0].mean() - sum(values.mean() for values in known[1:]))
        if n == 1:
            return cls(1, mean)
        drawn = [values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1) for values in known]
        return cls(n, mean, percentile_interval(drawn[0] - sum(drawn[1:])))

    @property
    def sign(self) -> int | None:
        """1 or −1 where the whole interval lies above or below 0, 0 where it does not, None for fewer than ten faces."""
        if self.ci95 is None or self.n < FEW:
            return None
        return int(self.ci95[0] > 0) - int(self.ci95[1] < 0)


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
        effect: region → mean drop of the probability of the explained class when the region is covered.
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


@dataclass(frozen=True)
class Verdict:
    """Does a class rest on the regions that its action units move? Over its recognised faces, whose maps explain the class.

    Attributes:
        name: the class.
        units: action units of its prototype.
        expected: regions they move; empty for neutral, of which nothing is said.
        lift: lift of the expected regions less that of the rest of the face, both taken together.
        specific: share of the map on the expected regions less that on recognised faces of the other classes: maps of most
            networks favour the middle of the picture, which this takes out.
        effect: drop when an expected region is covered less that for the rest of the face, both for 10 % of the picture.
        right_less_wrong: share on the expected regions, recognised faces less the others of the class.
    """

    name: str
    units: tuple[int, ...]
    expected: tuple[str, ...]
    lift: Mean
    specific: Mean
    effect: Mean
    right_less_wrong: Mean

    @property
    def words(self) -> str:
        """What the figures say, in a sentence."""
        if not self.expected:
            return f"{self.name}: no action unit is expected, nothing to judge"
        *first, last = self.expected
        where, units = ", ".join(first) + f" and {last}", "+".join(map(str, self.units))
        said = [
            f"the map lies {_MORE[self.lift.sign]} there than on the rest of the face",
            f"{_MORE[self.specific.sign]} than the maps of the other classes",
            f"covering them costs {_MORE[self.effect.sign]} than covering as much of the rest",
        ]
        return f"{self.name}: AU {units} move {where}: " + "; ".join(said)


_MORE = {1: "more", -1: "LESS", 0: "not clearly more", None: "(too few faces to say) more or less"}


@dataclass(frozen=True)
class Stray:
    """A face whose map lies on the background.

    ``share`` is that of the map, ``strength`` the map's raw peak over the median one: a faint map says little, wherever it lies.
    """

    name: str
    label: str
    predicted: str
    share: float
    strength: float | None


@dataclass(frozen=True)
class Background:
    """Who looks at the background: more than :data:`BACKGROUND_LIFT` times its area.

    Attributes:
        area: share of the picture that is background, mean over the faces.
        lift: class → mean lift of the background over all its faces.
        faces: class → faces flagged; empty maps are not.
        flagged: classes whose lift lies above the threshold, with the whole interval.
        worst: the flagged faces that do it most.
    """

    area: float
    lift: dict[str, Mean]
    faces: dict[str, int]
    flagged: tuple[str, ...]
    worst: tuple[Stray, ...]

    @classmethod
    def of(cls, table: PredictionTable, shares: Shares, peaks: npt.NDArray[np.floating]) -> Self:
        """Over all faces of a table; peaks float (N,) are those of the raw maps."""
        lift = shares.lift[:, BACKGROUND]
        own = {name: lift[table.labels == c] for c, name in enumerate(table.classes)}
        means = {name: Mean.of(values) for name, values in own.items()}
        flagged = tuple(name for name, mean in means.items() if mean.ci95 and mean.n >= FEW and mean.ci95[0] > BACKGROUND_LIFT)
        order = np.argsort(-np.nan_to_num(lift, nan=-1), kind="stable")
        worst = [_stray(table, shares, peaks, int(i)) for i in order[:_LISTED] if lift[i] > BACKGROUND_LIFT]
        counts = {name: int((values > BACKGROUND_LIFT).sum()) for name, values in own.items()}
        return cls(float(shares.area[:, BACKGROUND].mean()), means, counts, flagged, tuple(worst))


def _stray(table: PredictionTable, shares: Shares, peaks: npt.NDArray[np.floating], row: int) -> Stray:
    label, answer = (table.classes[places[row]] for places in (table.labels, table.predicted))
    median = float(np.median(peaks))
    strength = float(peaks[row]) / median if median > 0 else None
    return Stray(table.names[row], label, answer, float(shares.mass[row, BACKGROUND]), strength)


@dataclass(frozen=True, eq=False)
class Covered:
    """What covering regions costs: rows int64 (M,) of a table, effects float64 (M, 7), the name of the cover."""

    rows: IntArray
    effects: Values
    cover: str


@dataclass(frozen=True)
class RegionReport:
    """Where one checkpoint looks on one split."""

    checkpoint: str
    split: str
    method: str
    cover: str
    n: int
    empty: int
    covered: int
    area: dict[str, float]
    groups: tuple[Group, ...]
    verdicts: tuple[Verdict, ...]
    background: Background

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        verdicts = [{**asdict(verdict), "words": verdict.words} for verdict in self.verdicts]
        background = {"threshold_lift": BACKGROUND_LIFT, **asdict(self.background)}
        return {**asdict(self), "verdicts": verdicts, "background": background}


def look(table: PredictionTable, heatmaps: HeatmapTable, covered: Covered, labels: Labels | None = None) -> RegionReport:
    """All figures, from tables of one pass and the effects of a sample of its faces.

    Args:
        table: predictions.
        heatmaps: their maps, row by row; the classes they explain are those whose effects are given.
        covered: what covering regions cost.
        labels: regions int8 (48, 48) or (N, 48, 48); the template where None.

    Raises:
        DataError: the tables do not belong together, or their maps have another size than the regions.
    """
    if table.names != heatmaps.names or table.classes != heatmaps.classes:
        raise DataError(
            "the predictions and the heatmaps are of different faces or classes; write both with fer explain --data"
        )
    shares = region_shares(heatmaps.values, template() if labels is None else labels)
    effects = np.full(shares.mass.shape, np.nan)
    effects[covered.rows] = covered.effects
    right = table.predicted == table.labels
    parts = {RIGHT: right, WRONG: ~right}
    groups = [
        _group(name, group, (table.labels == c) & where, shares, effects)
        for c, name in enumerate(table.classes)
        for group, where in parts.items()
    ]
    own = right & (heatmaps.targets == table.labels)
    verdicts = [_verdict(table, c, own, shares, effects) for c in range(len(table.classes))]
    return RegionReport(
        checkpoint=table.source.get("checkpoint", ""),
        split=table.split,
        method=heatmaps.method,
        cover=covered.cover,
        n=len(table),
        empty=int(shares.empty.sum()),
        covered=len(covered.rows),
        area=dict(zip(REGIONS, shares.area.mean(axis=0).tolist(), strict=True)),
        groups=tuple(groups),
        verdicts=tuple(verdicts),
        background=Background.of(table, shares, heatmaps.peaks),
    )


def _group(name: str, group: str, where: Mask, shares: Shares, effects: Values) -> Group:
    means = (
        {region: Mean.of(values[where, place]) for place, region in enumerate(REGIONS)}
        for values in (shares.mass, shares.lift, effects, 0.1 * _ratio(effects, shares.area))
    )
    return Group(name, group, int(where.sum()), int(shares.empty[where].sum()), *means)


def _verdict(table: PredictionTable, c: int, own: Mask, shares: Shares, effects: Values) -> Verdict:
    name = table.classes[c]
    expected = expected_regions(name)
    units = PROTOTYPES[name]
    if not expected:
        return Verdict(name, units, expected, Mean(0), Mean(0), Mean(0), Mean(0))
    inside = np.array([region in expected for region in REGIONS])
    here, others = own & (table.labels == c), own & (table.labels != c)
    missed = (table.labels == c) & (table.predicted != c)
    on_expected = shares.mass[:, inside].sum(axis=1)
    return Verdict(
        name,
        units,
        expected,
        lift=Mean.of(_favour(shares.mass, shares.area, inside)[here]),
        specific=Mean.difference(on_expected[here], on_expected[others]),
        effect=Mean.of(0.1 * _favour(effects, shares.area, inside)[here]),
        right_less_wrong=Mean.difference(on_expected[here], on_expected[missed]),
    )


def _favour(values: Values, area: Values, inside: Mask) -> Values:
    """float64 (N,): what lies inside, by its area, less what lies on the rest of the face, by its own."""
    outside = ~inside
    outside[BACKGROUND] = False
    one, other = (_ratio(values[:, where].sum(axis=1), area[:, where].sum(axis=1)) for where in (inside, outside))
    return np.asarray(one - other)


def _ratio(one: Values, other: Values) -> Values:
    """NaN where the other is 0, as for a region that lies outside the picture."""
    return np.divide(one, other, out=np.full_like(one, np.nan), where=other > 0)
