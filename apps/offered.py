"""What visitors may choose from: by name, so that they learn nothing of this machine's folders."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fer.predict import Predictor

_PATHS: dict[str, str] = {}


def offer(checkpoints: Iterable[str]) -> list[str]:
    """Names to show for files and released names; a name that another has already is counted up: ``best (2)``."""
    return [_offered(checkpoint) for checkpoint in dict.fromkeys(checkpoints)]


@cache
def predictor(name: str) -> Predictor:
    """The predictor behind a name, loaded once and shared by all visitors; what is not on offer is taken for itself.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    return Predictor(_PATHS.get(name, name))


def _offered(checkpoint: str) -> str:
    known = next((name for name, path in _PATHS.items() if path == checkpoint), None)
    if known:
        return known
    stem, number = Path(checkpoint).stem, 1
    name = stem
    while name in _PATHS:
        number += 1
        name = f"{stem} ({number})"
    _PATHS[name] = checkpoint
    return name
