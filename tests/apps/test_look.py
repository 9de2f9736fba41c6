"""What the page shows of a picture, without a browser."""

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageFilter

import apps.look
from analysis.regions.face_template import REGIONS, regions_of
from apps.cards import face_cards
from apps.compare import compare
from apps.look import SIDE, Wish, look, methods
from fer.emotions import COLOURS, EMOTIONS
from fer.errors import CheckpointError, ConfigError, ImageError
from fer.images import read
from fer.predict import Predictor
from fer.samples import sample_path
from tests.apps.shown import pixels
from tests.conftest import save_random


@pytest.fixture
def checkpoint(checkpoint_file):
    return str(checkpoint_file)


def test_the_sample_gives_one_boxed_face_with_label_confidence_and_heatmap(checkpoint):
    shown = look(sample_path(), Wish(checkpoint))
    (prediction,) = Predictor(checkpoint).predict(sample_path())
    assert shown.note == "1 face found."
    (card,) = shown.cards
    unsure = "unsure, perhaps " if prediction.confidence < 0.5 else ""
    assert card.title == f"1. {unsure}{prediction.label}, {prediction.confidence:.0%}"
    assert list(card.probabilities) == list(EMOTIONS)
    assert sum(card.probabilities.values()) == pytest.approx(1, abs=1e-5)
    original, box = read(sample_path()), prediction.face.box
    boxed = pixels(shown.boxed).astype(int)
    assert boxed.shape == original.shape
    edge = boxed[(box.y1 + box.y2) // 2, box.x1]
    assert np.abs(edge - ImageColor.getrgb(COLOURS[prediction.label])).max() < 40  # of a JPEG
    assert np.abs(boxed[box.y2 + 16 :] - original[box.y2 + 16 :]).mean() < 3


def test_face_and_overlay_are_squares_of_one_size_that_differ(checkpoint):
    (card,) = look(sample_path(), Wish(checkpoint)).cards
    face, overlay = pixels(card.face), pixels(card.overlay)
    assert face.shape == overlay.shape == (SIDE, SIDE, 3)
    assert np.abs(face.astype(int) - overlay).mean() > 5


def test_two_faces_give_two_cards_from_left_to_right(checkpoint, tmp_path):
    one = read(sample_path())
    Image.fromarray(np.hstack([one, one[:, ::-1]])).save(tmp_path / "two.png")
    shown = look(tmp_path / "two.png", Wish(checkpoint))
    assert shown.note == "2 faces found, numbered from the left."
    assert [card.title.split(".")[0] for card in shown.cards] == ["1", "2"]
    left, right = (pixels(card.face).astype(int) for card in shown.cards)
    assert np.abs(left - right[:, ::-1]).mean() < np.abs(left - right).mean()


def test_a_picture_without_a_face_is_judged_whole_and_said_so(checkpoint, tmp_path):
    slope = np.tile(np.linspace(40, 200, 300).astype(np.uint8), (150, 1))
    Image.fromarray(slope).save(tmp_path / "slope.png")
    shown = look(tmp_path / "slope.png", Wish(checkpoint))
    assert "no face found" in shown.note.lower() and "whole image" in shown.note
    (card,) = shown.cards
    face = pixels(card.face)
    assert face.shape == (SIDE, SIDE, 3)
    middle = face[SIDE // 2, :, 0]  # twice as wide as high: all of the slope is there, bars above and below
    assert middle[2] < 60 and middle[-3] > 180
    assert face[10].max() < 5 and face[-10].max() < 5
    assert card.overlay is not None and card.regions is None  # a map, but no eyes and mouth that it could lie on
    assert "Where it looks" not in face_cards(shown.cards) and "heatmap is empty" not in face_cards(shown.cards)


def test_a_face_already_cut_out_works(checkpoint, tmp_path):
    Image.fromarray(read(sample_path())[60:250, 140:330]).convert("L").resize((48, 48)).save(tmp_path / "crop.png")
    shown = look(tmp_path / "crop.png", Wish(checkpoint))
    assert pixels(shown.boxed).shape == (48, 48, 3) and len(shown.cards) == 1
    assert shown.note == "Small picture: taken as a face already cut out."
    assert set(shown.cards[0].regions) == set(REGIONS) and "Where it looks" in face_cards(shown.cards)
    assert compare(tmp_path / "crop.png", [checkpoint], ["gradcam"]).note == shown.note


def test_another_checkpoint_says_something_else(save_two):
    one, other = (look(sample_path(), Wish(path)).cards[0].probabilities for path in save_two)
    assert one != other


@pytest.fixture
def save_two(tmp_path):
    return [str(save_random(tmp_path / f"{seed}.pth", seed=seed)) for seed in (1, 2)]


def test_a_file_that_is_no_picture_is_an_expected_error(checkpoint, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        look(tmp_path / "a.jpg", Wish(checkpoint))


def test_a_checkpoint_that_is_not_there_is_an_expected_error():
    with pytest.raises(CheckpointError, match="nowhere"):
        look(sample_path(), Wish("nowhere"))


def test_a_class_can_be_asked_for_and_set_against_another(checkpoint):
    wishes = Wish(checkpoint), Wish(checkpoint, target="sad", against="happy")
    (own,), (other,) = (look(sample_path(), wish).cards for wish in wishes)
    assert other.caption == "gradcam: sad, not happy"
    assert np.abs(pixels(own.overlay).astype(int) - pixels(other.overlay)).mean() > 1
    assert own.probabilities == other.probabilities


def test_a_class_that_is_set_against_itself_is_an_expected_error(checkpoint):
    with pytest.raises(ConfigError):
        look(sample_path(), Wish(checkpoint, target="sad", against="sad"))


def test_a_face_that_is_taken_for_the_class_it_is_set_against_is_an_expected_error():
    with pytest.raises(ConfigError, match="a face is taken for happy itself"):
        look(sample_path(), Wish("fast_cnn-int8", against="happy"))


def test_of_two_faces_the_one_taken_for_the_class_set_against_has_no_map(monkeypatch):
    known = Predictor("fast_cnn-int8")
    (happy,) = known.predict(sample_path())
    sad = replace(happy, logits=np.where(np.array(EMOTIONS) == "sad", 9.0, 0.0).astype(np.float32))
    monkeypatch.setattr(known, "predict", lambda _: (happy, sad))
    monkeypatch.setattr(apps.look, "turn", lambda _: nullcontext(known))
    shown = look(sample_path(), Wish("fast_cnn-int8", against="happy"))
    one, other = shown.cards
    assert one.overlay is None and one.caption.startswith("a face is taken for happy itself")
    assert other.overlay and other.caption == "gradcam: sad, not happy"
    first, second = shown.told["faces"]
    assert first["reason"] == one.caption and "heatmap" not in first and "heatmap" in second


@pytest.mark.parametrize("size", [(700, 1), (2, 2000), (97, 1)])
def test_a_picture_as_thin_as_a_line_is_shown(size, tmp_path):
    Image.new("RGB", size, "gray").save(tmp_path / "line.png")
    (card,) = look(tmp_path / "line.png", Wish("fast_cnn-int8")).cards
    assert pixels(card.face).shape == pixels(card.overlay).shape == (SIDE, SIDE, 3)


def test_a_large_picture_without_a_face_is_explained_in_little_memory(tmp_path):
    Image.new("L", (3000, 2000), 128).save(tmp_path / "grey.png")
    look(tmp_path / "grey.png", Wish("fast_cnn-int8"))
    tracemalloc.start()
    look(tmp_path / "grey.png", Wish("fast_cnn-int8"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 6_000_000  # three bytes a pixel as RGB, and copies; a map blended at full size takes a hundred


def test_another_method_gives_another_map(checkpoint):
    (card,) = look(sample_path(), Wish(checkpoint, "layercam")).cards
    assert card.caption.startswith("layercam: ")
    assert "layercam" in methods(checkpoint)


def test_an_exported_model_knows_one_method():
    assert methods("fast_cnn-int8") == ("gradcam",)


def test_an_exported_model_without_heatmaps_still_says_what_it_sees(monkeypatch):
    known = Predictor("fast_cnn-int8")
    mute = replace(known.model, seal=replace(known.model.seal, lacks_maps="its head has two layers"))
    (whole,) = look(sample_path(), Wish("fast_cnn-int8")).cards
    monkeypatch.setattr(apps.look, "turn", lambda _: nullcontext(Predictor(mute)))
    shown = look(sample_path(), Wish("mute"))
    (card,) = shown.cards
    assert (card.title, card.probabilities, card.face) == (whole.title, whole.probabilities, whole.face)
    assert card.overlay is None and card.regions == {}
    assert card.caption == "fast_cnn-int8 gives no heatmaps without torch: its head has two layers; explain its .pth"
    (face,) = shown.told["faces"]
    assert face["label"] == "happy" and face["reason"] == card.caption and "heatmap" not in face


def test_regions_are_the_shares_of_the_map():
    """By another way: the map enlarged, counted region by region."""
    shown = look(sample_path(), Wish("fast_cnn-int8"))
    (prediction,) = Predictor("fast_cnn-int8").predict(sample_path())
    (heatmap,) = Predictor("fast_cnn-int8").model.explain([prediction.face], prediction.label)
    labels, values = regions_of(prediction.face), np.asarray(heatmap.values)
    for name, share in shown.cards[0].regions.items():
        assert share == pytest.approx(values[labels == REGIONS.index(name)].sum() / values.sum(), abs=0.01)
    assert sum(shown.cards[0].regions.values()) == pytest.approx(1)


def test_below_the_threshold_the_verdict_is_unsure():
    (said,) = Predictor("fast_cnn-int8").predict(sample_path())
    below, above = said.confidence - 0.01, said.confidence + 0.01
    sure, unsure = (look(sample_path(), Wish("fast_cnn-int8", threshold=value)).cards[0].title for value in (below, above))
    assert sure == f"1. happy, {said.confidence:.0%}"
    assert unsure == f"1. unsure, perhaps happy, {said.confidence:.0%}"


def test_unless_told_otherwise_an_answer_below_one_half_is_unsure(checkpoint):
    (card,) = look(sample_path(), Wish(checkpoint)).cards  # a random net
    assert max(card.probabilities.values()) < 0.5
    assert card.title.startswith("1. unsure, perhaps ")


@pytest.mark.parametrize(("sigma", "words"), [(0, ""), (3, " (too blurred to be sure)"), (10, " (too blurred to be sure)")])
def test_a_blurred_face_is_said_to_be_too_blurred(tmp_path, sigma, words):
    face = Image.fromarray(read(sample_path())[60:250, 140:330]).resize((96, 96))
    face.filter(ImageFilter.GaussianBlur(sigma)).save(tmp_path / "blurred.png")
    (card,) = look(tmp_path / "blurred.png", Wish("fast_cnn-int8", threshold=0)).cards
    assert card.title.partition("%")[2] == words


def test_a_dark_face_is_said_to_be_too_dark(tmp_path):
    face = Image.fromarray(read(sample_path())[60:250, 140:330]).resize((96, 96))
    face.point(lambda value: value // 12).save(tmp_path / "dark.png")
    (card,) = look(tmp_path / "dark.png", Wish("fast_cnn-int8", threshold=0)).cards
    assert card.title.endswith("% (too dark to be sure)")


def test_a_tiny_face_is_said_to_be_too_small(tmp_path):
    Image.fromarray(read(sample_path())[60:250, 140:330]).resize((30, 30)).save(tmp_path / "tiny.png")
    (card,) = look(tmp_path / "tiny.png", Wish("fast_cnn-int8")).cards
    assert "a face of 30×30 pixels is too small to be sure" in card.title


def test_the_json_holds_all_figures_and_maps():
    shown = look(sample_path(), Wish("fast_cnn-int8"))
    told = json.loads(json.dumps(shown.told))
    assert told["checkpoint"] == "fast_cnn-int8"
    (face,) = told["faces"]
    assert face["probabilities"] == pytest.approx(shown.cards[0].probabilities)
    assert np.array(face["heatmap"]).shape == (48, 48)


@pytest.mark.parametrize("name", ["fast_cnn", "fast_cnn-int8"])
def test_several_visitors_at_once_get_what_each_alone_would(name):
    """An explanation hooks into the network that answers the others."""
    targets = ["angry", "happy", "sad", "fear"] * 6
    alone = {target: look(sample_path(), Wish(name, target=target)).told["faces"] for target in set(targets)}
    with ThreadPoolExecutor(4) as visitors:
        told = list(visitors.map(lambda target: look(sample_path(), Wish(name, target=target)).told["faces"], targets))
    for target, faces in zip(targets, told, strict=True):
        assert faces[0]["target"] == target
        np.testing.assert_allclose(faces[0]["heatmap"], alone[target][0]["heatmap"], atol=2e-4)
        assert faces[0]["probabilities"] == pytest.approx(alone[target][0]["probabilities"], abs=1e-6)


@pytest.fixture
def crowd(tmp_path):
    """Three faces, each larger than the one before."""
    picture = Image.new("RGB", (1372, 512), "gray")
    with Image.open(sample_path()) as sample:
        for left, side in ((0, 400), (400, 460), (860, 512)):
            picture.paste(sample.resize((side, side)), (left, 0))
    picture.save(tmp_path / "crowd.png")
    return tmp_path / "crowd.png"


def test_of_a_crowd_all_are_judged_and_the_largest_explained(crowd, monkeypatch):
    monkeypatch.setattr(apps.look, "MOST", 2)
    shown = look(crowd, Wish("fast_cnn-int8"))
    assert shown.note == "3 faces found, numbered from the left; the 2 largest are explained."
    assert [(card.number, card.title[0]) for card in shown.cards] == [(2, "2"), (3, "3")]
    predictions = Predictor("fast_cnn-int8").predict(crowd)
    assert [face["label"] for face in shown.told["faces"]] == [prediction.label for prediction in predictions]
    assert ["heatmap" in face for face in shown.told["faces"]] == [False, True, True]
    (large,) = Predictor("fast_cnn-int8").model.explain([predictions[2].face], predictions[2].label)
    np.testing.assert_allclose(shown.told["faces"][2]["heatmap"], large.values, atol=1e-3)


def test_methods_of_many_passes_explain_fewer(crowd, checkpoint, monkeypatch):
    monkeypatch.setattr(apps.look, "MOST_SLOWLY", 1)
    assert [card.number for card in look(crowd, Wish(checkpoint, "occlusion")).cards] == [3]
    assert [card.number for card in look(crowd, Wish(checkpoint, "layercam")).cards] == [1, 2, 3]


def test_rollout_is_offered_where_there_is_attention(tmp_path):
    assert "rollout" not in methods("fast_cnn")
    assert "rollout" in methods("fast_cnn", str(save_random(tmp_path / "vit.pth", "vit")))


def test_methods_are_those_that_any_checkpoint_knows():
    assert methods("fast_cnn-int8") == ("gradcam",)
    assert "layercam" in methods("fast_cnn-int8", "fast_cnn")
