"""Figures of every class."""

from collections.abc import Sequence

from analysis.classes import class_figures
from analysis.figures import classes as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number, percent


@section("classes", "Each class")
def classes(material: Material) -> Section:
    """Recall, precision, F1 and area under the curve, with intervals."""
    found = class_figures(material.table)
    rows = tuple(
        (
            one.name,
            f"{one.n:,}",
            _share(one.recall, one.recall_ci95),
            f"{one.answered:,}",
            _share(one.precision, one.precision_ci95),
            number(one.f1),
            number(one.roc_auc),
        )
        for one in found
    )
    columns = ("class", "faces", "recall (95 %)", "answers", "precision (95 %)", "F1", "ROC AUC")
    known = [one for one in found if one.recall is not None]
    alt = "Recall of the classes: " + ", ".join(f"{one.name} {percent(one.recall)}" for one in known if one.recall is not None)
    return Section(
        {"classes": [one.to_dict() for one in found]},
        (
            "Recall is the share of a class's faces that are recognised; precision is the share of an answer's faces "
            "that are labelled so. An interval is wide where there are few faces.",
            drawn(figure.figure(found), alt, f"Recall and precision of every class: {material.about}."),
            Table(f"figures of the classes: {material.about}", columns, rows),
        ),
    )


def _share(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return "undefined"
    low, high = interval
    return f"{percent(value)} ({percent(low)} to {percent(high)})"
