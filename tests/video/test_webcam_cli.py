"""``fer webcam`` from a source to its files: films made here, and a patched camera."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from fer.emotions import EMOTIONS
from fer.faces import Search
from fer.predict import open_model
from fer.released import live_names
from fer.video import Tracking, open_source
from fer.video import source as sources
from fer.video.recogniser import SMOOTHING
from fer.video.source import Source
from tests.conftest import needs
from tests.video import films
from tests.video.films import rows_of
from tests.video.test_source import Capture

MODEL = "fast_cnn-int8"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A face that is there, leaves, and comes back; in its way another one, for a while."""

    def there(n):
        return (40 + 1.0 * n, 60) if n < 60 or n >= 90 else None

    def other(n):
        return (190, 30) if 30 <= n < 80 else None

    pictures = films.frames(120, (films.head("other"), other), (films.head(), there))
    return films.write(tmp_path_factory.mktemp("films") / "film.mp4", pictures)


def test_a_film_becomes_a_film_a_table_timelines_and_events(fer, film, tmp_path):
    out, table = tmp_path / "out.mp4", tmp_path / "faces.csv"
    outcome = fer("webcam", "--source", film, "-o", out, "--csv", table, "--record-events", "--no-show", "-c", MODEL)
    assert outcome.code == 0
    assert outcome.out.split() == [
        str(path)
        for path in (
            out,
            table,
            tmp_path / "faces-timelines" / "face-1.png",
            tmp_path / "faces-timelines" / "face-2.png",
            tmp_path / "faces-events" / "events.csv",
        )
    ]
    assert "120 frames, 2 faces, " in outcome.err
    with open_source(str(out)) as source, open_source(str(film)) as before:
        assert (source.size, source.length) == (before.size, 120)
        pairs = [(a.image.astype(int), b.image.astype(int)) for a, b in zip(source, before, strict=True)]
    own = rows_of(table)
    drawn = {int(row["frame"]) for row in own if row["face"] == "1" and row["found"] == "1"}
    assert len(drawn) > 60
    changed = [np.abs(a - b).max(axis=2) > 90 for a, b in pairs]  # a box, and not only the codec's noise
    assert all(changed[number].sum() > 200 for number in drawn)
    assert changed[0].sum() < 50
    events = [(row["face"], row["event"], row["label"]) for row in rows_of(tmp_path / "faces-events" / "events.csv")]
    assert events[:2] == [("1", "appears", ""), ("1", "shows", "happy")]
    assert {event[0] for event in events} == {"1", "2"}


def test_the_table_is_what_single_frames_say(fer, film, tmp_path):
    from fer.predict import Predictor
    from fer.types import Box, Face

    fer("webcam", "--source", film, "--csv", tmp_path / "faces.csv", "--no-show", "-c", MODEL, "--detector", "haar")
    with open_source(str(film)) as source:
        images = [frame.image for frame in source]
    predictor, checked = Predictor(MODEL, "none"), 0
    for row in rows_of(tmp_path / "faces.csv")[::9]:
        box = Box(*(int(row[name]) for name in ("x1", "y1", "x2", "y2")))
        if row["found"] == "0":
            continue
        face = Face(images[int(row["frame"])][box.y1 : box.y2, box.x1 : box.x2], box, 1.0, "haar")
        (alone,) = predictor.judge([face])
        assert [float(row[f"now_{name}"]) for name in EMOTIONS] == pytest.approx(alone.probs.tolist(), abs=1e-4)
        checked += 1
    assert checked >= 5


@pytest.mark.parametrize("model", [MODEL, "fast_cnn"])
def test_heatmaps_lie_over_the_faces(fer, film, tmp_path, model):
    for name, words in (("plain.mp4", []), ("mapped.mp4", ["--heatmap"])):
        fer("webcam", "--source", film, "-o", tmp_path / name, "--no-show", "--seconds", "1", "-c", model, *words)
    with open_source(str(tmp_path / "plain.mp4")) as plain, open_source(str(tmp_path / "mapped.mp4")) as mapped:
        (*_, (a, b)) = zip((f.image for f in plain), (f.image for f in mapped), strict=True)
    differs = np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 40
    assert differs[75:135, 100:160].mean() > 0.3  # the face
    assert differs[:, 220:].mean() < 0.02


def test_it_leaves_after_the_seconds_it_was_given(fer, film, tmp_path):
    outcome = fer("webcam", "--source", film, "-o", tmp_path / "out.avi", "--no-show", "--seconds", "1", "-c", MODEL)
    assert "26 frames" in outcome.err
    with open_source(str(tmp_path / "out.avi")) as source:
        assert source.length == 26


def test_without_a_screen_and_a_wish_it_says_so_and_writes_files(fer, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    outcome = fer("webcam", "--source", film, "--seconds", "0.5", "-c", MODEL)
    assert outcome.code == 0
    assert outcome.out.split()[:2] == ["film-faces.mp4", "film-faces.csv"]
    assert "there is no screen to show a window on" in outcome.err
    assert (tmp_path / "film-faces.mp4").is_file() and (tmp_path / "film-faces.csv").is_file()


@pytest.fixture
def unplugged(monkeypatch):
    """A camera that fails after 20 frames."""
    pictures = [p[..., ::-1] for p in films.frames(20, (films.head(), films.still))]
    monkeypatch.setattr(sources, "_capture", lambda name: Capture(pictures, fps=25.0))
    monkeypatch.setattr(sources, "_PAUSE", 0.0)


def test_an_unplugged_camera_is_an_error_and_its_files_are_whole(fer, unplugged, tmp_path):
    outcome = fer("webcam", "-o", tmp_path / "out.mp4", "--csv", tmp_path / "faces.csv", "--no-show", "-c", MODEL)
    assert outcome.code == 2
    assert "fer: camera 0 gives no more frames after 20; is it still connected? What was written is complete" in outcome.err
    assert outcome.out.split()[:2] == [str(tmp_path / "out.mp4"), str(tmp_path / "faces.csv")]
    with open_source(str(tmp_path / "out.mp4")) as source:
        assert sum(1 for _ in source) >= 1
    assert {row["face"] for row in rows_of(tmp_path / "faces.csv")} <= {"1"}


def test_a_film_that_is_cut_short_is_gone_through_as_far_as_it_goes(fer, film, tmp_path):
    whole = films.write(tmp_path / "film.avi", films.frames(60, (films.head(), films.still)))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    outcome = fer("webcam", "--source", whole, "-o", tmp_path / "out.mp4", "--no-show", "-c", MODEL)
    assert outcome.code == 0
    assert "of 60 frames: cut short or damaged" in outcome.err
    with open_source(str(tmp_path / "out.mp4")) as source:
        assert 5 < sum(1 for _ in source) < 55


BAD = {
    "no camera": (["--source", "97"], "camera 97: cannot be opened"),
    "no film": (["--source", "nothing.mp4"], "nothing.mp4: no such file"),
    "kind of film": (["--source", "FILM", "-o", "out.gif"], "unknown kind of film"),
    "its own source": (["--source", "FILM", "-o", "FILM"], "is the source itself"),
    "its own source as a table": (["--source", "FILM", "--csv", "FILM"], "is the source itself"),
    "folder of the film": (["--source", "FILM", "-o", "nowhere/out.mp4"], "no such folder"),
    "folder of the table": (["--source", "FILM", "--csv", "nowhere/out.csv"], "cannot write"),
    "full disk": (["--source", "FILM", "--csv", "/dev/full"], "cannot write /dev/full"),
    "model": (["--source", "FILM", "-c", "nothing.pth"], "no checkpoint nothing.pth"),
    "detector": (["--source", "FILM", "--detector", "mtcnn"], "unknown detector 'mtcnn'"),
    "film and table in one": (["--source", "FILM", "-o", "a.mp4", "--csv", "a.mp4"], "cannot be both film and table"),
    "no search": (["--source", "FILM", "--detector", "none"], "detector none finds no faces to follow"),
    "no source": (["--source", ""], "an empty name"),
    "number of no camera": (["--source", "99999999999"], "99999999999: no such file"),
    "every": (["--source", "FILM", "--every", "0"], "--every"),
    "smoothing": (["--source", "FILM", "--smoothing", "-1"], "--smoothing"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line(fer, film, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    model = [] if "-c" in words else ["-c", MODEL]
    outcome = fer("webcam", "--no-show", *model, *(film if word == "FILM" else word for word in words))
    assert outcome.code == 2
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("fer: ")]
    assert says in line
    assert not list(tmp_path.glob("*.mp4"))


def test_what_an_earlier_run_left_is_replaced(fer, film, tmp_path):
    words = ["--csv", tmp_path / "faces.csv", "--record-events", "--no-show", "-c", MODEL]
    fer("webcam", "--source", film, *words)
    one = films.write(tmp_path / "one.mp4", films.frames(20, (films.head(), films.still)))
    mine = tmp_path / "faces-timelines" / "notes.png"
    mine.touch()
    fer("webcam", "--source", one, *words)
    assert sorted(path.name for path in (tmp_path / "faces-timelines").iterdir()) == ["face-1.png", "notes.png"]
    kept = {row["picture"] for row in rows_of(tmp_path / "faces-events" / "events.csv")} - {""}
    assert {path.name for path in (tmp_path / "faces-events").glob("*.jpg")} == kept


def test_a_table_may_be_a_pipe(film, tmp_path):
    words = ["--source", film, "--csv", "/dev/stdout", "--no-show", "-c", MODEL, "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "fer", "webcam", *map(str, words)], capture_output=True, text=True, timeout=60, check=True
    )
    first, *rows = done.stdout.splitlines()
    assert first.startswith("frame,seconds,face")
    assert len(rows) > 5


def test_a_film_through_a_pipe_becomes_a_film_without_sound(film, tmp_path):
    """The pipe is empty once it has been read: whoever opens it again waits for ever."""
    pipe, out = tmp_path / "pipe.mkv", tmp_path / "out.mp4"
    words = ["--source", pipe, "-o", out, "--csv", tmp_path / "faces.csv", "--no-show", "-c", MODEL]
    streamed = films.write(tmp_path / "film.mkv", films.frames(30, (films.head(), films.still))).read_bytes()
    os.mkfifo(pipe)
    started = subprocess.Popen(
        [sys.executable, "-m", "fer", "webcam", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    writer = threading.Thread(target=lambda: pipe.write_bytes(streamed), daemon=True)
    writer.start()
    try:
        printed, said = started.communicate(timeout=120)
    finally:
        started.kill()
    assert (started.returncode, printed.split()[:2]) == (0, [str(out), str(tmp_path / "faces.csv")]), said
    assert f"{out} has no sound: that of {pipe} would be copied only from a file" in " ".join(said.split())


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_stopped_from_outside_the_files_are_whole(tmp_path, sign, code):
    long = films.write(tmp_path / "long.mp4", list(films.frames(100, (films.head(), films.still))) * 20)
    words = ["--source", long, "-o", tmp_path / "out.mp4", "--csv", tmp_path / "faces.csv", "--no-show", "-c", MODEL]
    process = subprocess.Popen(
        [sys.executable, "-m", "fer", "webcam", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def is_under_way():
        assert process.poll() is None, process.stderr.read()
        return (tmp_path / "faces.csv").is_file() and (tmp_path / "faces.csv").stat().st_size > 20_000

    try:
        _wait(is_under_way, 120)
        process.send_signal(sign)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert "stopped; what was written is complete up to there" in err
    with open_source(str(tmp_path / "out.mp4")) as source:
        count = sum(1 for _ in source)
    rows = rows_of(tmp_path / "faces.csv")
    assert 0 < len(rows) <= count < 2000
    assert None not in rows[-1].values()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_table_on_stdout_ends_with_its_last_row(film):
    words = ["--source", film, "--csv", "/dev/stdout", "--no-show", "-c", MODEL, "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "fer", "webcam", *map(str, words)], capture_output=True, text=True, timeout=60, check=True
    )
    first, *rows = done.stdout.splitlines()
    assert len(rows) > 5 and {row.count(",") for row in rows} == {first.count(",")}


def test_frames_of_one_moment_have_a_timeline_too(fer, tmp_path):
    """Times a thousandth of a second apart and less are all 0.000 in the table."""
    path = films.write(tmp_path / "film.avi", films.frames(6, (films.head(), films.still)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "_position", lambda self, last: last + 1e-5)
        outcome = fer("webcam", "--source", path, "--csv", tmp_path / "faces.csv", "--no-show", "-c", MODEL)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "faces-timelines" / "face-1.png").is_file()


REFUSED_OUTPUTS = {
    "the same file by another way": (["-o", "out.mp4", "--csv", "sub/../out.mp4"], "both film and table"),
    "a folder as table": (["--csv", "sub"], "cannot write sub"),
    "a table in no folder": (["--csv", "nowhere/faces.csv"], "cannot write nowhere/faces.csv"),
    "the source as table": (["--csv", "sub/../film.mp4"], "is the source itself"),
    "the source by its address": (["--source", "file://FOLDER/film.mp4", "-o", "film.mp4"], "is the source itself"),
    "maps that nobody sees": (["--csv", "faces.csv", "--heatmap"], "--heatmap is drawn in the window and on the film"),
}


@pytest.mark.parametrize("kind", REFUSED_OUTPUTS)
def test_a_refused_output_leaves_what_was_there(kind, fer, film, tmp_path, monkeypatch):
    arguments, words = REFUSED_OUTPUTS[kind]
    (tmp_path / "sub").mkdir()
    for name in ("sub", "faces"):
        (tmp_path / f"{name}-timelines").mkdir()
        (tmp_path / f"{name}-timelines" / "face-1.png").write_bytes(b"of yesterday")
    shutil.copy(film, tmp_path / "film.mp4")
    monkeypatch.chdir(tmp_path)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    arguments = [word.replace("FOLDER", str(tmp_path)) for word in arguments]
    outcome = fer("webcam", "--source", "film.mp4", *arguments, "--no-show", "-c", MODEL)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and words in line
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_between_searches_of_the_whole_picture_nobody_new_is_found(fer, tmp_path):
    """A second face comes at frame 4."""
    pictures = films.frames(
        30, (films.head("other"), lambda n: (190, 30) if n >= 4 else None), (films.head(), lambda _: (20, 60))
    )
    film, first = films.write(tmp_path / "film.avi", pictures), {}
    for every in ("1", "20"):
        table = tmp_path / f"{every}.csv"
        assert fer("webcam", "--source", film, "--csv", table, "--no-show", "-c", MODEL, "--every", every).code == 0
        first[every] = min(int(row["frame"]) for row in rows_of(table) if row["face"] == "2")
    assert 4 <= first["1"] < 20 <= first["20"]


def test_smoothing_is_how_slowly_the_shown_expression_follows(fer, film, tmp_path):
    apart = {}
    for smoothing in ("0", "0.2", "5"):
        table = tmp_path / f"{smoothing}.csv"
        words = ["--source", film, "--csv", table, "--no-show", "-c", MODEL, "--seconds", "1", "--smoothing", smoothing]
        assert fer("webcam", *words).code == 0
        rows = [row for row in rows_of(table) if row["found"] == "1"]
        assert len(rows) > 5
        apart[smoothing] = np.mean([abs(float(row[name]) - float(row[f"now_{name}"])) for row in rows for name in EMOTIONS])
    assert apart["0"] == 0 < apart["0.2"] < apart["5"]


def test_the_help_offers_no_detector_that_is_refused(fer):
    text = " ".join(fer("webcam", "--help").out.replace("│", " ").split())
    assert "auto, haar, yunet or mediapipe." in text
    assert "or none" not in text


def test_the_help_says_what_smoothing_tracking_and_timelines_are(fer):
    text = " ".join(fer("webcam", "--help").out.split())
    for words in ("keeps its number", "averaged over time", "timeline", "q leaves, space freezes", "docs/live.md"):
        assert words in text


def test_defaults_in_the_help_are_those_of_the_library():
    import inspect

    from fer.cli.webcam import webcam

    defaults = {name: p.default for name, p in inspect.signature(webcam).parameters.items()}
    assert (defaults["every"], defaults["smoothing"]) == (Tracking().every, SMOOTHING)


def test_the_fastest_released_model_comes_first():
    assert live_names()[0] == MODEL
    assert set(live_names()) >= {"fast_cnn", "custom_cnn", "baseline"}


@needs("Xvfb", "xdotool")
def test_the_window_obeys_its_keys(film, tmp_path):
    """A real window on a real screen: h, a number, space, and q."""
    display = f":{90 + os.getpid() % 900}"
    screen = subprocess.Popen(["Xvfb", display, "-screen", "0", "800x600x24"], stderr=subprocess.DEVNULL)
    environment = os.environ | {"DISPLAY": display}
    long = films.write(tmp_path / "long.mp4", list(films.frames(100, (films.head(), films.still))) * 10)
    words = ["--source", long, "--csv", tmp_path / "faces.csv", "-c", MODEL, "-c", "fast_cnn-four", "--show"]
    words += ["-o", tmp_path / "out.avi"]
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "fer", "webcam", *map(str, words)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def lines():
            table = tmp_path / "faces.csv"
            return table.read_text(encoding="utf-8").count("\n") if table.is_file() else 0

        _wait(lambda: lines() > 5, 60)  # before, a window was only tried out
        window = _wait(lambda: _said(environment, "search", "--name", "^fer$"), 60)

        def press(key):
            subprocess.run(["xdotool", "key", "--window", window, key], env=environment, capture_output=True, check=True)

        press("2")  # the model of four classes leaves the columns of others empty
        _wait(lambda: rows_of(tmp_path / "faces.csv")[-2]["sad"] == "", 60)
        press("space")
        _wait(lambda: _still(lines), 30)
        press("space")
        frozen = lines()
        _wait(lambda: lines() > frozen, 30)
        press("h")
        mapped = lines()
        _wait(lambda: lines() > mapped + 10, 60)
        press("q")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "frames, 1 face, " in err
        assert int(rows_of(tmp_path / "faces.csv")[-1]["frame"]) < 999
        with open_source(str(tmp_path / "out.avi")) as source:
            first, *_, last = (frame.image.astype(int) for frame in source)
        differs = np.abs(last - first).max(axis=2) > 40
        assert differs[75:135, 95:150].mean() > 0.2  # a map over the face, which stands still
        assert differs[150:, 220:].mean() < 0.01
    finally:
        process.kill()
        screen.kill()
        process.communicate()
        screen.wait()


def _said(environment, *words):
    done = subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0]


def _still(count):
    before = count()
    time.sleep(0.5)
    return count() == before


def _wait(ready, seconds):
    end = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return answer


@pytest.fixture
def mute(monkeypatch):
    """The model as one that gives no heatmaps."""
    known = open_model(MODEL, threads=1)
    model = replace(known, seal=replace(known.seal, lacks_maps="its head has two layers"))
    monkeypatch.setattr("fer.cli.player.open_model", lambda *_, **__: model)


def test_the_key_for_heatmaps_does_not_end_the_session_of_a_model_without_them(film, mute, capsys):
    from fer.cli.player import Player

    player = Player([MODEL], Search("haar"), 1, 0.5)
    with open_source(str(film)) as source:
        frames = [frame for frame, _ in zip(source, range(16), strict=False)]
    for frame in frames[:12]:
        scene, plain = player.look(frame, draws=True)
    assert scene.faces
    capsys.readouterr()
    player.press("h")
    for frame in frames[12:]:
        _, drawn = player.look(frame, draws=True)
        assert drawn.shape == plain.shape
    assert capsys.readouterr().err == f"{MODEL} gives no heatmaps without torch: its head has two layers; explain its .pth\n"
    assert not player.heatmap


def test_heatmaps_that_a_model_does_not_give_are_refused_before_anything_is_written(fer, film, mute, tmp_path):
    outcome = fer("webcam", "--source", film, "-o", tmp_path / "out.mp4", "--no-show", "--heatmap", "-c", MODEL)
    assert outcome.code == 2 and "its head has two layers" in outcome.err and "leave out --heatmap" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_screen_that_cannot_be_reached_is_no_screen(monkeypatch):
    from fer.cli.window import can_show

    monkeypatch.setenv("DISPLAY", ":4711")
    assert not can_show()
