"""Pairing names of one face that were written in different places."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath


def paired(ours: Sequence[str], theirs: Sequence[str]) -> list[int]:
    """Position in ``theirs`` for every name of ours, −1 for none.

    Whole names without their extension are compared first, then ever fewer of their last parts, since folders are moved
    and renamed; names that several files share are nobody's. Once some are paired, folders that differ tell other faces
    apart: then one name has to be the end of the other.

    >>> paired(["test/sad/1.png", "test/sad/2.png"], ["faces/2.jpg"])
    [-1, 0]
    >>> paired(["test/sad/1.png", "test/sad/2.png", "test/sad/3.png"], ["test/sad/1.png", "2.png", "fear/3.png"])
    [0, 1, -1]
    """
    mine, others = _parts(ours), _parts(theirs)
    found: dict[int, int] = {}
    for last in (0, 3, 2, 1):
        one, two = _unique(mine, last), _unique(others, last)
        shared = {one[key]: two[key] for key in one.keys() & two.keys()}
        if found:
            shared = {i: j for i, j in shared.items() if _is_end(mine[i], others[j])}
        found |= shared  # those found already are found again, or share this end with others
    return [found.get(place, -1) for place in range(len(ours))]


def _parts(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Folders and name without extension."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    return [(*path.parent.parts, path.stem) for path in paths]


def _is_end(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _unique(names: Sequence[tuple[str, ...]], last: int) -> dict[tuple[str, ...], int]:
    """Position of every name that only one file has, by its last parts (0: all)."""
    keys = [name[-last:] for name in names]
    often = Counter(keys)
    return {key: place for place, key in enumerate(keys) if key[-1] and often[key] == 1}
