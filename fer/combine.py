"""Ensembles of finished checkpoints, as checkpoints themselves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fer.checkpoint import Card, Checkpoint
from fer.errors import CheckpointError
from fer.models.ensemble import UNIT, Ensemble


def combine(checkpoints: Sequence[Checkpoint], weights: Sequence[float] | None = None) -> Checkpoint:
    """One network that answers with the weighted mean of the members' probabilities.

    Args:
        checkpoints: two or more that know the same classes.
        weights: one > 0 a member; all alike where None.

    Raises:
        CheckpointError: fewer than two, other classes, an ensemble among them, or weights that do not fit.
    """
    weights = list(weights or [1.0] * len(checkpoints))
    if len(checkpoints) < 2:
        raise CheckpointError("an ensemble has two or more members; name more checkpoints")
    if len(weights) != len(checkpoints) or min(weights) <= 0:
        raise CheckpointError(f"{len(weights)} weights for {len(checkpoints)} members; give every member one above 0")
    first = checkpoints[0].card
    for member in checkpoints:
        if member.card.classes != first.classes:
            raise CheckpointError(f"{member.name} knows other classes than {checkpoints[0].name}; combine those of one kind")
        if member.card.members:
            raise CheckpointError(f"{member.name} is an ensemble itself; name its members instead")
    pairs = zip(checkpoints, weights, strict=True)
    members = tuple(_described(member, weight) for member, weight in pairs)
    net = Ensemble([member.model for member in checkpoints], [member.card.preprocess for member in checkpoints], weights)
    card = Card("ensemble", "small", first.classes, UNIT, data=first.data, versions=first.versions, members=members)
    return Checkpoint(net.eval(), card, "+".join(member.name for member in checkpoints))


def _described(member: Checkpoint, weight: float) -> dict[str, object]:
    card = member.card
    return {
        "name": member.name,
        "architecture": card.architecture,
        "variant": card.variant,
        "preprocess": card.preprocess.to_dict(),
        "weight": weight,
        "seed": card.seed,
        "validation_accuracy": card.validation_accuracy,
        "weights_sha256": card.weights_sha256,
    }


def measured(checkpoint: Checkpoint, metrics: dict[str, Any], split: str) -> Checkpoint:
    """The same with its figures on a split in the card."""
    card = replace(
        checkpoint.card, metrics={**checkpoint.card.metrics, split: metrics}, validation_accuracy=metrics["accuracy"]
    )
    return replace(checkpoint, card=card)
