"""What ``fer webcam`` does with a source: look at every frame, show it, write it down, obey the keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.figures.scene import draw_status
from analysis.live import drawn
from fer.cli import console
from fer.cli.window import Window, can_show
from fer.errors import FerError, InterruptedRunError, OutputError, VideoError
from fer.faces import Search
from fer.predict import Predictor, open_model
from fer.types import ByteArray
from fer.video import Frame, Recogniser, Scene, Source, Tracking, open_source
from fer.video.events import EventLog, Watch
from fer.video.film import Film, can_copy_sound, check_film, write_film
from fer.video.rows import Rows, write_rows
from fer.words import counted

_FROZEN_WAIT = 0.05
# weight of the last frame in the pace that is shown
_PACE = 0.1


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

    def beside(self, name: str) -> Path:
        """A path beside the table or the film, named after it: ``faces.csv`` → ``faces-events``."""
        chief = self.table or self.film or Path("faces")
        return chief.with_name(f"{chief.stem}-{name}")


class Player:
    """Models to change between, and what is drawn; made before a source is opened."""

    def __init__(self, models: Sequence[str], search: Search, every: int, smoothing: float) -> None:
        self._names = list(models)
        first = Predictor(open_model(self._names[0], threads=1), search)
        self._predictors = {0: first}
        self.recogniser = Recogniser(first, Tracking(every=every), smoothing)
        self.chosen, self.heatmap, self.frozen = 0, False, False
        self._pace, self._at, self._due = 0.0, 0.0, 0.0

    def look(self, frame: Frame, *, draws: bool) -> tuple[Scene, ByteArray]:
        """See a frame; the frame as it came where nothing is to be drawn."""
        scene = self.recogniser.see(frame.image, frame.seconds)
        now = time.perf_counter()
        if self._at:
            pace = 1 / max(1e-6, now - self._at)
            self._pace = pace if not self._pace else self._pace + _PACE * (pace - self._pace)
        self._at = now
        if not draws:
            return scene, frame.image
        return scene, drawn(frame.image, scene, self.recogniser.model, maps=self.heatmap)

    def time_left(self, lasts: float) -> float:
        """Seconds to wait with the next frame, so that a film is not shown faster than it was made."""
        now = time.perf_counter()
        self._due = max(self._due + lasts, now)
        return self._due - now

    def status(self) -> str:
        """Pace and model in a line."""
        return f"{self._pace:.0f} frames/s  {self.recogniser.model.name}"

    def press(self, key: str) -> bool:
        """Obey a key; True where it says to leave."""
        if key == " ":
            self.frozen = not self.frozen
        elif key == "h":
            self.heatmap = not self.heatmap
        elif key.isdecimal() and 0 < int(key) <= len(self._names):
            self._change(int(key) - 1)
        return key == "q"

    def _change(self, place: int) -> None:
        try:
            if place not in self._predictors:
                model = open_model(self._names[place], threads=1)
                self._predictors[place] = Predictor(model, self._predictors[0].detector)
        except FerError as error:  # the camera goes on with the model that it has
            console.say(str(error))
            return
        self.chosen = place
        self.recogniser.use(self._predictors[place])


def play(name: str, wishes: Wishes, player: Player) -> None:
    """Go through a source to its end, the person's, or the time's.

    Raises:
        VideoError: it cannot be opened, or a camera failed.
        OutputError: a wish cannot be written.
        InterruptedRunError: Ctrl-C; what was written is complete.
    """
    for path in (wishes.film, wishes.table):
        if path and path.exists() and Path(name).exists() and path.samefile(name):
            raise OutputError(f"{path} is the source itself; choose another name for what is written")
    if wishes.film:
        check_film(wishes.film)
    with open_source(name) as source:
        has_window = _decide_window(wishes)
        if not has_window and wishes.is_empty:
            stem = f"camera-{name}" if name.isdecimal() else Path(name).stem or "stream"
            wishes = replace(wishes, film=Path(f"{stem}-faces.mp4"), table=Path(f"{stem}-faces.csv"))
            console.say(f"nothing is shown; writing {wishes.film} and {wishes.table}")
        done = _run(source, wishes, player, Window() if has_window else None)
    for path in _written(wishes):
        console.put(str(path))
    console.say(_summary(source, done))
    if done.stopped:
        raise InterruptedRunError("stopped; what was written is complete up to there", 130)
    if source.ended_early and source.is_live:
        raise VideoError(f"{source.ended_early} What was written is complete up to there")


def _decide_window(wishes: Wishes) -> bool:
    if wishes.window is False:
        return False
    if can_show():
        return True
    if wishes.window or wishes.is_empty:
        console.say("there is no screen to show a window on, or OpenCV is the headless one")
    return False


@dataclass
class _Done:
    frames: int = 0
    started: float = field(default_factory=time.perf_counter)
    spent: float = 0.0
    faces: set[int] = field(default_factory=set)
    stopped: bool = False


@dataclass(frozen=True)
class _Outputs:
    """The open files; each is None where it is not wished for."""

    film: Film | None
    rows: Rows | None
    log: EventLog | None
    watch: Watch = field(default_factory=Watch)

    def write(self, frame: Frame, scene: Scene, drawn: ByteArray) -> None:
        if self.film:
            self.film.write(drawn, frame.seconds)
        if self.rows:
            self.rows.write(frame.number, scene)
        if self.log:
            self.log.write(self.watch.see(scene))

    def end(self) -> None:
        if self.log:
            self.log.write(self.watch.end())


def _run(source: Source, wishes: Wishes, player: Player, window: Window | None) -> _Done:
    done = _Done()
    with ExitStack() as stack:
        outputs = _open_outputs(source, wishes, stack)
        report = stack.enter_context(console.progress("looking at frames"))
        if window:
            stack.callback(window.close)
        try:
            for frame in source:
                if wishes.seconds is not None and frame.seconds > wishes.seconds:
                    break
                scene, drawn = player.look(frame, draws=bool(window or outputs.film))
                done.frames, done.faces = done.frames + 1, done.faces | {seen.number for seen in scene.faces}
                outputs.write(frame, scene, drawn)
                if source.length:
                    report(done.frames, max(done.frames, source.length))
                if window and _leaves(window, player, drawn, 0.0 if source.is_live else 1 / source.fps):
                    break
        except KeyboardInterrupt:
            done.stopped = True
        done.spent = time.perf_counter() - done.started
        outputs.end()
    return done


def _open_outputs(source: Source, wishes: Wishes, stack: ExitStack) -> _Outputs:
    sound = None if source.is_live else Path(source.name)
    if wishes.film and sound and not can_copy_sound():
        console.say("ffmpeg is not installed; the film will have no sound")
    return _Outputs(
        film=stack.enter_context(write_film(wishes.film, source.size, source.fps, sound)) if wishes.film else None,
        rows=stack.enter_context(write_rows(wishes.table)) if wishes.table else None,
        log=stack.enter_context(EventLog(wishes.beside("events"))) if wishes.events else None,
    )


def _leaves(window: Window, player: Player, drawn: ByteArray, lasts: float) -> bool:
    """Show a frame for as long as it lasts or is frozen, and obey the keys; True where the person leaves."""
    picture = draw_status(drawn, player.status())
    leaves = player.press(window.show(picture, player.time_left(lasts)))
    while player.frozen and not leaves:
        leaves = player.press(window.show(picture, _FROZEN_WAIT))
    return leaves


def _written(wishes: Wishes) -> list[Path]:
    written = [path for path in (wishes.film, wishes.table) if path]
    if wishes.table:
        from analysis.figures import save
        from analysis.figures.timeline import figure
        from analysis.timeline import timelines
        from fer.files import make_folder

        folder = wishes.beside("timelines")
        for timeline in timelines(wishes.table):
            make_folder(folder)
            written.append(folder / f"face-{timeline.number}.png")
            save(figure(timeline), written[-1])
    return [*written, *([wishes.beside("events") / "events.csv"] if wishes.events else [])]


def _summary(source: Source, done: _Done) -> str:
    pace = done.frames / max(done.spent, 1e-9)
    parts = [f"{counted(done.frames, 'frame')}, {counted(len(done.faces), 'face')}, {pace:.0f} frames a second"]
    if source.skipped:
        parts.append(f"{counted(source.skipped, 'frame')} could not be read")
    if source.ended_early and not source.is_live:
        parts.append(source.ended_early)
    return "; ".join(parts)
