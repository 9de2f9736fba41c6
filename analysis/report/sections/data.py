"""The data set: how many faces of what, which of them repeat, and the figures without those."""

from collections.abc import Mapping
from typing import Any

from analysis.report.extras import CLEAN_INDEX
from analysis.report.material import Material
from analysis.report.section import Section, Table, section
from fer.data.clean import CleanIndex
from fer.metrics import evaluate_table
from fer.words import number, with_interval

_BOTH = ("macro_recall", "macro_f1", "ece")


@section("data", "Data")
def data(material: Material) -> Section:
    """Counts; leaks and copies where ``fer data check`` looked for them; figures of the clean faces."""
    corpus = material.corpus
    splits = {name: {"n": len(faces), "counts": faces.counts} for name, faces in corpus.splits.items()}
    numbers: dict[str, Any] = {
        "origin": corpus.origin.name,
        "fingerprint": corpus.fingerprint,
        "splits": splits,
        "skipped": [{"reason": one.reason, "count": one.count} for one in corpus.skipped],
        "check": None,
        "clean": None,
    }
    content: list[str | Table] = [f"{corpus.origin.name}, fingerprint {corpus.fingerprint[:12]}…", _counts(splits)]
    if "data_check" in material.extras:
        numbers["check"] = dict(material.extras["data_check"].value)
        content += _checked(numbers["check"])
    if CLEAN_INDEX in material.extras:
        numbers["clean"] = _clean(material, material.extras[CLEAN_INDEX].value)
        content += _cleaned(material, numbers["clean"])
    return Section(numbers, tuple(content))


def _counts(splits: Mapping[str, Any]) -> Table:
    names = list(dict.fromkeys(name for split in splits.values() for name in split["counts"]))
    rows = [(name, *(f"{split['counts'].get(name, 0):,}" for split in splits.values())) for name in names]
    rows.append(("all", *(f"{split['n']:,}" for split in splits.values())))
    return Table("faces of each class and split", ("class", *splits), tuple(rows))


def _checked(check: Mapping[str, Any]) -> list[str | Table]:
    splits = list(check["splits"])
    rows = tuple((kind, *(f"{counts[split]:,}" for split in splits)) for kind, counts in check["kinds"].items())
    words = (
        "A leak is a photo that stands in an earlier split, too: what was learnt there is asked for again here. "
        "A conflict is a photo that stands there under several labels."
    )
    return [words, Table("what the check of the data found, faces", ("finding", *splits), rows)]


def _clean(material: Material, index: CleanIndex) -> dict[str, Any]:
    kept = material.table.rows(index.kept(material.table.split, material.table.names))
    metrics = evaluate_table(kept)
    moved = abs(metrics["accuracy"] - material.metrics["accuracy"])
    return {"index_sha256": index.sha256, "left_out": material.n - len(kept), "accuracy_moves_by": moved, "metrics": metrics}


def _cleaned(material: Material, clean: Mapping[str, Any]) -> list[str | Table]:
    every, rest = material.metrics, clean["metrics"]
    rows = (
        ("faces", f"{every['n']:,}", f"{rest['n']:,}"),
        ("accuracy", *(with_interval(one["accuracy"], one["ci95"]) for one in (every, rest))),
        *((key.replace("_", " "), number(every[key]), number(rest[key])) for key in _BOTH),
    )
    moved = f"{100 * clean['accuracy_moves_by']:.2f} points"
    words = f"The clean index leaves out {clean['left_out']:,} of these faces; the accuracy moves by {moved}."
    return [words, Table(f"all faces and clean ones: {material.table.split} split", ("figure", "all", "clean"), rows)]
