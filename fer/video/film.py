"""Writing a film: in real time whatever the pace of its frames, with the sound of the film that it was made from."""

import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from fer.errors import OutputError
from fer.files import move_whole, workshop
from fer.signals import endings
from fer.types import ByteArray
from fer.video.opencv import open_capture, open_writer

# A frame may come before its time by this share of a frame: times in files are rounded.
_EARLY = 0.25
# A still picture is not shown for more seconds than that.
_LONGEST_PAUSE = 60.0
# Faster films have a pace of two decimals: the frames of a second are told to within a hundredth.
_FINE = 65.0
# OpenCV's wheels bring these encoders.
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}


class Film:
    """A film under construction; made by :func:`write_film`.

    Attributes:
        frames: written so far.
    """

    def __init__(self, writer: cv2.VideoWriter, fps: float) -> None:
        self._writer, self._fps = writer, fps
        self.frames, self._left_out, self._notes = 0, 0.0, list[str]()

    @property
    def note(self) -> str:
        """What a person should be told of it once it is done, as that its sound was lost; else empty."""
        still = f"{self._left_out:,.0f} s without any frame are left out of the film" if self._left_out else ""
        return "; ".join(filter(None, [still, *self._notes]))

    @property
    def cut(self) -> bool:
        """True where a pause was too long to be shown whole."""
        return self._left_out > 0

    def tell(self, note: str) -> None:
        """Add to :attr:`note`."""
        self._notes.append(note)

    @property
    def seconds(self) -> float:
        """How long it lasts so far."""
        return self.frames / self._fps

    def write(self, image: ByteArray, seconds: float) -> None:
        """Show uint8 (H, W, 3) RGB from this time on: repeated or dropped so that the film keeps time.

        Of a longer pause than a minute, as a wrong time in a damaged film makes, the rest is left out.
        """
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        pause = seconds - self._left_out - self.seconds
        if pause > _LONGEST_PAUSE:
            self._left_out += pause - _LONGEST_PAUSE
        while self.frames <= int((seconds - self._left_out) * self._fps + _EARLY):
            self._writer.write(bgr)
            self.frames += 1


def check_film(path: Path) -> None:
    """OutputError where no film can be written under that name."""
    if path.suffix.lower() not in _CODECS:
        raise OutputError(f"{path}: unknown kind of film; known: {', '.join(_CODECS)}")
    if not path.parent.is_dir() or path.is_dir():
        raise OutputError(f"cannot write {path}: no such folder, or it is one itself; choose another name")


@contextmanager
def write_film(path: Path, size: tuple[int, int], fps: float, sound_of: Path | None = None) -> Iterator[Film]:
    """A film that gets its name when the block ends, also by Ctrl-C: what was written is closed and playable.

    Sound is added afterwards; stopped meanwhile, the film stays without it.

    Args:
        path: .mp4, .avi or .mkv.
        size: width and height of all frames; the encoders drop the last column or row of odd ones.
        fps: frames a second of the film.
        sound_of: a film whose sound is copied, where ffmpeg is installed.

    Raises:
        OutputError: an unknown kind, or it cannot be written.
    """
    check_film(path)
    with workshop(path) as folder:
        silent = folder / f"silent{path.suffix.lower()}"
        fps = _writable(fps)
        writer = open_writer(str(silent.absolute()), _CODECS[path.suffix.lower()], fps, size)
        if not writer.isOpened():
            raise OutputError(f"cannot write {path}: OpenCV has no encoder for {size[0]}×{size[1]} {path.suffix}; use .avi")
        film = Film(writer, fps)
        try:
            yield film
        finally:
            with _undisturbed():
                writer.release()
                if film.frames:
                    _check(silent, film.frames, path)
                    move_whole(silent, path)
            if film.frames and sound_of and not film.cut:
                _add_sound(path, folder, sound_of, film)
            elif film.frames and sound_of:
                film.tell(f"{path} has no sound: it would run ahead of the pictures from there on")


def _writable(fps: float) -> float:
    """The pace that is written. OpenCV makes a fraction of thousandths of it, MPEG-4 holds no term above 65,535.

    >>> _writable(29.97), _writable(119.987)
    (29.97, 119.99)
    """
    return fps if fps < _FINE else round(fps, 2)


def can_copy_sound() -> bool:
    """True where ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C waits the moment that a film takes to be closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, *endings())}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _check(made: Path, frames: int, path: Path) -> None:
    """OpenCV says nothing where the disk is full: the film is counted before it gets its name."""
    capture = open_capture(str(made.absolute()))
    counted = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    if counted < frames:
        raise OutputError(f"cannot write {path}: only {counted:,} of {frames:,} frames arrived; is the disk full?")


def _add_sound(path: Path, folder: Path, origin: Path, film: Film) -> None:
    """Give a finished film the sound of another, for as long as it lasts; it stays as it is where that is not possible."""
    if not can_copy_sound():
        film.tell(f"{path} has no sound: ffmpeg is not installed")
        return
    loud = folder / f"loud{path.suffix.lower()}"
    # pictures that begin after the sound were written from their first frame on
    heard = ["-ss", f"{_start_of_pictures(origin):.6f}", "-i", str(origin.absolute())]
    words = ["-i", str(path.absolute()), *heard, "-map", "0:v", "-map", "1:a?", "-c", "copy", "-t", f"{film.seconds:.6f}"]
    # a session of its own: Ctrl-C is for this program
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *words, str(loud.absolute())]
    done = subprocess.run(command, capture_output=True, check=False, start_new_session=True)
    if done.returncode == 0 and loud.is_file() and loud.stat().st_size:
        move_whole(loud, path)
    else:
        film.tell(f"{path} has no sound: ffmpeg cannot put that of {origin} into {path.suffix}; .mkv holds most kinds")


def _start_of_pictures(origin: Path) -> float:
    """Seconds by which the pictures of a film begin after its sound; 0 where that cannot be told."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,start_time", "-of", "csv=p=0"]
    if not shutil.which("ffprobe"):
        return 0.0
    done = subprocess.run([*command, str(origin.absolute())], capture_output=True, check=False, text=True)
    starts: dict[str, float] = {}
    for line in done.stdout.splitlines():
        kind, _, seconds = line.partition(",")
        try:
            starts.setdefault(kind, float(seconds.strip(",")))
        except ValueError:  # N/A
            continue
    return max(0.0, starts.get("video", 0.0) - min(starts.values(), default=0.0))
