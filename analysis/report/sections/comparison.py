"""The model beside others, where ``fer compare`` measured it."""

from analysis.compare import Comparison
from analysis.figures import comparison as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import p_value, with_interval


@section("comparison", "Beside other models", needs="fer compare, then --with compare.json")
def comparison(material: Material) -> Section | None:
    """Accuracies and paired differences."""
    if "comparison" not in material.extras:
        return None
    found: Comparison = material.extras["comparison"].value
    models = tuple((score.name, with_interval(score.accuracy, score.ci95), f"{score.n:,}") for score in found.models)
    pairs = tuple(
        (
            f"{pair.b} against {pair.a}",
            f"{100 * pair.difference:+.2f}",
            " to ".join(f"{100 * bound:+.2f}" for bound in pair.ci95),
            f"{pair.only_b:,}",
            f"{pair.only_a:,}",
            p_value(pair.p_holm),
        )
        for pair in found.pairs
    )
    columns = ("pair", "better by, points", "95 %", "only the first right", "only the second right", "p (McNemar, Holm)")
    return Section(
        found.to_dict(),
        (
            "All models judged the same faces: a difference is told by the faces that one gets right and the other wrong.",
            drawn(
                figure.figure(found),
                "Accuracies of the models with intervals, and differences by class; as in the tables below.",
                f"Models on the same faces: {found.split} split, n = {found.n:,}.",
            ),
            Table(f"models: {found.split} split", ("model", "accuracy", "faces"), models),
            Table(f"pairs: {found.split} split, n = {found.n:,}", columns, pairs),
        ),
    )
