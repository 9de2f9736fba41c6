"""What happens in a film: faces that appear and leave, expressions that change and stay."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from fer.errors import OutputError
from fer.files import make_folder
from fer.types import Face
from fer.video.recogniser import Scene, Seen
from fer.video.rows import close

#: Seconds for which a new expression must hold, at no less than this probability.
HOLD = 0.5
SURE = 0.5
#: Seconds without a face until it has left.
GONE = 1.5


_PICTURE = re.compile(r"\d{5,}-face\d+-\w+\.jpg")


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happened to a face.

    Attributes:
        seconds: when it began.
        number: of the face.
        what: ``appears``, ``shows`` (a new expression that holds) or ``leaves``.
        label: its expression then; empty where none has held yet.
        before: the expression that it showed before.
        face: how it looked; None for one that left.
    """

    seconds: float
    number: int
    what: str
    label: str = ""
    before: str = ""
    face: Face | None = None


@dataclass(eq=False)
class _State:
    seen_at: float
    label: str = ""
    candidate: str = ""
    since: float = 0.0


class Watch:
    """Scenes in, events out; one watch a film. It remembers only the faces that have not left."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def see(self, scene: Scene) -> list[Event]:
        """The events of the next scene."""
        events = [event for seen in scene.faces if seen.found for event in self._of(seen, scene.seconds)]
        gone = [number for number, state in self._states.items() if scene.seconds - state.seen_at > GONE]
        return events + [self._leave(number) for number in gone]

    def end(self) -> list[Event]:
        """All that are still there leave."""
        return [self._leave(number) for number in list(self._states)]

    def _of(self, seen: Seen, now: float) -> list[Event]:
        events, face = [], seen.prediction.face
        if seen.number not in self._states:
            self._states[seen.number] = _State(now)
            events.append(Event(now, seen.number, "appears", face=face))
        state, label = self._states[seen.number], seen.prediction.label
        state.seen_at = now
        if label == state.label or seen.prediction.confidence < SURE:
            state.candidate = ""
        elif label != state.candidate:
            state.candidate, state.since = label, now
        elif now - state.since >= HOLD:
            events.append(Event(state.since, seen.number, "shows", label, state.label, face))
            state.label, state.candidate = label, ""
        return events

    def _leave(self, number: int) -> Event:
        state = self._states.pop(number)
        return Event(state.seen_at, number, "leaves", state.label)


class EventLog:
    """A folder of events: ``events.csv`` with a row for each, and a picture of the face.

    Raises:
        OutputError: the folder or a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        for path in folder.iterdir():
            if _PICTURE.fullmatch(path.name):  # of an earlier log
                path.unlink()
        self.path, self.count = folder / "events.csv", 0
        self._folder = folder
        try:
            self._file = self.path.open("w", encoding="utf-8", newline="", buffering=1)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(["seconds", "face", "event", "label", "before", "picture"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close(self._file, self.path)

    def write(self, events: list[Event]) -> None:
        """Add events."""
        for event in events:
            self.count += 1
            name = f"{self.count:05}-face{event.number}-{event.what}.jpg" if event.face else ""
            try:
                if event.face:
                    Image.fromarray(event.face.image).save(self._folder / name, quality=90)
                self._writer.writerow([f"{event.seconds:.3f}", event.number, event.what, event.label, event.before, name])
            except OSError as error:
                raise _unwritable(self._folder, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror}; choose another name or disk")
