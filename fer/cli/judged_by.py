"""By which labels a checkpoint is judged, said where they are not those that it learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer.cli import console

if TYPE_CHECKING:
    from fer.predict import Model


def say_other_labels(*models: Model, labels: str = "fer") -> None:
    """Say which models learnt other labels than the ones that judge them: their figures are not those of their cards."""
    for model in models:
        learnt = model.card.labels
        if learnt != labels:
            way = f"--labels {learnt}" + ("" if learnt == "fer" else " --votes FILE")
            console.say(f"{model.name} learnt the labels {learnt}, and {labels} judge it here; by its own: fer evaluate {way}")
