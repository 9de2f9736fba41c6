"""What the page shows of a camera, without a browser."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from apps.live import MAX_FRAME, Visit
from apps.offered import predictor
from fer.errors import ConfigError, ImageError
from fer.images import read
from fer.predict import Predictor
from fer.video import Recogniser
from tests.video import films

MODEL = "fast_cnn-int8"


def encoded(picture):
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()


def visit(count, maps=False, model=MODEL, path=films.still):
    """Updates of a still face, 25 frames a second by the visit's own clock."""
    times = iter(number / 25 for number in range(count))
    guest = Visit(clock=lambda: next(times))
    return [guest.see(encoded(p), model, maps=maps) for p in films.frames(count, (films.head(), path))], guest


def told(note):
    """Expressions of the only face with their shares, as a note has them."""
    return {name: int(share) / 100 for name, share in re.findall(r"([a-z]+) (\d+)%", note)}


def test_every_update_is_a_picture_of_the_frames_size_and_a_line_of_words():
    updates, _ = visit(16)
    assert all(read(update.jpeg).shape == (films.HEIGHT, films.WIDTH, 3) for update in updates)
    assert updates[0].note == "no face found · 0 updates a second"
    assert updates[-1].note.startswith("1 face: 1 happy ")
    assert updates[-1].note.endswith(" · 25 updates a second")


def test_the_words_are_those_of_the_recogniser():
    """The same frames through the library: one number for the page, the command line and Python."""
    updates, _ = visit(16)
    recogniser = Recogniser(Predictor(MODEL))
    for number, picture in enumerate(films.frames(16, (films.head(), films.still))):
        scene = recogniser.see(picture, number / 25)
    told = ", ".join(f"{name} {p:.0%}" for name, p in scene.faces[0].prediction.top(3))
    assert updates[-1].note == f"1 face: 1 {told} · 25 updates a second"


def test_a_box_is_drawn_and_on_request_a_map():
    plain, mapped = (read(visit(16, maps)[0][-1].jpeg).astype(int) for maps in (False, True))
    frame = list(films.frames(16, (films.head(), films.still)))[-1].astype(int)
    assert (np.abs(plain - frame).max(axis=2) > 90).sum() > 300
    assert (np.abs(plain - mapped).max(axis=2) > 40)[75:135, 95:150].mean() > 0.2
    assert (np.abs(plain - mapped).max(axis=2) > 40)[:, 220:].mean() < 0.01


def test_a_model_without_maps_boxes_the_faces_and_says_why_there_are_none(monkeypatch):
    plain, _ = visit(16)
    known = predictor(MODEL)
    mute = replace(known.model, seal=replace(known.model.seal, lacks_maps="its head has two layers"))
    monkeypatch.setattr(known, "model", mute)
    updates, _ = visit(16, maps=True)
    assert updates[-1].jpeg == plain[-1].jpeg
    reason = "fast_cnn-int8 gives no heatmaps without torch: its head has two layers; explain its .pth"
    assert updates[-1].note == f"{plain[-1].note} · {reason}"


def test_another_model_takes_over_with_the_same_numbers():
    updates, guest = visit(16)
    guest._clock = lambda: 16 / 25
    (*_, last) = films.frames(16, (films.head(), films.still))
    note = guest.see(encoded(last), "fast_cnn-four", maps=False).note
    assert note.startswith("1 face: 1 happy")
    for model, said in ((MODEL, updates[-1].note), ("fast_cnn-four", note)):
        (alone,) = Predictor(model).predict(last)
        shares = told(said)
        assert len(shares) == 3 and shares.keys() <= alone.probabilities.keys()
        assert shares == pytest.approx({name: alone.probabilities[name] for name in shares}, abs=0.03)
    assert told(updates[-1].note) != told(note)


@pytest.mark.parametrize("frame", [b"", b"no picture", encoded(films.background())[:500]])
def test_what_is_no_picture_is_an_expected_error(frame):
    with pytest.raises(ImageError):
        Visit().see(frame, MODEL, maps=False)


def test_a_frame_that_is_too_large_is_refused_unread():
    with pytest.raises(ConfigError, match="at most 2,000,000"):
        Visit().see(bytes(MAX_FRAME + 1), MODEL, maps=False)


def test_a_frame_of_too_many_pixels_is_refused_from_its_header():
    picture = io.BytesIO()
    Image.new("L", (4000, 4000)).save(picture, "PNG")
    with pytest.raises(ImageError, match=r"4000×4000 pixels, at most 2.5 megapixels are read"):
        Visit().see(picture.getvalue(), "fast_cnn-int8", maps=False)
