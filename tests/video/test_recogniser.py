"""Smoothing over time, and the same answers as for single pictures."""

import math

import numpy as np
import pytest

from fer.predict import Predictor
from fer.types import softmax
from fer.video import Recogniser, Tracking
from fer.video.recogniser import smoothed
from tests.video import films

MODEL = "fast_cnn-int8"


def see_all(recogniser, pictures, fps=films.FPS):
    return [recogniser.see(picture, number / fps) for number, picture in enumerate(pictures)]


def test_smoothing_has_its_time_constant_at_every_rate():
    """A step from 0 to 1 has reached 1 - 1/e after the constant, however many frames that took."""
    for fps in (5, 25, 100):
        value = np.float32([1, 0])
        for _ in range(fps):
            value = smoothed(value, np.float32([0, 1]), 1 / fps, 1.0)
        assert value[1] == pytest.approx(1 - 1 / math.e, abs=1e-5)
        assert value.sum() == pytest.approx(1, abs=1e-5)


def test_without_a_constant_nothing_is_smoothed():
    assert smoothed(np.float32([1, 0]), np.float32([0.25, 0.75]), 0.01, 0.0).tolist() == [0.25, 0.75]


def test_each_frame_is_judged_as_the_predictor_judges_its_face():
    predictor = Predictor(MODEL, "haar")
    scenes = see_all(Recogniser(predictor), films.frames(12, (films.head(), films.still)))
    seen = scenes[-1].faces[0]
    (alone,) = predictor.judge([seen.prediction.face])
    np.testing.assert_allclose(seen.probs, alone.probs, atol=1e-6)
    assert (seen.number, seen.found, seen.prediction.label) == (1, True, "happy")


def test_smoothed_probabilities_are_the_moving_average_of_those_of_the_frames():
    scenes = see_all(Recogniser(Predictor(MODEL, "haar"), smoothing=0.3), films.frames(20, (films.head(), films.still)))
    own = [(scene.seconds, scene.faces[0]) for scene in scenes if scene.faces]
    assert len(own) > 8
    average, before = own[0][1].probs, own[0][0]
    for seconds, seen in own[1:]:
        kept = math.exp(-(seconds - before) / 0.3)
        average, before = kept * average + (1 - kept) * seen.probs, seconds
        np.testing.assert_allclose(seen.prediction.probs, average, atol=1e-5)


def test_a_face_that_is_missed_is_carried_on_with_its_last_probabilities():
    def path(n):
        return films.still(n) if n < 15 else None

    scenes = see_all(Recogniser(Predictor(MODEL, "haar")), films.frames(25, (films.head(), path)))
    last, missed = scenes[14].faces[0], scenes[20].faces[0]
    assert (last.found, missed.found, missed.number) == (True, False, 1)
    assert missed.missed == pytest.approx(6 / films.FPS)
    np.testing.assert_array_equal(missed.prediction.probs.round(5), last.prediction.probs.round(5))


def test_another_model_goes_on_with_the_tracks_and_begins_to_smooth_anew():
    recogniser = Recogniser(Predictor(MODEL, "haar"), smoothing=100.0)
    pictures = list(films.frames(16, (films.head(), films.still)))
    see_all(recogniser, pictures[:15])
    other = Predictor("fast_cnn-four", recogniser._predictor.detector)
    recogniser.use(other)
    (seen,) = recogniser.see(pictures[15], 15 / films.FPS).faces
    assert (seen.number, seen.prediction.classes) == (1, ("angry", "disgust", "fear", "happy"))
    (alone,) = other.judge([seen.prediction.face])
    np.testing.assert_allclose(seen.prediction.probs, alone.probs, atol=1e-5)
    assert recogniser.model.name == "fast_cnn-four"


def test_the_last_frame_again_counts_nobody_and_is_judged_by_the_model_in_use():
    predictor, pictures = Predictor(MODEL, "haar"), list(films.frames(3, (films.head(scale=0.9), films.still)))
    recogniser = Recogniser(predictor, Tracking(confirm=3))
    for number, picture in enumerate(pictures[:2]):
        assert recogniser.see(picture, number / films.FPS).faces == ()
    for _ in range(4):  # as a person who presses keys on a frozen picture
        assert recogniser.see_again(pictures[1], 1 / films.FPS).faces == ()
    (seen,) = recogniser.see(pictures[2], 2 / films.FPS).faces
    recogniser.use(Predictor("baseline", predictor.detector))
    (again,) = recogniser.see_again(pictures[2], 2 / films.FPS).faces
    assert (again.number, again.prediction.face.box) == (seen.number, seen.prediction.face.box)
    (alone,) = Predictor("baseline", predictor.detector).judge([seen.prediction.face])
    np.testing.assert_allclose(again.probs, alone.probs, atol=1e-6)


def test_what_is_remembered_of_a_face_is_forgotten_in_the_end():
    recogniser = Recogniser(Predictor(MODEL, "haar"), Tracking(memory=1.0))
    see_all(recogniser, films.frames(60, (films.head(), lambda n: films.still(n) if n < 10 else None)))
    assert recogniser._memories == {}
    assert recogniser._tracker._tracks == recogniser._tracker._gone == []


def test_logits_of_a_seen_face_give_its_probabilities_again():
    recogniser = Recogniser(Predictor(MODEL, "haar"))
    (seen,) = see_all(recogniser, films.frames(16, (films.head(), films.still)))[-1].faces
    np.testing.assert_allclose(softmax(seen.prediction.logits), recogniser._memories[1].smooth, atol=1e-6)


def test_another_model_does_not_judge_the_place_where_a_face_is_missed():
    recogniser = Recogniser(Predictor(MODEL, "haar"))
    pictures = list(films.frames(25, (films.head(), lambda n: films.still(n) if n < 15 else None)))
    before = see_all(recogniser, pictures[:20])[-1].faces[0]
    recogniser.use(Predictor("fast_cnn-four", recogniser._predictor.detector))
    (after,) = recogniser.see(pictures[20], 20 / films.FPS).faces
    assert not after.found
    np.testing.assert_array_equal(after.prediction.probs, before.prediction.probs)
