"""Films that are written: whole or not at all, in time, with their sound."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fer.errors import OutputError
from fer.video import film as filming
from fer.video import open_source
from fer.video.film import write_film
from tests.conftest import needs

GREY = np.full((48, 64, 3), 120, np.uint8)


def lengths(path):
    """Codec type → seconds, by ffprobe."""
    words = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,duration", "-of", "json", str(path)]
    streams = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)["streams"]
    return {stream["codec_type"]: float(stream["duration"]) for stream in streams}


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_what_is_written_can_be_read(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    with write_film(path, (64, 48), 20.0) as film:
        for number in range(10):
            film.write(GREY + np.uint8(10 * number), number / 20)
    with open_source(str(path)) as source:
        assert [round(frame.image.mean()) for frame in source] == pytest.approx([120 + 10 * n for n in range(10)], abs=4)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
@pytest.mark.parametrize("fps", [66.667, 71.4286, 119.987, 239.942])
def test_films_of_telephones_that_are_slowed_down_can_be_written(tmp_path, suffix, fps):
    path = tmp_path / f"film{suffix}"
    with write_film(path, (64, 48), fps) as film:
        for number in range(24):
            film.write(GREY, number / fps)
    with open_source(str(path)) as source:
        assert source.fps == pytest.approx(fps, rel=2e-4)
        assert sum(1 for _ in source) == film.frames == 24


def test_a_film_keeps_time_whatever_the_pace_of_its_frames(tmp_path):
    """Half the frames for a second, then twice as many: two seconds at 20 frames a second are 40 frames."""
    times = [n / 10 for n in range(10)] + [1 + n / 40 for n in range(40)]
    with write_film(tmp_path / "film.mp4", (64, 48), 20.0) as film:
        for seconds in times:
            film.write(GREY, seconds)
    assert film.frames == 40


def test_a_long_pause_is_cut_short_and_said(tmp_path):
    """As of a wrong time in a damaged film: an hour of the same picture helps nobody."""
    with write_film(tmp_path / "film.mp4", (64, 48), 20.0) as film:
        for seconds in (0.0, 0.05, 3600.0, 3600.05, 3640.0):
            film.write(GREY, seconds)
    assert film.seconds == pytest.approx(60 + 40, abs=0.2)
    assert film.note == "3,540 s without any frame are left out of the film"


def test_a_colon_in_a_films_name_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with write_film(Path("c:film.mp4"), (64, 48), 20.0) as film:
        film.write(GREY, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["c:film.mp4"]


def test_an_interrupted_film_is_closed_and_playable(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(KeyboardInterrupt), write_film(path, (64, 48), 20.0) as film:
        for number in range(7):
            film.write(GREY, number / 20)
        raise KeyboardInterrupt
    with open_source(str(path)) as source:
        assert sum(1 for _ in source) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_without_a_frame_is_not_written(tmp_path):
    with write_film(tmp_path / "film.mp4", (64, 48), 20.0):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("film.gif", r"unknown kind of film; known: \.mp4, \.avi, \.mkv"),
        ("film", "unknown kind"),
        ("nowhere/film.mp4", "no such folder"),
        ("folder.mp4", "it is one itself"),
    ],
)
def test_what_cannot_be_written_is_an_expected_error(tmp_path, name, says):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match=says), write_film(tmp_path / name, (64, 48), 20.0):
        pass


def test_a_full_disk_is_noticed_though_opencv_says_nothing(tmp_path, monkeypatch):
    def lose(path):
        path.write_bytes(path.read_bytes()[:200])

    real = filming._check
    monkeypatch.setattr(filming, "_check", lambda made, frames, path: (lose(made), real(made, frames, path)))
    full = pytest.raises(OutputError, match="of 5 frames arrived; is the disk full")
    with full, write_film(tmp_path / "film.mp4", (64, 48), 20.0) as film:
        for number in range(5):
            film.write(GREY, number / 20)
    assert list(tmp_path.iterdir()) == []


@needs("ffmpeg")
def test_the_sound_of_the_origin_is_kept(tmp_path):
    origin, path = tmp_path / "origin.mp4", tmp_path / "film.mp4"
    with write_film(tmp_path / "silent.mp4", (64, 48), 20.0) as film:
        for number in range(40):
            film.write(GREY, number / 20)
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2", "-i", str(tmp_path / "silent.mp4")]
    subprocess.run(["ffmpeg", "-v", "error", *tone, "-map", "1:v", "-map", "0:a", "-c:v", "copy", str(origin)], check=True)
    with write_film(path, (64, 48), 20.0, sound_of=origin) as film:
        for number in range(40):
            film.write(GREY, number / 20)
    assert lengths(path) == pytest.approx({"video": 2.0, "audio": 2.0}, abs=0.1)


@needs("ffmpeg")
def test_a_film_that_leaves_out_a_pause_has_no_sound_that_would_be_out_of_step(tmp_path, silent):
    origin, path = sounding(tmp_path / "origin.mp4", 2, silent=silent), tmp_path / "film.mp4"
    with write_film(path, (64, 48), 20.0, sound_of=origin) as film:
        for seconds in (0.0, 100.0):
            film.write(GREY, seconds)
    assert set(lengths(path)) == {"video"}
    left_out, sound = film.note.split("; ")
    assert left_out == "40 s without any frame are left out of the film"
    assert sound == f"{path} has no sound: it would run ahead of the pictures from there on"


@needs("ffmpeg")
def test_a_colon_in_a_films_name_costs_no_sound(tmp_path, silent, monkeypatch):
    origin = sounding(tmp_path / "origin.mp4", 2, silent=silent)
    monkeypatch.chdir(tmp_path)
    assert not written(Path("12:30.mp4"), origin).note
    assert lengths(tmp_path / "12:30.mp4") == pytest.approx({"video": 2.0, "audio": 2.0}, abs=0.1)


@needs("ffmpeg")
def test_a_film_without_sound_stays_so(tmp_path):
    for name, origin in (("a.mp4", None), ("b.mp4", tmp_path / "a.mp4")):
        with write_film(tmp_path / name, (64, 48), 20.0, sound_of=origin) as film:
            for number in range(20):
                film.write(GREY, number / 20)
    assert lengths(tmp_path / "b.mp4") == pytest.approx({"video": 1.0})


def test_without_ffmpeg_the_film_is_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with write_film(tmp_path / "film.mp4", (64, 48), 20.0, sound_of=tmp_path / "origin.mp4") as film:
        film.write(GREY, 0.0)
    assert (tmp_path / "film.mp4").stat().st_size > 0


def sounding(path, seconds, *words, codec="aac", silent=None):
    """A film of two seconds with a tone of other length."""
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]
    command = ["ffmpeg", "-v", "error", *words, "-i", str(silent), *tone, "-map", "0:v", "-map", "1:a", "-c:v", "copy"]
    subprocess.run([*command, "-c:a", codec, str(path)], check=True)
    return path


@pytest.fixture
def silent(tmp_path):
    with write_film(tmp_path / "silent.mp4", (64, 48), 20.0) as film:
        for number in range(40):
            film.write(GREY, number / 20)
    return tmp_path / "silent.mp4"


def written(path, origin):
    with write_film(path, (64, 48), 20.0, sound_of=origin) as film:
        for number in range(40):
            film.write(GREY, number / 20)
    return film


@needs("ffmpeg")
@pytest.mark.parametrize("seconds", [0.5, 2, 5])
def test_the_pictures_last_as_long_as_they_do_whatever_the_sound_does(tmp_path, silent, seconds):
    written(tmp_path / "film.mp4", sounding(tmp_path / "origin.mp4", seconds, silent=silent))
    assert lengths(tmp_path / "film.mp4")["video"] == pytest.approx(2.0)
    assert lengths(tmp_path / "film.mp4")["audio"] == pytest.approx(min(2.0, seconds), abs=0.1)
    with open_source(str(tmp_path / "film.mp4")) as source:
        assert source.length == 40


@needs("ffmpeg")
def test_sound_that_the_kind_cannot_hold_is_said(tmp_path, silent):
    origin = sounding(tmp_path / "origin.avi", 2, silent=silent, codec="pcm_s16le")
    film = written(tmp_path / "film.mp4", origin)
    assert "has no sound: ffmpeg cannot put that of" in film.note
    assert lengths(tmp_path / "film.mp4") == pytest.approx({"video": 2.0})


@needs("ffmpeg")
def test_pictures_that_begin_after_the_sound_stay_in_step_with_it(tmp_path, silent):
    """The source's pictures begin a second after its sound: the film begins with the sound of that second."""
    origin = sounding(tmp_path / "origin.mp4", 3, "-itsoffset", "1", silent=silent)
    written(tmp_path / "film.mp4", origin)
    assert lengths(tmp_path / "film.mp4")["audio"] == pytest.approx(2.0, abs=0.1)


def test_a_second_interruption_does_not_lose_the_film(tmp_path, monkeypatch):
    import signal

    real = filming._check

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        real(*arguments)

    monkeypatch.setattr(filming, "_check", interrupted)
    written(tmp_path / "film.mp4", None)
    assert (tmp_path / "film.mp4").is_file()


@needs("ffmpeg")
def test_an_interruption_while_the_sound_is_copied_leaves_the_film_without(tmp_path, silent, monkeypatch):
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    origin = sounding(tmp_path / "origin.mp4", 2, silent=silent)
    monkeypatch.setattr(filming.subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "film.mp4", origin)
    with open_source(str(tmp_path / "film.mp4")) as source:
        assert source.length == 40
