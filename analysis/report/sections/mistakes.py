"""What is taken for what, and every face to look at."""

from analysis.figures.mistakes import gallery
from analysis.mistakes_page import browser
from analysis.report.material import Material
from analysis.report.section import Markup, Section, Table, drawn, section
from fer.words import percent, with_interval

#: Pairs in the table; all of them are in the list beside the faces.
_PAIRS = 12
_WORDS = """<p>A pair, or the choices above the faces, say which are shown. The keys work while the focus is in this part.</p>
<noscript><style>#browser { display: none !important; }</style>
<p>The faces need scripts; all of their numbers are in report.json.</p></noscript>
"""


@section("mistakes", "Mistakes")
def mistakes(material: Material) -> Section:
    """Confusion pairs by count, the surest faces of the most frequent, and the browser of all faces."""
    page = material.mistakes
    found, layer = page.mistakes, page.layers[0]
    rows = tuple(
        (f"{pair.label} → {pair.predicted}", f"{pair.count:,}", percent(pair.share_of_label), percent(pair.share_of_mistakes))
        for pair in found.pairs[:_PAIRS]
    )
    return Section(
        page.to_dict(),
        (
            f"{found.wrong:,} of {found.n:,} faces are judged wrong: {with_interval(found.rate, found.ci95)}."
            if found.wrong
            else f"No face of {found.n:,} is judged wrong.",
            Table(
                f"most frequent confusions: {material.about}",
                ("label → answer", "faces", "of the label", "of all mistakes"),
                rows,
            ),
            drawn(
                gallery(found, material.table, material.faces.images, layer.heatmap),
                "Faces of the most frequent confusions with their maps, the surest first; the table above counts them.",
                f"The surest mistakes of the most frequent confusions ({material.question}): {material.about}.",
                faces=True,
            ),
            Markup(f'<div class="screen">\n<h3>All faces</h3>\n{_WORDS}{browser(level=4)}</div>\n'),
        ),
    )
