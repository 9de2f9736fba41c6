"""What visitors may choose from: by name, so that they learn nothing of this machine's folders; and whose turn it is."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fer.errors import CheckpointError
from fer.portable import Portable
from fer.predict import Predictor

_PATHS: dict[str, str] = {}
_TURNS: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


def offer(checkpoints: Iterable[str]) -> list[str]:
    """Names to show for files and released names; a name that another has already is counted up: ``best (2)``."""
    return [_offered(checkpoint) for checkpoint in dict.fromkeys(checkpoints)]


@contextmanager
def turn(name: str) -> Iterator[Predictor]:
    """The predictor behind a name, for one visitor at a time: an explanation hooks into the very network that answers.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    found = predictor(name)
    if isinstance(found.model, Portable):  # exported: it has no hooks
        yield found
        return
    with _TURNS[name]:
        yield found


@cache
def predictor(name: str) -> Predictor:
    """The predictor behind a name, loaded once and shared by all; what is not on offer is taken for itself.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged; said by its name.
    """
    path = _PATHS.get(name, name)
    try:
        return Predictor(path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(path, Path(path).name)) from error


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
