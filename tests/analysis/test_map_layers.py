"""Small maps of many faces against the maps they are made of."""

import base64
import json

import numpy as np
import pytest
import torch

from analysis.explain import explain
from analysis.figures.overlay import colour_table, overlay
from analysis.map_layers import BATCH, MapLayer, explain_all, layer_of
from fer import checkpoint as checkpoints
from fer.data import FaceSet, load
from fer.emotions import EMOTIONS
from fer.errors import UnknownNameError
from fer.types import Heatmap
from tests import fakes


def gradient(side):
    """0 at the left to 1 at the right."""
    return np.tile(np.linspace(0, 1, side, dtype=np.float32), (side, 1))


@pytest.mark.parametrize("side", [12, 48, 224])
def test_a_map_is_made_small_and_keeps_its_shape(side):
    layer = layer_of("a question", [5], [Heatmap(gradient(side), 0.123456, "sad", "gradcam")])
    assert layer.values.shape == (1, 12, 12) and layer.values.dtype == np.uint8
    centres = (np.arange(12) + 0.5) / 12  # of twelve equal columns
    np.testing.assert_allclose(layer.values[0] / 255, np.tile(centres, (12, 1)), atol=0.05)
    small = layer.heatmap(5)
    assert (small.target, small.peak, small.values.shape) == ("sad", 0.123456, (12, 12))
    assert layer.heatmap(4) is None


def test_the_json_of_a_layer_gives_back_its_bytes():
    maps = [Heatmap(gradient(12), 0.5, "sad", "gradcam"), Heatmap(gradient(12).T, 0, "fear", "gradcam")]
    layer = layer_of("a question", [2, 7], maps)
    content = json.loads(json.dumps(layer.to_dict()))
    assert (content["title"], content["side"], content["rows"]) == ("a question", 12, [2, 7])
    assert content["targets"] == ["sad", "fear"] and content["peaks"] == [0.5, 0]
    values = np.frombuffer(base64.b64decode(content["values"]), np.uint8).reshape(2, 12, 12)
    assert np.array_equal(values, layer.values) and np.array_equal(values[0], values[1].T)


def test_an_empty_layer_is_a_layer():
    assert layer_of("a question", [], []).to_dict()["values"] == ""


def test_parts_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="2 rows"):
        MapLayer("a question", (1, 2), ("sad",), (0.1,), np.zeros((1, 12, 12), np.uint8))


def test_all_faces_are_explained_as_if_one_by_one(checkpoint_file):
    """Over two batches, each face for its own target."""
    checkpoint = checkpoints.load(checkpoint_file)
    count = BATCH + 3
    images = torch.stack([torch.from_numpy(fakes.fake_face(EMOTIONS[i % 7], i))[None] for i in range(count)])
    faces = FaceSet(images, torch.zeros(count, dtype=torch.int64), tuple(map(str, range(count))), "train")
    targets, told = [EMOTIONS[i % 3] for i in range(count)], []
    layer = explain_all(checkpoint, faces, targets, "gradcam", lambda done, total: told.append((done, total)))
    assert layer.rows == tuple(range(count)) and list(layer.targets) == targets
    assert told == [(BATCH, count), (count, count)]
    for row in (0, BATCH - 1, BATCH, count - 1):
        (alone,) = explain(checkpoint, images[row : row + 1], targets[row], "gradcam")
        expected = layer_of("", [0], [alone])
        np.testing.assert_allclose(layer.values[row].astype(int), expected.values[0], atol=2)
        assert layer.peaks[row] == pytest.approx(alone.peak, rel=1e-3)


def test_an_unknown_method_is_named(checkpoint_file, fake_folder):
    faces = load(fake_folder).split("test")
    with pytest.raises(UnknownNameError, match="lime"):
        explain_all(checkpoints.load(checkpoint_file), faces, ["sad"] * len(faces), "lime")


def test_the_colour_table_blends_as_the_overlay_does():
    table = colour_table().astype(float)
    levels = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    face = np.full((16, 16, 3), 100, np.uint8)
    alpha = table[:, 3:] / 255
    blended = (100 * (1 - alpha) + table[:, :3] * alpha).reshape(16, 16, 3)
    np.testing.assert_allclose(overlay(face, Heatmap(levels, 1, "sad", "gradcam")), blended, atol=1.5)
    assert table[0, 3] == 0 and table[255, 3] == round(0.75 * 255)
