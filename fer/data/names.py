"""Pairing names of one face that were written in different places."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath


def paired(ours: Sequence[str], theirs: Sequence[str]) -> list[int]:
    """Position in ``theirs`` for every name of ours, −1 for none.

    Whole names without their extension are compared first, then ever fewer of their last parts, since folders are moved
    and renamed; names that several files share are nobody's.

    >>> paired(["test/sad/1.png", "test/sad/2.png"], ["faces/2.jpg"])
    [-1, 0]
    """
    for parts in (0, 3, 2, 1):
        mine, others = _unique(ours, parts), _unique(theirs, parts)
        shared = {mine[key]: others[key] for key in mine.keys() & others.keys()}
        if shared:
            return [shared.get(place, -1) for place in range(len(ours))]
    return [-1] * len(ours)


def _unique(names: Sequence[str], parts: int) -> dict[tuple[str, ...], int]:
    """Position of every name that only one file has, by its last ``parts`` parts (0: all) without the extension."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    keys = [(*path.parent.parts, path.stem)[-parts:] for path in paths]
    often = Counter(keys)
    return {key: place for place, key in enumerate(keys) if key[-1] and often[key] == 1}
