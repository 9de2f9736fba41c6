"""What a check of a data set says: single findings, counts, and the clean index that follows from them."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from fer import clarity
from fer.data import quality
from fer.data.clean import CleanIndex, LeftOut, make_index
from fer.data.near import THRESHOLD
from fer.emotions import suggestion
from fer.errors import UnknownNameError

#: What may be found on a face. A clean index leaves out the first five, the others when asked.
KINDS: dict[str, str] = {
    "blank": "all pixels are equal",
    "conflict": "exact copies of the photo have different labels; all of them are named",
    "leak": "an exact copy is in an earlier split (train, validation, test)",
    "near-leak": "a near duplicate is in an earlier split",
    "copy": "an exact copy comes earlier in the same split",
    "near-copy": "a near duplicate comes earlier in the same split",
    "dark": f"mean grey value below {clarity.DARK:g}",
    "blurred": f"variance of the Laplacian below {clarity.BLURRED:g} of the variance of the pixels",
    "non-face": f"a candidate: badly described by the set's eigenfaces, robust z-score of {quality.ODD:g} or more",
}
CLEANED, OPTIONAL = tuple(KINDS)[:5], tuple(KINDS)[5:]


@dataclass(frozen=True)
class Finding:
    """One thing found on one face; the twin is the face it repeats, ``value`` the measure (near duplicates: correlation)."""

    kind: str
    split: str
    name: str
    label: str
    twin_split: str = ""
    twin: str = ""
    twin_label: str = ""
    value: float | None = None


@dataclass(frozen=True)
class SplitFigures:
    """One split: images, images a class, largest to smallest class (None with an empty one), and how its faces look.

    ``brightness`` and ``contrast`` are means over the faces in grey values 0..255, ``sharpness`` is the median.
    """

    n: int
    counts: Mapping[str, int]
    imbalance: float | None
    brightness: float
    contrast: float
    sharpness: float


@dataclass(frozen=True)
class Copies:
    """Groups of equal photos: how many, images beyond the first of each, groups with different labels."""

    groups: int
    surplus: int
    conflicting_groups: int


@dataclass(frozen=True)
class Leak:
    """Images of a split with a twin in an earlier one: exact, exact or mirrored, near only; such with another label."""

    n: int
    exact: int
    exact_or_mirrored: int
    near: int
    conflicting: int


@dataclass(frozen=True)
class Near:
    """Near duplicates among different photos: pairs, those that are mirrored, those with different labels."""

    pairs: int
    mirrored_pairs: int
    conflicting_pairs: int
    threshold: float = THRESHOLD


@dataclass(frozen=True)
class Report:
    """Everything that :func:`fer.data.check.check` found; ``exact`` counts equal pixels, ``mirrored`` also mirror images."""

    origin: str
    fingerprint: str
    named_fingerprint: str
    splits: Mapping[str, SplitFigures]
    exact: Copies
    mirrored: Copies
    near: Near
    leaks: Mapping[str, Leak]
    blurred_splits: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def kinds(self) -> dict[str, dict[str, int]]:
        """Kind → split → images found."""
        found = Counter((finding.kind, finding.split) for finding in self.findings)
        return {kind: {split: found[kind, split] for split in self.splits} for kind in KINDS}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form without the single findings, which :attr:`findings` lists."""
        plain = {key: value for key, value in asdict(self).items() if key != "findings"} | {"kinds": self.kinds}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    def to_csv(self) -> str:
        """All findings, one a line."""
        text = io.StringIO()
        names = [field.name for field in fields(Finding)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(finding) for finding in self.findings)
        return text.getvalue()

    def index(self, also: Sequence[str] = ()) -> CleanIndex:
        """The clean index; ``also`` names kinds of :data:`OPTIONAL`.

        Raises:
            UnknownNameError: no such kind.
        """
        refuse_unknown(also)
        chosen = [kind for kind in KINDS if kind in (*CLEANED, *also)]
        ranked = sorted((f for f in self.findings if f.kind in chosen), key=lambda f: chosen.index(f.kind))
        twins = {f: f"{f.twin_split}/{f.twin}" if f.twin else "" for f in ranked}
        return make_index(self.named_fingerprint, (LeftOut(f.split, f.name, f.kind, twins[f]) for f in ranked))


def refuse_unknown(kinds: Sequence[str]) -> None:
    """UnknownNameError where one is none of :data:`OPTIONAL`."""
    for kind in kinds:
        if kind not in OPTIONAL:
            raise UnknownNameError(f"unknown finding {kind!r}{suggestion(kind, OPTIONAL)}; known: {', '.join(OPTIONAL)}")
