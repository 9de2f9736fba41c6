"""What a check of a data set found, as contact sheets to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.figures import save, sheet
from fer.data import Corpus
from fer.data.report import Finding, Report
from fer.types import ByteArray

#: Findings on one sheet.
SHOWN = 100
_NEAR = ("near-leak", "near-copy")


def choose(findings: Sequence[Finding]) -> dict[str, tuple[str, list[Finding]]]:
    """Sheet → title and the findings on it; random ones are drawn with a fixed seed."""
    near = sorted((f for f in findings if f.kind in _NEAR), key=lambda f: f.value or 0)
    drawn = np.sort(np.random.default_rng(0).permutation(len(near))[:SHOWN])
    sheets = {
        "near-lowest": (f"the least similar of {len(near):,} near duplicates", near[:SHOWN]),
        "near-random": (f"random ones of {len(near):,} near duplicates", [near[i] for i in drawn]),
    }
    for kind, reverse in (("conflict", False), ("blank", False), ("dark", False), ("blurred", False), ("non-face", True)):
        found = [f for f in findings if f.kind == kind]
        if kind != "conflict":
            found = sorted(found, key=lambda f: f.value or 0, reverse=reverse)
        sheets[kind] = (f"{kind}: {min(len(found), SHOWN)} of {len(found):,} images", found[:SHOWN])
    return {name: content for name, content in sheets.items() if content[1]}


def write_sheets(report: Report, corpus: Corpus, out: Path) -> list[Path]:
    """Draw the sheets of :func:`choose` into a folder; OutputError where that is not possible."""
    faces = {
        (split, name): image[0].numpy()
        for split, some in corpus.splits.items()
        for name, image in zip(some.names, some.images.cpu(), strict=True)
    }
    written = []
    for name, (title, findings) in choose(report.findings).items():
        written.append(out / f"{name}.png")
        save(sheet.figure([_tile(finding, faces) for finding in findings], title), written[-1])
    return written


def _tile(finding: Finding, faces: dict[tuple[str, str], ByteArray]) -> sheet.Tile:
    own = faces[finding.split, finding.name]
    value = "" if finding.value is None else f" {finding.value:.3g}"
    if not finding.twin:
        return sheet.Tile((own,), f"{finding.label}{value}")
    return sheet.Tile((own, faces[finding.twin_split, finding.twin]), f"{finding.label} | {finding.twin_label}{value}")
