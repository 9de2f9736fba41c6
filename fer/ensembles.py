"""Ensembles judged on the validation split: with shares that are fitted there, and what each member brings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.combine import combine, contributions, fit_weights
from fer.data import Corpus, FaceSet
from fer.evaluation import evaluate_checkpoint, passes, validation_faces
from fer.metrics import evaluate_table
from fer.types import Progress


@dataclass(frozen=True)
class Judged:
    """An ensemble with its figures on the validation split in its card, and those of each member alone, in their order."""

    checkpoint: Checkpoint
    members: tuple[dict[str, Any], ...]


def assemble(
    members: Sequence[Checkpoint], corpus: Corpus, weights: str | Sequence[float] = "uniform", progress: Progress | None = None
) -> Judged:
    """One network of several, its card telling what it reaches on the validation split and what the others reach without each.

    Args:
        members: two or more that know the same classes, by the same labels.
        corpus: has validation faces; they get the labels that the members learnt.
        weights: ``uniform``, ``fit`` (least log loss on the validation faces), or one a member.
        progress: told of the members' and the ensemble's answers, and of all.

    Raises:
        CheckpointError: as :func:`fer.combine.combine`.
        DataError: no validation faces, or the members' votes are not where they were.
    """
    shares = None if isinstance(weights, str) else list(weights)
    together = combine(members, shares)  # what does not fit is said before anything is judged
    faces = validation_faces(together.card, corpus)
    told = passes(progress, len(members) + 1)
    tables = [evaluate_checkpoint(member, faces, next(told)) for member in members]
    if weights == "fit":
        shares = fit_weights(tables)
        together = combine(members, shares)
    metrics = evaluate_table(evaluate_checkpoint(together, faces, next(told)))
    brought = contributions(tables, shares or [1.0] * len(members))
    described = tuple(
        {**member, "accuracy_without": without}
        for member, without in zip(together.card.members, brought["accuracy_without"], strict=True)
    )
    asked = weights if isinstance(weights, str) else ",".join(f"{weight:g}" for weight in weights)
    card = replace(
        _judged_on(together.card, corpus.origin.name, faces),
        members=described,
        config={**together.card.config, "disagreement": brought["disagreement"], "weights": asked},
        metrics={**together.card.metrics, "validation": metrics},
        validation_accuracy=metrics["accuracy"],
    )
    return Judged(replace(together, card=card), tuple(evaluate_table(table) for table in tables))


def _judged_on(card: Card, origin: str, faces: FaceSet) -> Card:
    """The card of an ensemble that is measured on these faces; it says so where its members' own cards name others."""
    if card.judged_faces == faces.fingerprint:
        return card
    return replace(card, data={"origin": origin, "splits": {faces.split: {"n": len(faces), "fingerprint": faces.fingerprint}}})
