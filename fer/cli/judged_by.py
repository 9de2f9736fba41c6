"""By which labels a checkpoint is judged, said where they are not those that it learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer.cli import console

if TYPE_CHECKING:
    from fer.predict import Model

#: Labels of the data set itself, which judge where no others are asked for.
_OWN = "fer"


def say_other_labels(*models: Model, labels: str = _OWN) -> None:
    """Say which models learnt other labels than the ones that judge them: their figures are not those of their cards."""
    for model in models:
        learnt = model.card.config.get("labels", _OWN)
        if learnt != labels:
            way = f"--labels {learnt}" + ("" if learnt == _OWN else " --votes FILE")
            console.say(f"{model.name} learnt the labels {learnt}, and {labels} judge it here; by its own: fer evaluate {way}")
