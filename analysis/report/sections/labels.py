"""How good the labels are, and whether mistakes are the model's or the labels'."""

from analysis.figures import labels as figures
from analysis.label_audit import LabelAudit, audit
from analysis.label_report import LabelReport, votes_in_words, votes_of
from analysis.report.material import Material
from analysis.report.section import Picture, Section, Table, drawn, section
from analysis.tagger_votes import TaggerCheck, check
from fer.types import IntArray
from fer.words import number, percent

#: Suspects that are shown.
_SHOWN = 24


@section("labels", "Label quality", needs="--votes FILE: the votes of FER+")
def labels(material: Material) -> Section | None:
    """Suspect labels beside the votes of the taggers of FER+, and the mistakes by how far taggers agree."""
    if material.votes is None:
        return None
    found = audit(material.table)
    checked = check(material.table, found.order, material.votes, len(found.suspects))
    return Section(
        LabelReport(found, material.faces, material.votes, checked).to_dict() | {"shown": len(found.suspects[:_SHOWN])},
        (
            f"Confident learning calls {len(found.suspects):,} of {found.n:,} labels suspect and estimates "
            f"{percent(found.noise_rate)} of the labels to be wrong. Ten people voted on each face for FER+: of "
            f"{checked.n:,} faces with votes, {percent(checked.base_rate)} have a label that no one chose.",
            drawn(
                figures.agreement_figure(checked),
                "Error rate of the model by how many taggers chose the label, and what its mistakes are; see the tables.",
                f"The model's errors and the votes of FER+: {material.table.split} split, n = {checked.n:,} faces with votes.",
            ),
            *_tables(checked),
            _suspects(material, material.votes, found),
        ),
    )


def _tables(checked: TaggerCheck) -> tuple[Table, ...]:
    rates = tuple((at.kind, f"{at.n:,}", f"{at.errors:,}", _percent(at.rate)) for at in checked.by_agreement)
    kinds = tuple(
        (f"{kind.kind}: {kind.support}", f"{kind.errors:,}", _percent(kind.share), f"{kind.model_preferred:,}")
        for kind in checked.mistakes
    )
    ranking = tuple((f"{at.k:,}", percent(at.precision), *(percent(bound) for bound in at.ci95)) for at in checked.precision)
    area = number(checked.average_precision)
    return (
        Table("errors by agreement", ("taggers of ten for the label", "faces", "errors", "error rate"), rates),
        Table("mistakes by what the taggers say", ("mistakes", "number", "share", "taggers prefer the answer"), kinds),
        Table(
            f"suspect labels first: share that no tagger chose (average precision {area})",
            ("first labels of the ranking", "no tagger chose the label", "95 % from", "95 % to"),
            ranking,
        ),
    )


def _percent(share: float | None) -> str:
    return "undefined" if share is None else percent(share)


def _suspects(material: Material, votes: IntArray, found: LabelAudit) -> Picture:
    shown = found.suspects[:_SHOWN]
    said = [votes_in_words(votes_of(votes, suspect.row)) for suspect in shown]
    return drawn(
        figures.suspects_figure(found, [material.images[suspect.row] for suspect in shown], said),
        f"The {len(shown)} most suspect labels with their faces and votes; report.json names them.",
        f"The most suspect labels, {len(shown)} of {len(found.suspects):,}: {material.about}.",
        faces=True,
    )
