"""Events of a film, by a script of what each face shows when."""

from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from fer.emotions import EMOTIONS
from fer.errors import OutputError
from fer.types import Box, Face, Prediction
from fer.video import Scene, Seen
from fer.video.events import Event, EventLog, Watch
from tests.video.films import rows_of

FPS = 20


def seen(number, label, confidence=0.9, missed=0.0):
    probs = np.full(7, (1 - confidence) / 6, np.float32)
    probs[EMOTIONS.index(label)] = confidence
    face = Face(np.full((10, 10, 3), 90, np.uint8), Box(0, 0, 10, 10), 1.0, "haar")
    return Seen(number, Prediction(face, np.log(probs)), probs, missed)


def events(script, seconds):
    """``script(time)`` gives the faces; what the watch says, as plain tuples."""
    watch = Watch()
    found = [e for n in range(round(seconds * FPS)) for e in watch.see(Scene(n / FPS, tuple(script(n / FPS))))]
    return [(round(e.seconds, 2), e.number, e.what, e.label, e.before) for e in (*found, *watch.end())]


def test_a_face_appears_shows_something_changes_and_leaves():
    def script(t):
        if t < 4:
            yield seen(1, "happy" if t < 2 else "sad")

    assert events(script, 6) == [
        (0.0, 1, "appears", "", ""),
        (0.0, 1, "shows", "happy", ""),
        (2.0, 1, "shows", "sad", "happy"),
        (3.95, 1, "leaves", "sad", ""),
    ]


def test_an_expression_that_flickers_or_is_unsure_is_no_event():
    def script(t):
        flicker = 1.0 <= t < 1.4
        yield seen(1, "fear" if flicker else "sad" if t > 2 else "happy", 0.9 if t < 2 else 0.4)

    assert [what for _, _, what, _, _ in events(script, 4)] == ["appears", "shows", "leaves"]


def test_two_faces_have_events_of_their_own():
    def script(t):
        yield seen(1, "happy")
        if t >= 1:
            yield seen(2, "angry")

    found = events(script, 3)
    for number in (1, 2):
        assert [what for _, own, what, _, _ in found if own == number] == ["appears", "shows", "leaves"]
    assert (1.0, 2, "shows", "angry", "") in found


def test_a_short_absence_is_no_leaving():
    def script(t):
        if not 1 < t < 2:
            yield seen(1, "happy")

    assert [key for key, _ in groupby(e[2] for e in events(script, 3))] == ["appears", "shows", "leaves"]


def test_the_log_is_a_table_with_pictures(tmp_path):
    face = Face(np.full((30, 20, 3), 90, np.uint8), Box(0, 0, 20, 30), 1.0, "haar")
    with EventLog(tmp_path / "log") as log:
        log.write([Event(1.5, 3, "appears", face=face), Event(9.25, 3, "leaves", "sad")])
    first, second = rows_of(tmp_path / "log" / "events.csv")
    assert first == {
        "seconds": "1.500",
        "face": "3",
        "event": "appears",
        "label": "",
        "before": "",
        "picture": "00001-face3-appears.jpg",
    }
    assert (second["seconds"], second["label"], second["picture"]) == ("9.250", "sad", "")
    with Image.open(tmp_path / "log" / first["picture"]) as picture:
        assert picture.size == (20, 30)


def test_a_log_that_cannot_be_written_is_an_expected_error(tmp_path):
    (tmp_path / "log").touch()
    with pytest.raises(OutputError):
        EventLog(tmp_path / "log")


def test_a_face_that_is_not_found_shows_nothing_and_leaves_when_it_was_found_last():
    def script(t):
        if t < 3:
            yield seen(1, "happy", missed=0.0 if t < 0.3 else t - 0.3)

    assert events(script, 6) == [(0.0, 1, "appears", "", ""), (0.3, 1, "leaves", "", "")]
