"""Whose score is explained: a class for every face, or a rank among each face's own classes; and what it is set against."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import eq

import numpy as np
import numpy.typing as npt

from fer.emotions import canonical
from fer.errors import ConfigError, UnknownNameError
from fer.types import FloatArray, IntArray

Logits = npt.NDArray[np.floating]

#: Classes of a batch: one index a face, or a rank: 0 for each face's most probable class, 1 for its second, and so on.
Choice = tuple[int, ...] | int

#: A class for all faces, one for each of them, or None for each face's prediction.
Name = str | Sequence[str] | None

#: Targets that are no class: the most probable class of each face, the second, the third.
RANKS = {"top1": 0, "top2": 1, "top3": 2}


@dataclass(frozen=True)
class Aim:
    """Whose score is explained.

    Attributes:
        target: the class of every face.
        against: the class whose score is subtracted ("why this and not that"); None for no contrast.
    """

    target: Choice = 0
    against: Choice | None = None

    def classes(self, logits: Logits) -> IntArray:
        """int64 (N,), the class that is explained.

        >>> Aim(1).classes(np.array([[0.2, 0.5, 0.3]])).tolist()
        [2]
        """
        return _chosen(self.target, logits)

    def contrasts(self, logits: Logits) -> IntArray:
        """int64 (N,), the class that it is set against, -1 for none."""
        return _chosen(self.against, logits) if self.against is not None else np.full(len(logits), -1, dtype=np.int64)

    def weights(self, logits: Logits) -> FloatArray:
        """float32 (N, C): the explained score is the sum of the logits under these weights.

        >>> Aim((0,), against=(2,)).weights(np.zeros((1, 3))).tolist()
        [[1.0, 0.0, -1.0]]
        """
        one_hot = np.eye(logits.shape[1], dtype=np.float32)
        score = one_hot[self.classes(logits)]
        return score if self.against is None else score - one_hot[self.contrasts(logits)]

    def against_itself(self, logits: Logits) -> npt.NDArray[np.bool_]:
        """bool (N,): faces of which nothing is explained, since the class and what it is set against are one for them.

        >>> Aim(0, against=(1, 1)).against_itself(np.array([[0.2, 0.5], [0.5, 0.2]])).tolist()
        [True, False]
        """
        return np.asarray(self.classes(logits) == self.contrasts(logits), dtype=np.bool_)

    def refuse_itself(self, logits: Logits, classes: Sequence[str]) -> None:
        """ConfigError where a face is answered so that the class would be set against itself."""
        same = self.classes(logits)[self.against_itself(logits)]
        if len(same):
            name = classes[same[0]]
            raise ConfigError(f"target and contrast of a face are both {name}, as it is answered; name two different classes")

    def part(self, start: int, stop: int) -> "Aim":
        """The same for some of the faces."""
        target, against = (c[start:stop] if isinstance(c, tuple) else c for c in (self.target, self.against))
        return Aim(target if target is not None else 0, against)


def _chosen(choice: Choice, logits: Logits) -> IntArray:
    if isinstance(choice, tuple):
        return np.array(choice, dtype=np.int64)
    return np.argsort(-logits, axis=1, kind="stable")[:, choice]


def make_aim(classes: Sequence[str], count: int, target: Name = None, against: Name = None) -> Aim:
    """What to explain of ``count`` faces, from names typed by a person.

    Raises:
        UnknownNameError: the checkpoint does not know such a class.
        ConfigError: a class is set against itself, or there are fewer classes than ranks.
    """
    aim = Aim(_choice(target or "top1", classes, count), None if against is None else _choice(against, classes, count))
    own, other = aim.target, aim.against
    if isinstance(own, tuple) and isinstance(other, tuple):
        same = next((classes[one] for one in compress(own, map(eq, own, other))), None)
    else:
        same = str(target or "top1") if own == other else None
    if same:
        raise ConfigError(f"target and contrast are both {same!r}; name two different classes")
    return aim


def _choice(names: str | Sequence[str], classes: Sequence[str], count: int) -> Choice:
    if not isinstance(names, str):
        return tuple(_class_index(name, classes) for name in names)
    if names not in RANKS:
        return (_class_index(names, classes),) * count
    if RANKS[names] >= len(classes):
        raise ConfigError(f"{names}: this checkpoint has only {len(classes)} classes; choose one of {', '.join(classes)}")
    return RANKS[names]


def _class_index(name: str, classes: Sequence[str]) -> int:
    label = canonical(name)
    if label not in classes:
        raise UnknownNameError(f"this checkpoint does not know the class {label!r}; its classes: {', '.join(classes)}")
    return list(classes).index(label)
