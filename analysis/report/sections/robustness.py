"""The model on worse photographs, where ``fer robustness`` measured it."""

from analysis.figures import robustness as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from analysis.robustness import Robustness
from fer.words import number, percent, with_interval


@section("robustness", "Robustness", needs="fer robustness, then --with robustness.json")
def robustness(material: Material) -> Section | None:
    """Accuracy, calibration and maps under every corruption."""
    if "robustness" not in material.extras:
        return None
    found: Robustness = material.extras["robustness"].value
    rows = tuple(
        (name, f"{100 * found.drop(name):.2f}", *(percent(s.condition.accuracy) for s in found.of(name)))
        for name in found.corruptions
    )
    most = max((len(found.of(name)) for name in found.corruptions), default=0)
    rows = tuple((*row, *[""] * (most + 2 - len(row))) for row in rows)
    return Section(
        found.to_dict(),
        (
            f"{found.checkpoint} on {found.n:,} faces of the {found.split} split: "
            f"{with_interval(found.clean.accuracy, found.clean.ci95)} as they are, with an expected calibration error of "
            f"{number(found.clean.ece)}. Corrupted, it loses {100 * found.mean_drop:.2f} points on average over "
            "corruptions and severities.",
            drawn(
                figure.figure(found),
                "Accuracy, calibration error and likeness of maps over the severities of every corruption; "
                "accuracies stand in the table below.",
                f"{found.checkpoint} under stress: {found.split} split, n = {found.n:,} faces and {found.maps:,} maps.",
            ),
            Table(
                f"accuracy under stress, n = {found.n:,}",
                ("corruption", "mean loss, points", *(f"severity {number_}" for number_ in range(1, most + 1))),
                rows,
            ),
        ),
    )
