"""The table of a film, and the timelines made of it."""

from pathlib import Path

import numpy as np
import pytest

from analysis.figures.timeline import draw_timeline, figure
from analysis.timeline import timelines
from fer.emotions import EMOTIONS
from fer.errors import DataError, OutputError
from fer.types import Box, Face, Prediction
from fer.video import Scene, Seen
from fer.video.rows import COLUMNS, write_rows
from tests.video.films import rows_of

FOUR = ("angry", "disgust", "fear", "happy")


def seen(number, probs, classes=EMOTIONS, missed=0.0):
    face = Face(np.zeros((20, 10, 3), np.uint8), Box(3, 4, 13, 24), 2.5, "haar")
    return Seen(number, Prediction(face, np.log(np.float32(probs)), classes), np.float32(probs[::-1]), missed)


PROBS = [0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]


def test_a_row_says_where_what_and_how_sure(tmp_path):
    with write_rows(tmp_path / "faces.csv") as rows:
        rows.write(12, Scene(0.5, (seen(7, PROBS), seen(9, PROBS, missed=0.1))))
    first, second = rows_of(tmp_path / "faces.csv")
    assert tuple(first) == COLUMNS
    assert {name: first[name] for name in COLUMNS[:11]} == {
        "frame": "12",
        "seconds": "0.500",
        "face": "7",
        "found": "1",
        "x1": "3",
        "y1": "4",
        "x2": "13",
        "y2": "24",
        "score": "2.500",
        "label": "angry",
        "confidence": "0.4000",
    }
    assert [float(first[name]) for name in EMOTIONS] == pytest.approx(PROBS, abs=1e-4)
    assert [float(first[f"now_{name}"]) for name in EMOTIONS] == pytest.approx(PROBS[::-1], abs=1e-4)
    assert (second["face"], second["found"]) == ("9", "0")


def test_classes_that_a_model_does_not_know_are_left_empty(tmp_path):
    with write_rows(tmp_path / "faces.csv") as rows:
        rows.write(0, Scene(0.0, (seen(1, [0.1, 0.2, 0.3, 0.4], FOUR),)))
    (row,) = rows_of(tmp_path / "faces.csv")
    assert (row["happy"], row["now_happy"], row["sad"], row["now_sad"]) == ("0.4000", "0.1000", "", "")


def test_rows_can_be_read_while_the_table_grows(tmp_path):
    with write_rows(tmp_path / "faces.csv") as rows:
        for number in range(3):
            rows.write(number, Scene(number / 25, (seen(1, PROBS),)))
            assert len((tmp_path / "faces.csv").read_text(encoding="utf-8").splitlines()) == number + 2


@pytest.mark.parametrize("path", ["/dev/full", "nowhere/faces.csv"])
def test_a_table_that_cannot_be_written_is_an_expected_error(path):
    with pytest.raises(OutputError, match="cannot write"), write_rows(Path(path)) as rows:
        rows.write(0, Scene(0.0, (seen(1, PROBS),)))


def table(path, script, frames, fps=25):
    with write_rows(path) as rows:
        for number in range(frames):
            rows.write(number, Scene(number / fps, tuple(script(number))))
    return path


def pure(label):
    return [0.994 if name == label else 0.001 for name in EMOTIONS]


def test_timelines_follow_each_face(tmp_path):
    def script(n):
        yield seen(1, pure("happy" if n < 50 else "sad"))
        if 25 <= n < 75:
            yield seen(2, pure("fear"))

    first, second = timelines(table(tmp_path / "faces.csv", script, 100), spans=10)
    assert (first.number, second.number) == (1, 2)
    np.testing.assert_allclose(first.edges, np.linspace(0, 4, 11))
    assert first.probs.argmax(axis=1).tolist() == [EMOTIONS.index("happy")] * 5 + [EMOTIONS.index("sad")] * 5
    there = ~np.isnan(second.probs).any(axis=1)
    assert there.tolist() == [False] * 2 + [True] * 6 + [False] * 2
    np.testing.assert_allclose(first.probs.sum(axis=1), 1, atol=0.01)


def test_frames_in_which_a_face_was_missed_do_not_count(tmp_path):
    def script(n):
        yield seen(1, pure("happy")) if n % 2 else seen(1, pure("fear"), missed=0.1)

    path = table(tmp_path / "faces.csv", script, 40)
    (line,) = timelines(path, spans=5)
    assert np.nanmin(line.probs[:, EMOTIONS.index("happy")]) > 0.99


@pytest.mark.parametrize("frames", [1, 2, 3, 700])
def test_short_and_long_films_have_no_holes(tmp_path, frames):
    (line,) = timelines(table(tmp_path / "faces.csv", lambda n: [seen(1, PROBS)], frames), spans=100)
    assert len(line.probs) == len(line.edges) - 1 == min(100, frames)
    assert not np.isnan(line.probs).any()


def test_a_film_without_faces_has_no_timeline(tmp_path):
    assert timelines(table(tmp_path / "faces.csv", lambda n: [], 10)) == []


HEADER = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", HEADER + "1,x,1,1\n", HEADER + "0,0,one,1" + ",0" * 21])
def test_another_table_is_an_expected_error(tmp_path, text):
    (tmp_path / "other.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="no table of fer webcam"):
        timelines(tmp_path / "other.csv")


def test_frames_that_come_late_leave_no_hole_where_the_face_was_in_both(tmp_path):
    path = tmp_path / "faces.csv"
    with write_rows(path) as rows:
        for number in range(30):
            rows.write(number, Scene(number / 10 + (5.0 if number >= 15 else 0.0), (seen(1, pure("happy")),)))
    (line,) = timelines(path, spans=20)
    assert not np.isnan(line.probs).any()


def test_the_picture_stacks_all_classes_to_one_over_the_whole_width(tmp_path):
    for frames in (1, 40):
        (line,) = timelines(table(tmp_path / "faces.csv", lambda n: [seen(1, PROBS)], frames), spans=10)
        ax = draw_timeline(figure(line).subplots(), line)
        points = [layer.get_paths()[0].vertices for layer in ax.collections]
        np.testing.assert_allclose([p[:, 1].max() for p in points], np.cumsum(PROBS), atol=0.01)
        assert all((p[:, 0].min(), p[:, 0].max()) == ax.get_xlim() for p in points)
