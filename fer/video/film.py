"""Writing a film: in real time whatever the pace of its frames, with the sound of the film that it was made from."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from fer.errors import OutputError
from fer.files import move_whole, workshop
from fer.types import ByteArray
from fer.video.opencv import open_capture, open_writer

# A frame may come before its time by this share of a frame: times in files are rounded.
_EARLY = 0.25
# OpenCV's wheels bring these encoders.
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}


class Film:
    """A film under construction; made by :func:`write_film`."""

    def __init__(self, writer: cv2.VideoWriter, fps: float) -> None:
        self._writer, self._fps = writer, fps
        self.frames = 0

    def write(self, image: ByteArray, seconds: float) -> None:
        """Show uint8 (H, W, 3) RGB from this time on: repeated or dropped so that the film keeps time."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        while self.frames <= int(seconds * self._fps + _EARLY):
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

    Args:
        path: .mp4, .avi or .mkv.
        size: width and height of all frames.
        fps: frames a second of the film.
        sound_of: a film whose sound is copied, where ffmpeg is installed.

    Raises:
        OutputError: an unknown kind, or it cannot be written.
    """
    check_film(path)
    with workshop(path) as folder:
        silent = folder / f"silent{path.suffix.lower()}"
        writer = open_writer(str(silent), _CODECS[path.suffix.lower()], fps, size)
        if not writer.isOpened():
            raise OutputError(f"cannot write {path}: OpenCV has no encoder for {size[0]}×{size[1]} {path.suffix}; use .avi")
        film = Film(writer, fps)
        try:
            yield film
        finally:
            writer.release()
            if film.frames:
                _check(silent, film.frames, path)
                move_whole(_with_sound(silent, sound_of) if sound_of else silent, path)


def can_copy_sound() -> bool:
    """True where ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def _check(made: Path, frames: int, path: Path) -> None:
    """OpenCV says nothing where the disk is full: the film is counted before it gets its name."""
    capture = open_capture(str(made))
    counted = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    if counted < frames:
        raise OutputError(f"cannot write {path}: only {counted:,} of {frames:,} frames arrived; is the disk full?")


def _with_sound(silent: Path, origin: Path) -> Path:
    """The film with the sound of another; as it is where there is no ffmpeg, no sound, or one that its kind cannot hold."""
    if not can_copy_sound():
        return silent
    loud = silent.with_stem("loud")
    inputs = ["-i", str(silent), "-i", str(origin.absolute()), "-map", "0:v", "-map", "1:a?"]
    words = ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, "-c", "copy", "-shortest", str(loud)]
    done = subprocess.run(words, capture_output=True, check=False)
    return loud if done.returncode == 0 and loud.is_file() and loud.stat().st_size else silent
