"""Which parts of the face the maps lie on, where ``fer regions`` measured it."""

from collections.abc import Callable

from analysis.report.extras import Extra
from analysis.report.material import Material
from analysis.report.readers import ByGroup, Regions
from analysis.report.section import Picture, Section, Table, beside, section
from fer.words import percent


@section("regions", "Parts of the face", needs="fer regions, then --with regions.json")
def regions(material: Material) -> Section | None:
    """Lift of the maps and effect of covering, region by region, and what a face's muscles would have one expect."""
    if "regions" not in material.extras:
        return None
    extra = material.extras["regions"]
    found: Regions = extra.value
    about = f"{found.about['split']} split, n = {found.about['n']:,}"
    return Section(
        extra.content,
        (
            f"Lift is the share of a map ({found.about['method']}) on a region over the share of the picture that the region "
            "takes: above 1 the map prefers it. The drop is what the answer's probability loses when the region is covered "
            f"({found.about['cover']}), in points.",
            *beside(
                extra,
                "region-effects.png",
                "Mean faces of the classes, each region in the colour of what covering it costs; as in the tables.",
                f"What covering each region takes from the answer's probability, over the size of the region: {about}.",
            ),
            _table(f"lift of the maps: {about}", found.lift, _plain, ("size", "", "", *map(percent, found.area.values()))),
            _table(f"drop when covered, points: {found.about['covered']:,} faces of the {about}", found.effect, _points),
            Table("what the figures say, class by class", ("class", "words"), tuple(found.verdicts.items()), prose=True),
            Table(
                f"maps that lie on the background more than a map that is the same everywhere: {about}",
                ("class", "faces"),
                tuple((name, f"{count:,}") for name, count in found.strays.items()),
            ),
            *_strays(extra, found, about),
        ),
    )


def _strays(extra: Extra, found: Regions, about: str) -> tuple[Picture, ...]:
    """A picture beside a result without such faces is of an earlier one."""
    if not any(found.strays.values()):
        return ()
    alt = "Faces whose map lies most on the background; regions.json names them."
    return beside(extra, "background.png", alt, f"Faces whose map lies most on the background: some of the {about}.")


def _table(caption: str, groups: ByGroup, write: Callable[[float | None], str], *first: tuple[str, ...]) -> Table:
    rows = tuple((name, group, f"{n:,}", *map(write, row.values())) for (name, group, n), row in groups.items())
    names = tuple(next(iter(groups.values()), ()))
    return Table(caption, ("class", "answers", "faces", *names), (*first, *rows))


def _plain(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _points(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:+.1f}"
