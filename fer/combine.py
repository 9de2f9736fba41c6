"""Ensembles of finished checkpoints, as checkpoints themselves."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.errors import CheckpointError
from fer.models.ensemble import UNIT, Ensemble
from fer.types import PredictionTable

#: Weights beyond these are mistakes: in float32 the other members would be lost.
SMALLEST, LARGEST = 1e-4, 1e4
#: What a card says of a network's own past.
_LESSONS = ("teachers", "pretrained", "started_from", "changed_after_epoch")
#: No member gets a smaller share from :func:`fit_weights`.
LEAST_SHARE = 0.01


def combine(checkpoints: Sequence[Checkpoint], weights: Sequence[float] | None = None) -> Checkpoint:
    """One network that answers with the weighted mean of the members' probabilities.

    Args:
        checkpoints: two or more that know the same classes, by the same labels.
        weights: one > 0 a member; all alike where None.

    Raises:
        CheckpointError: fewer than two, one named twice, other classes or labels, an ensemble among them, or weights that do
            not fit.
    """
    weights = list(weights or [1.0] * len(checkpoints))
    if len(checkpoints) < 2:
        raise CheckpointError("an ensemble has two or more members; name more checkpoints")
    _check_weights(weights, len(checkpoints))
    first = checkpoints[0].card
    names: dict[str, str] = {}
    for member in checkpoints:
        twin = names.get(member.card.weights_sha256)
        if twin and member.card.weights_sha256:
            raise CheckpointError(f"{member.name} is the same network as {twin}; name each member once, and give it a weight")
        names[member.card.weights_sha256] = member.name
        if member.card.classes != first.classes:
            raise CheckpointError(f"{member.name} knows other classes than {checkpoints[0].name}; combine those of one kind")
        if member.card.labels != first.labels:
            raise CheckpointError(
                f"{member.name} learnt labels {member.card.labels}, {checkpoints[0].name} labels {first.labels}: "
                "other tasks; combine those of one kind"
            )
        if isinstance(member.model, Ensemble):
            instead = "its members" if member.card.members else "networks of other architectures"
            raise CheckpointError(f"{member.name} is an ensemble itself; name {instead} instead")
    pairs = zip(checkpoints, weights, strict=True)
    members = tuple(_described(member, weight) for member, weight in pairs)
    cards = [member.card for member in checkpoints]
    temperatures = [card.temperature for card in cards]
    net = Ensemble([member.model for member in checkpoints], [card.preprocess for card in cards], weights, temperatures)
    labels = {key: first.config[key] for key in ("labels", "votes") if key in first.config}
    card = Card(
        "ensemble",
        "small",
        first.classes,
        UNIT,
        labels,
        data=_shared(cards),
        versions=first.versions,
        hardware=_trained_on(cards),
        members=members,
    )
    return Checkpoint(net.to(checkpoints[0].device).eval(), card, "+".join(member.name for member in checkpoints))


def _shared(cards: Sequence[Card]) -> dict[str, Any]:
    """What all members' cards say of their data; what one alone learnt from stands in its marks."""
    first, *others = (card.data for card in cards)
    same = {key: value for key, value in first.items() if all(key in each and each[key] == value for each in others)}
    parts = first.get("splits", {})
    splits = {split: part for split, part in parts.items() if all(each.get("splits", {}).get(split) == part for each in others)}
    return {key: value for key, value in same.items() if key not in _LESSONS} | ({"splits": splits} if splits else {})


def _trained_on(cards: Sequence[Card]) -> dict[str, Any]:
    """Devices and minutes that the members' training took together; neither where one of them does not say."""
    devices, minutes = ([card.hardware.get(key) for card in cards] for key in ("device", "minutes"))
    said = {"device": ", ".join(dict.fromkeys(map(str, devices)))} if all(devices) else {}
    numbers = [each for each in minutes if isinstance(each, int | float)]
    return said | ({"minutes": round(sum(numbers), 1)} if len(numbers) == len(cards) else {})


def _check_weights(weights: Sequence[float], members: int) -> None:
    given = ", ".join(f"{weight:g}" for weight in weights)
    if len(weights) != members:
        raise CheckpointError(f"{len(weights)} weights for {members} members: {given}; give one for every member")
    if not all(SMALLEST <= weight <= LARGEST for weight in weights):
        raise CheckpointError(f"weights {given}: one lies outside {SMALLEST:g} to {LARGEST:g}; give each one from there")


def _described(member: Checkpoint, weight: float) -> dict[str, object]:
    card = member.card
    return {
        "name": member.name,
        "architecture": card.architecture,
        "variant": card.variant,
        "preprocess": card.preprocess.to_dict(),
        "weight": weight,
        "temperature": card.temperature,
        "seed": card.seed,
        "validation_accuracy": card.validation_accuracy,
        "weights_sha256": card.weights_sha256,
        "marks": list(card.marks),
    }


def fit_weights(tables: Sequence[PredictionTable]) -> list[float]:
    """Shares, summing to 1, with the least log loss of the members' mean probabilities on the faces of their tables.

    The log loss is convex in the shares, so that there is one best answer.

    Args:
        tables: one a member, of the same faces in the same order.
    """
    from scipy.optimize import minimize

    labels = tables[0].labels
    likelihoods = np.stack([table.probs[np.arange(len(labels)), labels] for table in tables]).astype(np.float64)

    def loss(shares: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        mean = np.maximum(shares @ likelihoods, 1e-12)
        return -float(np.log(mean).mean()), -(likelihoods / mean).mean(axis=1)

    n = len(tables)
    found = minimize(
        loss,
        np.full(n, 1 / n),
        jac=True,
        bounds=[(LEAST_SHARE, 1.0)] * n,
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
    )
    return [round(float(share), 4) for share in found.x / found.x.sum()]


def contributions(tables: Sequence[PredictionTable], weights: Sequence[float]) -> dict[str, Any]:
    """How members differ, and what each brings.

    Returns:
        ``disagreement``: mean over pairs of the share of faces that the two answer differently;
        ``accuracy_without``: per member, accuracy of the others together (of two: of the other).
    """
    answers = [table.predicted for table in tables]
    pairs = [float((one != other).mean()) for one, other in itertools.combinations(answers, 2)]
    weighted = [weight * table.probs.astype(np.float64) for table, weight in zip(tables, weights, strict=True)]
    together = sum(weighted)
    without = [float(((together - own).argmax(axis=1) == tables[0].labels).mean()) for own in weighted]
    return {"disagreement": float(np.mean(pairs)), "accuracy_without": without}
