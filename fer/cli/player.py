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
from fer.cli.recording import Wishes, finished, open_recording
from fer.cli.window import Window, can_show
from fer.errors import ConfigError, FerError, InterruptedRunError, VideoError
from fer.faces import Search
from fer.predict import Predictor, lacks_maps, open_model
from fer.types import ByteArray
from fer.video import Frame, Recogniser, Scene, Source, Tracking, open_source
from fer.video.source import stem_of
from fer.words import counted

_FROZEN_WAIT = 0.05
# weight of the last frame in the pace that is shown
_PACE = 0.1


class Player:
    """Models to change between, and what is drawn; made before a source is opened."""

    def __init__(self, models: Sequence[str], search: Search, every: int, smoothing: float) -> None:
        self._names = list(models)
        detector = search.open()
        if detector.name == "none":
            raise ConfigError("detector none finds no faces to follow; use auto, haar, yunet or mediapipe")
        first = Predictor(open_model(self._names[0], threads=1), detector)
        self._predictors = {0: first}
        self.recogniser = Recogniser(first, Tracking(every=every), smoothing)
        self.heatmap, self.frozen = False, False
        self._pace, self._at, self._due, self._shown = 0.0, 0.0, 0.0, 0.0
        self.is_paced = False

    def look(self, frame: Frame, *, draws: bool, again: bool = False) -> tuple[Scene, ByteArray]:
        """See a frame, or the last one ``again``; the frame as it came where nothing is to be drawn."""
        see = self.recogniser.see_again if again else self.recogniser.see
        scene = see(frame.image, frame.seconds)
        now = time.perf_counter()
        if self._at:
            pace = 1 / max(1e-6, now - self._at)
            self._pace = pace if not self._pace else self._pace + _PACE * (pace - self._pace)
        self._at = now
        if not draws:
            return scene, frame.image
        self._go_without_maps()
        return scene, drawn(frame.image, scene, self.recogniser.model, maps=self.heatmap)

    def _go_without_maps(self) -> None:
        """Where the present model gives none, say so once; what was asked for by a key does not end the session."""
        if self.heatmap and (reason := lacks_maps(self.recogniser.model)):
            self.heatmap = False
            console.say(reason)

    def time_left(self, frame: Frame) -> float:
        """Seconds for which a frame of a film is to be shown, so that it is not faster than it was made; 0 for a camera's."""
        now = time.perf_counter()
        if not self.is_paced:
            return 0.0
        self._due = max(self._due + frame.seconds - self._shown, now)
        self._shown = frame.seconds
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
        self.recogniser.use(self._predictors[place])


def play(name: str, wishes: Wishes, player: Player) -> None:
    """Go through a source to its end, the person's, or the time's.

    Raises:
        VideoError: it cannot be opened, or a camera failed.
        ConfigError: heatmaps are asked for, and nothing is drawn.
        OutputError: a wish cannot be written.
        InterruptedRunError: Ctrl-C; what was written is complete.
    """
    wishes.check(name)
    with open_source(name) as source:
        has_window = _decide_window(wishes)
        if player.heatmap and not has_window and not wishes.film and not wishes.is_empty:
            raise ConfigError("--heatmap is drawn in the window and on the film; give --output, or leave it out")
        if not has_window and wishes.is_empty:
            stem = stem_of(name)
            wishes = replace(wishes, film=Path(f"{stem}-faces.mp4"), table=Path(f"{stem}-faces.csv"))
            console.say(f"nothing is shown; writing {wishes.film} and {wishes.table}")
        player.is_paced = not source.is_live
        done = _run(source, wishes, player, Window() if has_window else None)
    for path in finished(wishes):
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
    console.say("there is no screen to show a window on, or OpenCV is the headless one")
    return False


@dataclass
class _Done:
    frames: int = 0
    started: float = field(default_factory=time.perf_counter)
    spent: float = 0.0
    faces: set[int] = field(default_factory=set)
    stopped: bool = False
    note: str = ""


def _run(source: Source, wishes: Wishes, player: Player, window: Window | None) -> _Done:
    done, film = _Done(), None
    with ExitStack() as stack:
        recording = open_recording(source, wishes, stack)
        film = recording.film
        report = stack.enter_context(console.progress("looking at frames"))
        if window:
            stack.callback(window.close)
        try:
            for frame in source:
                if wishes.seconds is not None and frame.seconds > wishes.seconds:
                    break
                scene, drawn = player.look(frame, draws=bool(window or film))
                done.frames, done.faces = done.frames + 1, done.faces | {seen.number for seen in scene.faces}
                recording.write(frame, scene, drawn)
                if source.length:
                    report(done.frames, max(done.frames, source.length))
                if window and _leaves(window, player, frame, drawn):
                    break
        except KeyboardInterrupt:
            done.stopped = True
        done.spent = time.perf_counter() - done.started
        recording.end()
    done.note = film.note if film else ""
    return done


def _leaves(window: Window, player: Player, frame: Frame, drawn: ByteArray) -> bool:
    """Show a frame until the next one is due, or for as long as it is frozen, and obey the keys; True to leave."""
    key = window.show(draw_status(drawn, player.status()), player.time_left(frame))
    leaves = player.press(key)
    while player.frozen and not leaves:
        if key:  # what it changed is to be seen
            _, drawn = player.look(frame, draws=True, again=True)
        key = window.show(draw_status(drawn, player.status()), _FROZEN_WAIT)
        leaves = player.press(key)
    return leaves


def _summary(source: Source, done: _Done) -> str:
    pace = done.frames / max(done.spent, 1e-9)
    parts = [f"{counted(done.frames, 'frame')}, {counted(len(done.faces), 'face')}, {pace:.0f} frames a second"]
    if source.skipped:
        parts.append(f"{counted(source.skipped, 'frame')} could not be read")
    if source.ended_early and not source.is_live:
        parts.append(source.ended_early)
    return "; ".join([*parts, *([done.note] if done.note else [])])
