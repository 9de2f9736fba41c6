"""What a section of the report is, and the list of all of them."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from analysis.figures import DPI
from analysis.report.extras import Extra
from analysis.report.material import Material
from fer.registry import Registry

#: CSS pixels of an inch.
_PIXELS = 96
#: The widest that a picture of another command is shown, in CSS pixels.
_WIDEST = 1000


@dataclass(frozen=True)
class Table:
    """A table: the first cell of a row names it; ``prose`` where the others hold sentences rather than figures."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure.

    Attributes:
        data: its file.
        media: ``image/svg+xml``, or ``image/png`` where faces are shown.
        width: in CSS pixels, where there is room.
        alt: what it shows, for who does not see it.
        caption: what it shows, with n.
    """

    data: bytes
    media: str
    width: int
    alt: str
    caption: str


@dataclass(frozen=True)
class Markup:
    """A part of the page as HTML of our own, put in as it is."""

    html: str


@dataclass(frozen=True, eq=False)
class Section:
    """One section: plain JSON values, and the paragraphs, tables and figures that are made of them."""

    numbers: Mapping[str, Any]
    content: tuple[str | Table | Picture | Markup, ...]


#: Makes a section of the material; None where what it needs was not given.
Make = Callable[[Material], Section | None]


@dataclass(frozen=True)
class Entry:
    """A section in the list: its heading, how it is made, and how to get it where it is not there of itself."""

    title: str
    make: Make
    needs: str = ""


#: All sections in the order of the page, filled by :mod:`analysis.report.sections`.
SECTIONS: Registry[Entry] = Registry("section of the report")


def section(name: str, title: str, needs: str = "") -> Callable[[Make], Make]:
    """Register a maker of sections: its key in report.json, its heading on the page."""

    def decorate(make: Make) -> Make:
        SECTIONS.add(name, Entry(title, make, needs))
        return make

    return decorate


def drawn(figure: Figure, alt: str, caption: str, *, faces: bool = False) -> Picture:
    """A figure as SVG, or as PNG of 150 dots an inch where it shows faces."""
    kind = "png" if faces else "svg"
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=DPI, bbox_inches="tight", metadata=None if faces else {"Date": None})
    media = "image/png" if faces else "image/svg+xml"
    return Picture(content.getvalue(), media, round(figure.get_figwidth() * _PIXELS), alt, caption)


def beside(extra: Extra, name: str, alt: str, caption: str) -> tuple[Picture, ...]:
    """The picture that a command wrote beside its JSON, or nothing where it is not there."""
    if name not in extra.pictures:
        return ()
    png = extra.pictures[name]
    return (Picture(png.data, "image/png", min(_WIDEST, round(png.width * _PIXELS / DPI)), alt, caption),)
