"""A frame with what is seen in it, and why."""

import numpy as np

from analysis.figures.overlay import overlay
from analysis.figures.scene import draw_scene
from analysis.live import drawn
from fer.faces import Find, Margin, cut
from fer.predict import open_model
from fer.types import Heatmap, Prediction
from fer.video import Scene, Seen

FRAME = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def seen(prediction, number=1, missed=0.0):
    return Seen(number, prediction, prediction.probs, missed)


def face_at(*corners):
    return cut(FRAME, Find(*corners, 1.0), Margin(), "x")


def test_the_map_of_a_face_at_the_edge_lies_over_its_visible_part():
    face = face_at(-20, 40, 40, 100)
    heatmap = Heatmap(np.linspace(0, 1, 48 * 48).reshape(48, 48), 1.0, "happy", "gradcam")
    scene = Scene(0.0, (seen(Prediction(face, np.arange(7.0))),))
    plain, laid = draw_scene(FRAME, scene), draw_scene(FRAME, scene, [heatmap])
    expected = overlay(face.image, heatmap)[:, 20:]  # twenty columns lie outside
    changed = (plain != laid).any(axis=2)
    assert changed[40:100, :40].mean() > 0.5 and not changed[:, 40:].any()
    rows, columns = np.nonzero(changed)
    np.testing.assert_array_equal(laid[rows, columns], expected[rows - 40, columns])


def test_a_face_that_another_model_named_is_drawn_without_a_map():
    model = open_model("fast_cnn-four")
    faces = [face_at(10, 10, 60, 60), face_at(80, 40, 140, 100)]
    known = Prediction(faces[0], np.array([0, 0, 0, 5.0]), model.card.classes)
    other = Prediction(faces[1], np.eye(7)[6] * 5.0)  # neutral
    scene = Scene(0.0, (seen(known), seen(other, 2, missed=0.1)))
    picture = drawn(FRAME, scene, model, maps=True)
    plain = drawn(FRAME, scene, model, maps=False)
    changed = (picture != plain).any(axis=2)
    assert changed[10:60, 10:60].any() and not changed[40:100, 80:140].any()
    alone = Scene(0.0, (seen(other, 2, missed=0.1),))
    np.testing.assert_array_equal(drawn(FRAME, alone, model, maps=True), drawn(FRAME, alone, model, maps=False))
