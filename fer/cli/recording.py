"""What ``fer webcam`` writes down: a film, a table with timelines, a list of events."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from analysis.figures import save
from analysis.figures.timeline import figure
from analysis.timeline import timelines
from fer.errors import OutputError
from fer.files import make_folder
from fer.types import ByteArray
from fer.video import Frame, Scene, Source
from fer.video.events import EventLog, Watch
from fer.video.film import Film, check_film, write_film
from fer.video.rows import Rows, write_rows
from fer.video.source import is_address, plain_name

_TIMELINE = re.compile(r"face-\d+\.png")


@dataclass(frozen=True)
class Wishes:
    """What is to come of a source: a film, a table, a list of events, a window (None: where there is a screen), an end."""

    film: Path | None = None
    table: Path | None = None
    events: bool = False
    window: bool | None = None
    seconds: float | None = None

    @property
    def is_empty(self) -> bool:
        """True where nothing would be written."""
        return not (self.film or self.table or self.events)

    @property
    def timelines(self) -> Path:
        """Folder of the timelines."""
        return self._beside("timelines")

    @property
    def log(self) -> Path:
        """Folder of the events."""
        return self._beside("events")

    def _beside(self, name: str) -> Path:
        """A path beside the table or the film, named after it: ``faces.csv`` → ``faces-events``."""
        chief = self.table or self.film or Path("faces")
        return chief.with_name(f"{chief.stem}-{name}")

    def check(self, source: str) -> None:
        """OutputError where something cannot be written, said before anything is begun."""
        named = [path for path in (self.film, self.table) if path]
        for path in named:
            if _same_file(path, source):
                raise OutputError(f"{path} is the source itself; choose another name for what is written")
        if len({path.resolve() for path in named}) < len(named):
            raise OutputError(f"{self.film} cannot be both film and table; choose another name for one")
        if self.film:
            check_film(self.film)
        if self.table and (self.table.is_dir() or not self.table.absolute().parent.is_dir()):
            raise OutputError(f"cannot write {self.table}: no such folder, or it is one itself; choose another name")
        folders = [self.timelines] if self.table else []
        for folder in [*folders, *([self.log] if self.events else [])]:
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{folder} is to be a folder, and is a file; move it away, or choose another name")


def _same_file(path: Path, source: str) -> bool:
    try:
        return path.samefile(plain_name(source))
    except (OSError, ValueError):  # one of them is not there, or is no path at all
        return False


@dataclass
class Recording:
    """The open files of a source; each is None where it is not wished for. Closed by the stack that they were opened on."""

    film: Film | None
    rows: Rows | None
    log: EventLog | None
    watch: Watch = field(default_factory=Watch)

    def write(self, frame: Frame, scene: Scene, drawn: ByteArray) -> None:
        """Write a frame down.

        Raises:
            OutputError: the disk is full.
        """
        if self.film:
            self.film.write(drawn, frame.seconds)
        if self.rows:
            self.rows.write(frame.number, scene)
        if self.log:
            self.log.write(self.watch.see(scene))

    def end(self) -> None:
        """Write down that all leave."""
        if self.log:
            self.log.write(self.watch.end())


def open_recording(source: Source, wishes: Wishes, stack: ExitStack) -> Recording:
    """Open what is wished for; what an earlier run left under the same names is replaced.

    Raises:
        OutputError: something cannot be written.
    """
    # what came through a pipe has gone through it
    has_sound = not source.is_live and not is_address(source.name) and Path(source.name).is_file()
    sound = Path(source.name) if has_sound else None
    log = stack.enter_context(EventLog(wishes.log)) if wishes.events else None
    film = stack.enter_context(write_film(wishes.film, source.size, source.fps, sound)) if wishes.film else None
    if film and not sound and not source.is_live:
        film.tell(f"{wishes.film} has no sound: that of {source.name} would be copied only from a file")
    rows = stack.enter_context(write_rows(wishes.table)) if wishes.table else None
    _clear(wishes)
    return Recording(film, rows, log)


def finished(wishes: Wishes) -> list[Path]:
    """Paths of what was written, once the timelines are drawn as well.

    Raises:
        OutputError: a timeline cannot be written.
    """
    # what went into a pipe or a terminal is no file
    written = [path for path in (wishes.film, wishes.table) if path and path.is_file()]
    if wishes.table and wishes.table.is_file():  # a pipe cannot be read again
        for timeline in timelines(wishes.table):
            make_folder(wishes.timelines)
            written.append(wishes.timelines / f"face-{timeline.number}.png")
            save(figure(timeline), written[-1])
    return [*written, *([wishes.log / "events.csv"] if wishes.events else [])]


def _clear(wishes: Wishes) -> None:
    """Remove the timelines of another film; pictures of events are named anew by their log."""
    folder = wishes.timelines
    if wishes.table and folder.is_dir():
        for path in folder.iterdir():
            if _TIMELINE.fullmatch(path.name):
                path.unlink()
