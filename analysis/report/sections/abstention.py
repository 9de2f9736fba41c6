"""When to say "unsure"."""

from analysis.abstention import Kept, risk_coverage
from analysis.abstention import abstention as choose
from analysis.figures import risk_coverage as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number, percent


@section("abstention", "When to say “unsure”")
def abstention(material: Material) -> Section:
    """Risk against coverage, and a threshold judged on faces it was not chosen on."""
    curve, found = risk_coverage(material.table), choose(material.table)
    rows = tuple(
        _row(name, kept) for name, kept in (("the threshold was chosen on", found.fitted), ("the other", found.held_out))
    )
    return Section(
        {"risk_coverage": curve.to_dict(), "abstention": found.to_dict()},
        (
            "Leaving out the answers the model is least sure of leaves fewer mistakes among the others. The lower the curve "
            "runs, the better confidence tells right from wrong.",
            f"No threshold reaches {percent(found.wanted)}."
            if found.threshold is None
            else f"Threshold for {percent(found.wanted)}: {number(found.threshold)}.",
            drawn(
                figure.figure(curve, found),
                f"Share of wrong answers over the share of faces that get one: {percent(curve.risk)} where all do; "
                f"area under the curve {number(curve.aurc)}.",
                f"Risk against coverage: {material.about}.",
            ),
            Table(
                "answers with the threshold", ("half", "answered", "of", "coverage", "accuracy", "95 % from", "95 % to"), rows
            ),
        ),
    )


def _row(half: str, kept: Kept) -> tuple[str, ...]:
    shares = ["undefined"] * 3
    if kept.accuracy is not None and kept.interval is not None:
        shares = [percent(kept.accuracy), *(percent(bound) for bound in kept.interval)]
    return (half, f"{kept.n:,}", f"{kept.of:,}", percent(kept.coverage), *shares)
