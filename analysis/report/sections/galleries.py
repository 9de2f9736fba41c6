"""The surest and the least sure faces of every class."""

from typing import Any

from analysis.figures import gallery
from analysis.gallery import pick
from analysis.report.material import Material
from analysis.report.section import Picture, Section, drawn, section


@section("galleries", "Galleries")
def galleries(material: Material) -> Section:
    """Hits and misses of every class with their maps: the most confident, then the least."""
    chosen = {words: pick(material.table, surest=words == "most") for words in ("most", "least")}
    numbers = {f"{words}_confident": [_face(material, row) for line in rows for row in line] for words, rows in chosen.items()}
    return Section(
        numbers,
        (
            "A row a class, by the label: right answers in the left half, wrong ones in the right half, with the answer and "
            f"its confidence above each face. The colours are {material.question}.",
            *(_picture(material, words, rows) for words, rows in chosen.items()),
        ),
    )


def _picture(material: Material, words: str, rows: list[list[int]]) -> Picture:
    shown = [row for line in rows for row in line]
    maps = {row: material.heatmaps[row] for row in shown}
    title = f"{words} confident hits (left) and misses (right): {material.about}"
    return drawn(
        gallery.figure(material.table, material.images, rows, maps, title),
        f"The {words} confident faces of every class with their maps, {len(shown)} faces, right and wrong apart; "
        "report.json names them.",
        f"The {words} confident right (left) and wrong (right) answers of every class, {len(shown)} faces of the "
        f"{material.about}.",
        faces=True,
    )


def _face(material: Material, row: int) -> dict[str, Any]:
    table, probs = material.table, material.table.probs[row]
    label, predicted = table.classes[table.labels[row]], table.classes[table.predicted[row]]
    return {
        "name": table.names[row],
        "label": label,
        "predicted": predicted,
        "confidence": float(probs.max()),
        "peak": float(material.heatmaps.peaks[row]),
    }
