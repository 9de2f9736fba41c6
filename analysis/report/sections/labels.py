"""How good the labels are, and whether mistakes are the model's or the labels'."""

from collections.abc import Mapping
from typing import Any

from analysis.figures import labels as figures
from analysis.labels.audit import audit
from analysis.labels.report import LabelReport, votes_in_words
from analysis.labels.tagger_votes import TaggerCheck, check
from analysis.report.material import Material
from analysis.report.readers import Labels
from analysis.report.section import Picture, Section, Table, drawn, section
from fer.words import number, percent

#: Suspects that are shown.
_SHOWN = 24
_NO_VOTES = (
    "Nobody's votes were given; with --votes FILE (FER+) the suspects and the mistakes stand beside those of ten people."
)
_NO_VOTES_IN_AUDIT = (
    "The audit knows nobody's votes; made anew with fer labels audit --votes FILE (FER+), its suspects and the mistakes stand "
    "beside those of ten people."
)


@section("labels", "Label quality")
def labels(material: Material) -> Section:
    """Suspect labels, and beside them the votes of FER+ where they are known."""
    content = _content(material)
    found = Labels.of(content)
    whose = found.audit.source.get("checkpoint", "")
    words = (
        f"Confident learning{f' on the answers of {whose}' if whose else ''} calls {len(found.audit.suspects):,} of "
        f"{found.audit.n:,} labels suspect and estimates {percent(found.audit.noise_rate)} of the labels to be wrong. "
        "A suspect label is a question, not a verdict."
    )
    return Section(
        {**content, "shown": len(found.audit.suspects[:_SHOWN])},
        (words, *(_without_votes(material),) * (found.check is None), *_taggers(found.check), *_suspects(material, found)),
    )


def _without_votes(material: Material) -> str:
    return _NO_VOTES_IN_AUDIT if "label_audit" in material.extras else _NO_VOTES


def _content(material: Material) -> Mapping[str, Any]:
    """Of the audit that was given, with the report's votes where it has none and is the one that the report's table gives."""
    if "label_audit" not in material.extras:
        return _own(material)
    given = material.extras["label_audit"].content
    if given["taggers"] or material.votes is None or given["n"] != material.n:
        return given
    own, suspects = _own(material), [one["name"] for one in given["ranking"]]
    return own if [one["name"] for one in own["ranking"]] == suspects else given


def _own(material: Material) -> Mapping[str, Any]:
    found, votes = audit(material.table), material.votes
    checked = None if votes is None else check(material.table, found.order, votes, len(found.suspects))
    return LabelReport(found, material.faces, votes, checked).to_dict()


def _taggers(checked: TaggerCheck | None) -> tuple[str | Table | Picture, ...]:
    if checked is None:
        return ()
    return (
        f"Ten people voted on each face for FER+: of {checked.n:,} faces with votes, {percent(checked.base_rate)} have a label "
        "that no one chose.",
        drawn(
            figures.agreement_figure(checked),
            "Error rate of the model by how many taggers chose the label, and what its mistakes are; see the tables.",
            f"The model's errors and the votes of FER+: n = {checked.n:,} faces with votes.",
        ),
        *_tables(checked),
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


def _suspects(material: Material, found: Labels) -> tuple[Picture | Table, ...]:
    """The first suspects with their faces; as a table where they are of another split."""
    shown = found.audit.suspects[:_SHOWN]
    said = ["" if found.check is None else votes_in_words(votes) for votes in found.votes[: len(shown)]]
    caption = f"The most suspect labels, {len(shown)} of {len(found.audit.suspects):,} among n = {found.audit.n:,}."
    places = {name: row for row, name in enumerate(material.table.names)}
    if not all(face.name in places for face in shown):
        rows = tuple((face.name, face.label, face.suggested, number(face.score)) for face in shown)
        return (Table(caption, ("face", "label", "suggestion", "probability of the label"), rows),)
    picture = drawn(
        figures.suspects_figure(found.audit, [material.images[places[face.name]] for face in shown], said),
        f"The {len(shown)} most suspect labels with their faces; report.json names them.",
        caption,
        faces=True,
    )
    return (picture,) if shown else ()
