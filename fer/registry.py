"""Named things: a duplicate raises, an unknown name lists the known ones."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from fer.emotions import suggestion
from fer.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Ordered mapping from name to entry, filled at import by decorators.

    >>> colours: Registry[int] = Registry("colour")
    >>> colours.add("red", 1)
    >>> colours["red"]
    1
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Store an entry; ValueError where the name is taken, since that is a bug, not a user's mistake."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""

        def decorate(entry: T) -> T:
            self.add(name, entry)
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(self._entries)
            hint = suggestion(name, list(self._entries))
            raise UnknownNameError(f"unknown {self.kind} {name!r}{hint}; known: {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
