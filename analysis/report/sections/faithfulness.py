"""How far the maps can be believed, where ``fer faithfulness`` measured it."""

from analysis.faithfulness import Report
from analysis.figures import faithfulness as figure
from analysis.perturbation import MEASURES
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number


@section("faithfulness", "Faithfulness of the maps", needs="fer faithfulness, then --with faithfulness.json")
def faithfulness(material: Material) -> Section | None:
    """Every method beside a random map and a centred blob."""
    if "faithfulness" not in material.extras:
        return None
    extra = material.extras["faithfulness"]
    reports: tuple[Report, ...] = extra.value
    about = f"{extra.content['split']} split, n = {reports[0].n:,} faces"
    tables = [*map(_ratings, reports), _likeness(reports)]
    verdicts = [f"{report.name} {report.verdict}." for report in reports]
    return Section(
        {"split": extra.content["split"], "reports": [report.to_dict() | {"wins": _wins(report)} for report in reports]},
        (
            "A faithful map names the pixels that the answer rests on. Faces are centred, so that a blob in the middle that "
            "has not looked scores well, too: a method is worth its time only where it beats that.",
            *verdicts,
            drawn(
                figure.figure(reports, about),
                "How much better each method is than a random map and a centred blob; the tables below give the figures.",
                f"Maps beside two baselines that have not looked: {about}.",
            ),
            *tables,
        ),
    )


def _wins(report: Report) -> dict[str, int]:
    """Measures won, and of how many: what the verdict says in words."""
    return {
        "blob": report.wins("blob"),
        "random": report.wins("random"),
        "of": sum(MEASURES[name].ranks for name in report.ratings),
    }


def _ratings(report: Report) -> Table:
    rows = tuple(
        (name, *(cell for e in (r.value, r.over_blob, r.over_random) for cell in (number(e.mean), _between(e.low, e.high))))
        for name, r in report.ratings.items()
    )
    columns = ("measure", "mean", "95 %", "better than a blob by", "95 %", "better than a random map by", "95 %")
    return Table(f"{report.name}: faithfulness, n = {report.n:,}", columns, rows)


def _likeness(reports: tuple[Report, ...]) -> Table:
    rows = tuple(
        (report.name, *("not asked" if value is None else number(value) for value in _still(report))) for report in reports
    )
    columns = (
        "maps of",
        "untrained head (ranks)",
        "wholly untrained network (ranks)",
        "mirrored face",
        "moved face",
        "another seed",
    )
    return Table("correlation with the maps of the same network, or the same face, changed", columns, rows)


def _still(report: Report) -> tuple[float | None, ...]:
    return (report.head_randomised, report.all_randomised, report.flip, report.shift, report.other_seed)


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"
