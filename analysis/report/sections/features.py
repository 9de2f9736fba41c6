"""What enters the last layer, and how it keeps the classes apart, where ``fer features`` measured it."""

from collections.abc import Mapping
from typing import Any

from analysis.report.material import Material
from analysis.report.readers import Features
from analysis.report.section import Picture, Section, Table, beside, section
from fer.words import number, percent

#: Pairs of mingling classes in the table.
_PAIRS = 12


@section("features", "What it has learnt", needs="fer features, then --with features.json")
def features(material: Material) -> Section | None:
    """The map of the features, neighbours' votes, silhouettes, filters of the first layer, maps by depth."""
    if "features" not in material.extras:
        return None
    extra = material.extras["features"]
    found: Features = extra.value
    about = f"{found.about['split']} split, n = {found.about['n']:,}"
    return Section(
        extra.content,
        (
            f"Each face enters the last layer as {found.about['dimensions']:,} features. The map lays faces with like features "
            "side by side; distances between far groups mean nothing. Where the neighbours of a face are of its class, the "
            "network has told the class apart before its last layer.",
            *_pictures(material, found, about),
            *_tables(found, about),
        ),
    )


def _pictures(material: Material, found: Features, about: str) -> tuple[Picture, ...]:
    extra, trust = material.extras["features"], number(found.map["trustworthiness"])
    shown = {
        "map.png": (
            "A point a face, coloured by label; faces from the rim stand around it.",
            f"t-SNE of the features, perplexity {found.map['perplexity']:g}, trustworthiness {trust} (1 at best): {about}.",
        ),
        "right.png": ("The same map: grey points right, black crosses wrong.", f"Where on the map the mistakes are: {about}."),
        "neighbours.png": (
            "Matrix of labels and the neighbours' classes, and shares of right votes; the tables below give the figures.",
            f"Which classes mingle: the vote of {found.k} neighbours in the features, {about}.",
        ),
        "filters.png": (
            "The filters of the first layer, strongest first: red answers to bright, blue to dark.",
            "Filters of the first layer, the strongest first.",
        ),
        "depth.png": (
            "Maps of the surest hit of every class at every depth of the network.",
            f"Where maps lie from early to late layers, the surest hit of every class: {about}.",
        ),
    }
    return tuple(picture for name, words in shown.items() for picture in beside(extra, name, *words))


def _tables(found: Features, about: str) -> tuple[Table, ...]:
    right = [
        (name, percent(share), " to ".join(percent(bound) for bound in interval))
        for name, (share, interval) in found.right.items()
    ]
    right.append(("the most frequent class", percent(found.most_frequent), ""))
    apart = tuple((name, f"{row['n']:,}", _share(row), number(row["silhouette"])) for name, row in found.per_class.items())
    pairs = tuple(
        (f"{one} among {other}", f"{count:,}", percent(share)) for one, other, count, share in found.mingling[:_PAIRS]
    )
    return (
        Table(f"right answers: {about}", ("answer of", "right", "95 %"), tuple(right)),
        Table(
            f"each class; silhouette from −1 (mingled) to 1 (apart), {number(found.silhouette)} over all: {about}",
            ("class", "faces", "right by neighbours (95 %)", "silhouette"),
            apart,
        ),
        Table(f"classes that mingle, the most frequent first: {about}", ("label among", "faces", "of the label"), pairs),
    )


def _share(row: Mapping[str, Any]) -> str:
    if row["accuracy"] is None:
        return "undefined"
    low, high = row["ci95"]
    return f"{percent(row['accuracy'])} ({percent(low)} to {percent(high)})"
