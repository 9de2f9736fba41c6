"""Where the model looks, on average."""

from analysis.averages import averages as mean_maps
from analysis.figures import averages as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number


@section("averages", "Where it looks")
def averages(material: Material) -> Section:
    """Mean face and mean map of every class, right and wrong apart."""
    found = mean_maps(material.table, material.heatmaps, material.images)
    content = [{**one.to_dict(), "hottest": float(one.heatmap.max())} for one in found]
    rows = tuple(
        (one.name, one.group, f"{one.count:,}", number(float(one.heatmap.max())) if one.count else "–") for one in found
    )
    return Section(
        {"method": material.heatmaps.method, "explains": material.question, "averages": content},
        (
            "Each picture is the mean of all faces of a class under the mean of their maps, stretched to its own hottest spot. "
            "A map shows what the answer rests on in the network, not what an expression is.",
            drawn(
                figure.figure(found, material.question, f"{material.question}: {material.about}"),
                "Mean faces of the classes with their mean maps, right answers above wrong ones; "
                "how many faces there are and how hot the maps get stands in the table below.",
                f"Mean face and mean map of every class ({material.question}): {material.about}.",
                faces=True,
            ),
            Table(f"faces behind the means: {material.about}", ("class", "answers", "faces", "hottest value, 0 to 1"), rows),
        ),
    )
