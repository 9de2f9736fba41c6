"""Which expression is taken for which."""

from analysis.figures import confusion as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section


@section("confusion", "Confusion matrix")
def confusion(material: Material) -> Section:
    """Counts of label and answer."""
    metrics = material.metrics
    names, counts = list(metrics["per_class"]), metrics["confusion_matrix"]
    rows = tuple((name, *(f"{count:,}" for count in row)) for name, row in zip(names, counts, strict=True))
    return Section(
        {"classes": names, "counts": counts, "accuracy": metrics["accuracy"], "n": metrics["n"]},
        (
            "A row holds the faces of one label, a column those of one answer: what is right stands on the diagonal. "
            "Shares are of the row.",
            drawn(
                figure.figure(metrics),
                "Matrix of labels and answers; the same counts stand in the table below.",
                f"Confusion matrix: {material.about}.",
            ),
            Table(f"faces by label (rows) and answer (columns): {material.about}", ("label", *names), rows),
        ),
    )
