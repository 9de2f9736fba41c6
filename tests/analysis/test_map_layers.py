"""Small maps of many faces against the maps they are made of."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.explain import BATCH, explain, explain_set
from analysis.figures.overlay import colour_table, overlay
from analysis.map_layers import MapLayer, contrast_layer, layer_of, own_layer
from fer import checkpoint as checkpoints
from fer.data import FaceSet
from fer.emotions import EMOTIONS
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


@pytest.fixture
def faces():
    count = BATCH + 3
    images = torch.stack([torch.from_numpy(fakes.fake_face(EMOTIONS[i % 7], i))[None] for i in range(count)])
    return FaceSet(images, torch.arange(count) % 7, tuple(map(str, range(count))), "validation")


def test_the_maps_of_one_pass_become_a_layer_of_all_faces(checkpoint_file, faces):
    _, heatmaps = explain_set(checkpoints.load(checkpoint_file), faces)
    layer = own_layer(heatmaps)
    assert layer.title == "gradcam for the prediction" and layer.rows == tuple(range(len(faces)))
    expected = layer_of("", range(len(faces)), [heatmaps[i] for i in range(len(faces))])
    assert layer.targets == expected.targets and np.array_equal(layer.values, expected.values)


def test_the_mistakes_alone_are_set_against_their_labels(checkpoint_file, faces):
    checkpoint, told = checkpoints.load(checkpoint_file), []
    table, _ = explain_set(checkpoint, faces)
    layer = contrast_layer(checkpoint, faces, table, "gradcam", lambda *now: told.append(now))
    wrong = [i for i in range(len(faces)) if table.predicted[i] != table.labels[i]]
    assert layer.title == "gradcam: why not the label" and layer.rows == tuple(wrong) and told[-1] == (len(wrong), len(wrong))
    for row in wrong[:: len(wrong) // 5]:
        answer, label = EMOTIONS[table.predicted[row]], EMOTIONS[table.labels[row]]
        (alone,) = explain(checkpoint, faces.images[row : row + 1], answer, against=label)
        small = layer.heatmap(row)
        assert small.target == answer and small.peak == pytest.approx(alone.peak, rel=1e-3)
        np.testing.assert_allclose(small.values, layer_of("", [row], [alone]).heatmap(row).values, atol=0.01)


def test_without_mistakes_there_is_an_empty_layer(checkpoint_file, faces):
    checkpoint = checkpoints.load(checkpoint_file)
    table, _ = explain_set(checkpoint, faces)
    right = replace(table, labels=table.predicted)
    assert contrast_layer(checkpoint, faces, right, "gradcam").rows == ()


def test_the_colour_table_blends_as_the_overlay_does():
    table = colour_table().astype(float)
    levels = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    face = np.full((16, 16, 3), 100, np.uint8)
    alpha = table[:, 3:] / 255
    blended = (100 * (1 - alpha) + table[:, :3] * alpha).reshape(16, 16, 3)
    np.testing.assert_allclose(overlay(face, Heatmap(levels, 1, "sad", "gradcam")), blended, atol=1.5)
    assert table[0, 3] == 0 and table[255, 3] == round(0.75 * 255)
