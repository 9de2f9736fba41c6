"""The report: all that is known of a model on a split, as one page that opens from disk and one file of numbers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

from analysis.report import sections as sections  # fills the list of sections
from analysis.report.material import Material
from analysis.report.section import SECTIONS, Section
from fer.errors import DataError
from fer.files import ESCAPED, make_folder, write_whole
from fer.types import Progress

#: Raised by one whenever readers of report.json could misread a new one.
SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Report:
    """A made report.

    Attributes:
        title: of the page.
        about: what was judged: checkpoint, weights, split, data, n.
        sections: key → section, in the order of the page.
        undefined: key → why a section cannot be made of these faces.
        absent: key → what to give for a section that nothing was given for.
        pictures: what the browser of faces needs beside the numbers.
    """

    title: str
    about: Mapping[str, Any]
    sections: Mapping[str, Section]
    undefined: Mapping[str, str]
    absent: Mapping[str, str]
    pictures: Callable[[], dict[str, Any]]

    @classmethod
    def of(cls, material: Material, progress: Progress | None = None) -> Self:
        """Make all sections; one that the faces do not suffice for says so in its place."""
        made: dict[str, Section] = {}
        undefined: dict[str, str] = {}
        absent: dict[str, str] = {}
        for done, name in enumerate(SECTIONS, 1):
            try:
                found = SECTIONS[name].make(material)
            except DataError as error:
                undefined[name] = str(error)
            except (KeyError, TypeError, ValueError) as error:
                if not SECTIONS[name].needs:
                    raise
                given = f"{SECTIONS[name].title!r} cannot be made of what --with gives"
                raise DataError(f"{given} ({error}); write that result anew") from error
            else:
                if found is None:
                    absent[name] = SECTIONS[name].needs
                else:
                    made[name] = found
            if progress:
                progress(done, len(SECTIONS))
        title = f"{material.checkpoint.name} on {material.table.split}"
        return cls(title, _about(material), made, undefined, absent, material.mistakes.pictures)

    def to_dict(self) -> dict[str, Any]:
        """All numbers: what report.json holds and the page shows; its form is that of analysis/report/schema.json."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            **self.about,
            "sections": {name: dict(one.numbers) for name, one in self.sections.items()},
            "undefined": dict(self.undefined),
            "absent": dict(self.absent),
        }

    def write(self, out: Path) -> list[Path]:
        """Write report.html and report.json; returns their paths.

        Raises:
            OutputError: the folder is not writable.
        """
        from analysis.report.page import html

        make_folder(out)
        paths = [out / "report.html", out / "report.json"]
        numbers = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(paths[0], html(self).encode(errors=ESCAPED))
        write_whole(paths[1], numbers.encode(errors=ESCAPED))
        return paths


def _about(material: Material) -> dict[str, Any]:
    table = material.table
    source = {"source": dict(table.source), "split": table.split, "n": len(table), "classes": list(table.classes)}
    return source | {"maps": material.question}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of report.json."""
    content: dict[str, Any] = json.loads((resources.files("analysis.report") / "schema.json").read_text(encoding="utf-8"))
    return content
