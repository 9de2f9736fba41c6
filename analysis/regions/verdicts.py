"""Whether a class rests on the regions that its action units move (:mod:`analysis.regions.action_units`)."""

from dataclasses import dataclass

import numpy as np

from analysis.means import Mean
from analysis.regions.action_units import PROTOTYPES, expected_regions
from analysis.regions.face_template import BACKGROUND, REGIONS
from analysis.regions.shares import Mask, Shares, Values, ratio
from fer.types import PredictionTable


@dataclass(frozen=True)
class Verdict:
    """One class, judged over its recognised faces, whose maps explain it.

    Attributes:
        name: the class.
        units: action units of its prototype.
        expected: regions they move; empty for neutral, of which nothing is said.
        lift: lift of the expected regions less that of the rest of the face, both taken together.
        specific: share of the map on the expected regions less that on recognised faces of the other classes: maps of most
            networks favour the middle of the picture, which this takes out.
        effect: sum of the drops of the expected regions, each covered alone, less that of the rest of the face, both for 10 %
            of the picture.
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
        where = " and ".join(filter(None, (", ".join(first), last)))
        said = [
            f"the map lies {_MORE[self.lift.sign]} there than on the rest of the face",
            f"{_MORE[self.specific.sign]} than the maps of the other classes",
            f"covering them costs {_MORE[self.effect.sign]} than covering as much of the rest",
        ]
        return f"{self.name}: AU {'+'.join(map(str, self.units))} move {where}: " + "; ".join(said)


_MORE = {1: "more", -1: "less", 0: "not clearly more", None: "(too few faces to say) more or less"}


def verdicts(table: PredictionTable, shares: Shares, effects: Values) -> tuple[Verdict, ...]:
    """One a class; effects float64 (N, 8), NaN for faces that were not covered."""
    return tuple(_verdict(table, c, shares, effects) for c in range(len(table.classes)))


def _verdict(table: PredictionTable, c: int, shares: Shares, effects: Values) -> Verdict:
    name = table.classes[c]
    units, expected = PROTOTYPES[name], expected_regions(name)
    if not expected:
        return Verdict(name, units, expected, Mean(0), Mean(0), Mean(0), Mean(0))
    inside = np.array([region in expected for region in REGIONS])
    own, right = table.labels == c, table.predicted == table.labels
    on_expected = shares.mass[:, inside].sum(axis=1)
    return Verdict(
        name,
        units,
        expected,
        lift=Mean.of(_favour(shares.mass, shares.area, inside)[own & right]),
        specific=Mean.difference(on_expected[own & right], on_expected[~own & right]),
        effect=Mean.of(0.1 * _favour(effects, shares.area, inside)[own & right]),
        right_less_wrong=Mean.difference(on_expected[own & right], on_expected[own & ~right]),
    )


def _favour(values: Values, area: Values, inside: Mask) -> Values:
    """float64 (N,): what lies inside, by its area, less what lies on the rest of the face, by its own."""
    outside = ~inside
    outside[BACKGROUND] = False
    one, other = (ratio(values[:, where].sum(axis=1), area[:, where].sum(axis=1)) for where in (inside, outside))
    return np.asarray(one - other)
