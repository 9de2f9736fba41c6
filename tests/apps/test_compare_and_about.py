"""Several opinions on one face, and what the page says of its model; without a browser."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from apps.about import describe
from apps.compare import compare
from apps.look import SIDE
from apps.offered import offer
from fer.errors import CheckpointError, ConfigError, ImageError
from fer.images import read
from fer.predict import Predictor, open_model
from fer.samples import sample_path
from tests.apps.shown import pixels
from tests.conftest import save_random

BOTH = ("fast_cnn-int8", "fast_cnn-four")


def test_every_checkpoint_has_its_say_on_the_same_face():
    result = compare(sample_path(), BOTH, ["gradcam"])
    assert result.note == "1 face found."
    for opinion, name in zip(result.opinions, BOTH, strict=True):
        (alone,) = Predictor(name).predict(sample_path())
        assert opinion.checkpoint == name
        assert opinion.verdict == f"{alone.label}, {alone.confidence:.0%}"
        assert opinion.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        (found,) = opinion.maps
        assert found.text == "gradcam: happy"
        assert pixels(found.picture).shape == pixels(result.face).shape == (SIDE, SIDE, 3)


def test_a_method_that_a_checkpoint_does_not_know_is_a_reason_beside_the_others():
    exported, checkpoint = compare(sample_path(), BOTH, ["gradcam", "layercam"]).opinions
    assert exported.maps[0].picture is not None
    assert exported.maps[1].picture is None and "knows gradcam only" in exported.maps[1].text
    first, second = (pixels(one.picture).astype(int) for one in checkpoint.maps)
    assert np.abs(first - second).mean() > 1


def test_the_largest_of_several_faces_is_compared(tmp_path):
    one = Image.fromarray(read(sample_path()))
    pair = Image.new("RGB", (900, 512), "gray")
    pair.paste(one.resize((380, 380)), (0, 0))
    pair.paste(one, (388, 0))
    pair.save(tmp_path / "pair.png")
    result = compare(tmp_path / "pair.png", BOTH[:1], ["gradcam"])
    assert result.note == "2 faces found: the largest, number 2."


@pytest.mark.parametrize(("checkpoints", "methods"), [([], ["gradcam"]), (BOTH, []), (["fast_cnn"] * 7, ["gradcam"])])
def test_too_few_and_too_many_are_an_expected_error(checkpoints, methods):
    with pytest.raises(ConfigError, match="choose between one and 6"):
        compare(sample_path(), checkpoints, methods)


def test_what_is_no_picture_is_an_expected_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError):
        compare(tmp_path / "a.jpg", BOTH, ["gradcam"])


def test_the_page_says_what_the_card_says():
    model = open_model("fast_cnn")
    text, metrics = describe(model), model.card.metrics["validation"]
    assert f"{100 * metrics['accuracy']:.2f} %" in text
    assert f"n = {metrics['n']:,}" in text
    unseen = model.card.metrics["validation/held-out"]
    assert f"calibration error {unseen['ece']:.3f} on the {unseen['n']:,} of these faces" in text
    for label, own in metrics["per_class"].items():
        assert f"| {label} | {100 * own['recall']:.2f} % | {100 * own['precision']:.2f} % | {own['n']:,} |" in text


@pytest.mark.parametrize(
    ("name", "apart"),
    [("net", ""), ("fast_cnn", " What sets it apart: distilled."), ("fast_cnn-four", " What sets it apart: 4 classes.")],
)
def test_the_page_says_what_sets_a_model_apart(name, apart):
    first = describe(open_model(name)).splitlines()[2]
    assert first.endswith(f"trained on fer2013.zip.{apart}")


def test_the_page_says_how_a_model_of_votes_does_by_the_majority_rule():
    model = open_model("fast_cnn")
    assert "majority" not in describe(model)
    agreed = {"accuracy": 0.8571, "ci95": (0.8444, 0.8689), "n": 3199}
    config = model.card.config | {"labels": "ferplus-soft", "distillation": {}}
    card = replace(model.card, config=config, metrics=model.card.metrics | {"validation/ferplus-majority": agreed})
    text = describe(replace(model, card=card))
    assert "What sets it apart: labels ferplus-soft: another task." in text
    assert "On the 3,199 faces with a label by FER+'s majority rule: 85.71 % (95 %: 84.44 % to 86.89 %)." in text


def test_an_exported_model_is_told_by_its_own_proof_and_not_by_its_checkpoints_card():
    shipped = open_model("fast_cnn-int8")
    before, after = shipped.seal.proof["accuracy"][0], 0.6543
    model = replace(shipped, seal=replace(shipped.seal, proof=shipped.seal.proof | {"accuracy": (before, after)}))
    assert f"{100 * before:.2f}" != f"{100 * after:.2f}"
    said, _, rest = describe(model).partition("Of the checkpoint it was made from:")
    assert f"accuracy {100 * after:.2f} % on the {model.seal.proof['n']:,} faces" in said
    assert f"({100 * before:.2f} % before" in said and "onnx-int8" in said
    assert f"{100 * model.card.metrics['validation']['accuracy']:.2f} %" in rest
    unmeasured = replace(model, seal=replace(model.seal, proof={}))
    assert "its own accuracy was not measured" in describe(unmeasured)


def test_a_card_without_figures_says_so(tmp_path):
    assert "holds no figures" in describe(open_model(save_random(tmp_path / "random.pth")))


def test_names_with_dots_stay_whole(tmp_path):
    names = offer([str(save_random(tmp_path / f"run.v{n}.pth", seed=n)) for n in (1, 2)])
    assert names == ["run.v1", "run.v2"]
    assert [opinion.checkpoint for opinion in compare(sample_path(), names, ["gradcam"]).opinions] == names


def test_a_damaged_checkpoint_is_said_by_its_name_alone(tmp_path):
    (tmp_path / "damaged.pth").write_bytes(b"nothing")
    (name,) = offer([str(tmp_path / "damaged.pth")])
    with pytest.raises(CheckpointError) as said:
        compare(sample_path(), [name], ["gradcam"])
    assert str(tmp_path) not in str(said.value) and name in str(said.value)
