"""What test-time augmentation costs, said where it is used."""

from fer.cli import console
from fer.views import TTA


def say_cost(tta: str, seconds: float = 0.0, faces: int = 0) -> None:
    """Say the passes a face, and where they were measured the milliseconds; nothing where there is one pass.

    Args:
        tta: name in :data:`fer.views.TTA`.
        seconds: that judging the faces took.
        faces: how many those were.
    """
    passes = len(TTA[tta])
    if passes > 1:
        measured = f", {1000 * seconds / faces:.2f} ms a face" if faces else ""
        console.say(f"--tta {tta}: {passes} passes a face{measured}")
