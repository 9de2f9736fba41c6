"""What a run starts from: the form it has to take, and what the run's card says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer.card import Card
from fer.checkpoint import read, read_card
from fer.config import RunConfig
from fer.errors import CheckpointError, ConfigError, WeightsError
from fer.models import MODELS, Member
from fer.models.trunk import read_trunk
from fer.released import find
from fer.run_files import network_name

#: Under these names the data of a card says what it started from: natural images, or another checkpoint.
PRETRAINED, STARTED_FROM = "pretrained", "started_from"


@dataclass(frozen=True)
class Start:
    """Form and members that a start brings, and its entry in the data of a card; all empty where nothing is known of it.

    ``classes`` are those of its logits: none where they are no expressions, None where nothing is known of them.
    """

    variant: str = ""
    members: tuple[Member, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None


def starting_file(init: str) -> Path:
    """The file that ``--init`` names, by its path or as a release; WeightsError where there is none."""
    try:
        return find(init)
    except CheckpointError as error:
        raise WeightsError(f"--init: {error}; give one of these, or a file of weights") from error


def read_start(config: RunConfig) -> Start:
    """What the file of a run's starting weights says of itself.

    Raises:
        ConfigError: it holds pretrained weights of another architecture, or an ensemble's members are not in it, or know
            other classes.
        WeightsError: there is neither such a file nor such a release, or it cannot be read.
    """
    if not config.init:
        return Start()
    path = starting_file(config.init)
    trunk = read_trunk(path)
    if trunk and trunk.architecture != config.model:
        raise ConfigError(
            f"{config.init} holds weights of {trunk.architecture}, not of {config.model}; give weights of this one"
        )
    if trunk:
        return Start(trunk.variant, about={PRETRAINED: dict(trunk.about)}, classes=())
    try:
        card = read_card(read(path), path)
    except CheckpointError as error:  # a plain state dict: its form shows when it is loaded
        if MODELS[config.model].compose:
            raise ConfigError(f"{path} is no checkpoint of fer ensemble, from which {config.model} starts; make one") from error
        return Start()
    about = {STARTED_FROM: {"name": network_name(path), "weights_sha256": card.weights_sha256, "marks": list(card.marks)}}
    same = card.architecture == config.model
    if same and MODELS[config.model].compose and card.classes != config.classes:
        raise ConfigError(
            f"{config.init} answers {', '.join(card.classes)}, and so does each of its members; "
            f"train these classes, --classes {','.join(card.classes)}"
        )
    return Start(card.variant if same else "", card.members, about, card.classes)


def resumed_start(card: Card, config: RunConfig) -> Start:
    """The same from the card that a stopped run has kept, whatever has become of the file since."""
    if card.architecture != config.model:
        return Start()
    return Start(card.variant, card.members, {key: card.data[key] for key in (PRETRAINED, STARTED_FROM) if key in card.data})
