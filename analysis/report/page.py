"""The report as HTML: sections in order, with a table of contents, and all that it needs inside it."""

import base64
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

from analysis.page import embedded, fill, resource
from analysis.report.section import SECTIONS, Markup, Picture, Table

if TYPE_CHECKING:
    from analysis.report import Report

_STYLES = ("theme.css", "faces.css", "report.css")
_READING = ("reading", "How to read this, and limits")


def html(report: "Report") -> str:
    """The page; it needs no network."""
    names = [name for name in SECTIONS if name in report.sections or name in report.undefined]
    headings = [*((name, SECTIONS[name].title) for name in names), _READING]
    parts = {
        "title": escape(report.title),
        "style": "".join(resource(name) for name in _STYLES),
        "contents": "".join(f'<li><a href="#s-{name}">{escape(title)}</a></li>\n' for name, title in headings),
        "sections": "".join(_section(report, name) for name in names),
        "absent": _absent(report.absent),
        "numbers": embedded(report.to_dict()),
        "pictures": embedded(report.pictures()) if "mistakes" in report.sections else "null",
        "script": resource("faces.js") if "mistakes" in report.sections else "",
    }
    return fill(resource("report.html"), parts)


def _section(report: "Report", name: str) -> str:
    if name in report.undefined:
        inside = f'<p class="undefined">Not shown: {escape(report.undefined[name])}</p>\n'
    else:
        inside = "".join(_part(part) for part in report.sections[name].content)
    title = escape(SECTIONS[name].title)
    return f'<section id="s-{name}" aria-labelledby="h-{name}">\n<h2 id="h-{name}">{title}</h2>\n{inside}</section>\n'


def _text(words: str) -> str:
    """Escaped, with numbers kept together with their per cent and their n."""
    return escape(words).replace(" %", "\u00a0%").replace("n = ", "n\u00a0=\u00a0")


def _part(part: str | Table | Picture | Markup) -> str:
    if isinstance(part, str):
        return f"<p>{_text(part)}</p>\n"
    writers: Mapping[type, Callable[..., str]] = {Table: _table, Picture: _picture, Markup: lambda markup: markup.html}
    return writers[type(part)](part)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{_text(first)}</th>{"".join(f"<td>{_text(cell)}</td>" for cell in cells)}</tr>\n'
        for first, *cells in table.rows
    )
    caption, prose = _text(table.caption), ' class="prose"' if table.prose else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">\n<table{prose}>\n<caption>{caption}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.data).decode()
    image = f'<img src="data:{picture.media};base64,{data}" alt="{_text(picture.alt)}" width="{picture.width}">'
    caption = _text(picture.caption)
    paper = f'<div class="paper" tabindex="0" role="region" aria-label="{caption}">{image}</div>'
    return f"<figure>\n{paper}\n<figcaption>{caption}</figcaption>\n</figure>\n"


def _absent(absent: Mapping[str, str]) -> str:
    if not absent:
        return ""
    items = "".join(
        f"<li>{escape(SECTIONS[name].title)}: <code>{escape(needs)}</code></li>\n" for name, needs in absent.items()
    )
    return f"<h3>Not on this page</h3>\n<p>Nothing was given for these:</p>\n<ul>\n{items}</ul>\n"
