"""Class weights from a file: what is read, what is refused, and what the loss makes of it."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from fer import checkpoint as checkpoints
from fer.config import Loss
from fer.data.sampling import as_tensor, balanced_class_weights, class_weights
from fer.emotions import EMOTIONS, SYNONYMS
from fer.errors import ConfigError
from fer.losses import one_hot, soft_cross_entropy

COUNTS = dict.fromkeys(EMOTIONS, 6)
GOOD = {name: 1.0 + number / 2 for number, name in enumerate(EMOTIONS)}


def of_text(tmp_path, text, counts=None, ratio=100.0):
    path = tmp_path / "weights.json"
    path.write_text(text, encoding="utf-8")
    return class_weights(Loss(class_weights=str(path), max_weight_ratio=ratio), counts or COUNTS)


def test_weights_stand_in_the_order_of_the_classes_whatever_that_of_the_file(tmp_path):
    backwards = dict(reversed(GOOD.items()))
    assert of_text(tmp_path, json.dumps(backwards)) == tuple(GOOD.values())


def test_only_the_classes_of_the_run_are_taken(tmp_path):
    counts = {"disgust": 3, "sad": 4}
    assert of_text(tmp_path, json.dumps(GOOD), counts) == (GOOD["disgust"], GOOD["sad"])


def test_a_class_that_the_run_lacks_may_have_any_weight(tmp_path):
    assert of_text(tmp_path, json.dumps({**GOOD, "angry": 0}), {"disgust": 3, "sad": 4}) == (1.5, 3.5)


@pytest.mark.parametrize("spelt", [*SYNONYMS, "HAPPY", " Sad "])
def test_other_peoples_spellings_are_read(spelt, tmp_path):
    name = SYNONYMS.get(spelt, spelt.strip().lower())
    weights = {key: value for key, value in GOOD.items() if key != name} | {spelt: 9}
    assert of_text(tmp_path, json.dumps(weights))[EMOTIONS.index(name)] == 9


def test_balanced_weights_are_those_of_scikit_learn():
    counts = dict(zip(EMOTIONS, [3995, 436, 4097, 7215, 4965, 4830, 3171], strict=True))
    labels = np.repeat(np.arange(7), list(counts.values()))
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    np.testing.assert_allclose(balanced_class_weights(counts), expected, atol=1e-6)
    np.testing.assert_allclose(class_weights(Loss(class_weights="balanced"), counts), expected, atol=1e-6)


def test_the_largest_ratio_is_allowed_and_more_is_not(tmp_path):
    text = json.dumps({**GOOD, "disgust": 10, "happy": 0.5})
    assert of_text(tmp_path, text, ratio=20)[1] == 10
    with pytest.raises(ConfigError, match="the largest class weight is 20 times the smallest, 19 is allowed"):
        of_text(tmp_path, text, ratio=19)


def test_balanced_weights_have_the_same_limit():
    counts = dict(zip(EMOTIONS, [1000, 5, 1000, 1000, 1000, 1000, 1000], strict=True))
    assert max(class_weights(Loss(class_weights="balanced", max_weight_ratio=201), counts)) == pytest.approx(
        6005 / 35, rel=1e-5
    )
    with pytest.raises(ConfigError, match="200 times the smallest, 100 is allowed"):
        class_weights(Loss(class_weights="balanced"), counts)


def test_equal_weights_cost_no_tensor_and_others_are_float32():
    assert as_tensor((1.0,) * 7, torch.device("cpu")) is None
    tensor = as_tensor((1.0, 2.5), torch.device("cpu"))
    assert tensor.dtype == torch.float32 and tensor.tolist() == [1, 2.5]


def test_with_balanced_weights_every_class_has_the_same_part_of_the_loss():
    counts = {"angry": 2, "fear": 8, "sad": 5}
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(list(counts.values())))
    weights = as_tensor(class_weights(Loss(class_weights="balanced"), counts), torch.device("cpu"))
    losses = soft_cross_entropy(torch.zeros(15, 3), one_hot(labels, 3), weights)
    parts = [float(losses[labels == place].sum()) for place in range(3)]
    assert parts == pytest.approx([15 / 3 * math.log(3)] * 3, rel=1e-5)


# what is refused

WITHOUT = json.dumps({name: 1 for name in EMOTIONS if name != "fear"})
BAD = {
    "missing file": (None, ["weights.json", "No such file"]),
    "empty": ("", ["weights.json", "JSON"]),
    "no JSON": ("angry: 1", ["weights.json"]),
    "list": ("[1, 1, 1, 1, 1, 1, 1]", ["weights.json", "JSON object"]),
    "number": ("3", ["weights.json"]),
    "null": ("null", ["weights.json"]),
    "missing class": (WITHOUT, ["none for fear"]),
    "several missing": ('{"sad": 1}', ["none for angry, disgust, fear, happy, neutral, surprise"]),
    "unknown class": (json.dumps({**GOOD, "contempt": 1}), ["contempt", "angry"]),
    "misspelt class": (json.dumps({**GOOD, "hapy": 1}), ["did you mean 'happy'"]),
    "zero": (json.dumps({**GOOD, "sad": 0}), ["finite and positive", "sad 0"]),
    "too small for float32": (json.dumps({name: 1e-300 for name in EMOTIONS}), ["1e-06", "sad 1e-300"]),
    "too large for float32": (json.dumps({name: 1e300 for name in EMOTIONS}), ["1e+06", "sad 1e+300"]),
    "negative": (json.dumps({**GOOD, "sad": -1, "fear": -0.5}), ["sad -1", "fear -0.5"]),
    "nan": (json.dumps({**GOOD, "sad": math.nan}), ["sad nan"]),
    "infinity": (json.dumps({**GOOD, "sad": math.inf}), ["sad inf"]),
    "too large for a float": (json.dumps(GOOD).replace("1.5", "1" * 400), ["weights.json"]),
    "overflowing": (json.dumps(GOOD).replace("1.5", "1e400"), ["disgust inf"]),
    "text": (json.dumps({**GOOD, "sad": "much"}), ["much"]),
    "nothing": (json.dumps({**GOOD, "sad": None}), ["weights.json"]),
    "nested": (json.dumps({**GOOD, "sad": {"x": 1}}), ["weights.json"]),
    "too far apart": (json.dumps({**GOOD, "disgust": 1000}), ["1000 times", "100 is allowed", "max_weight_ratio"]),
    "bytes": (b"\xff\xfe\x00", ["weights.json"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_of_weights_is_refused_in_one_line(kind, fer, fake_zip, tmp_path):
    content, words = BAD[kind]
    path = tmp_path / "weights.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = fer(
        "train", "baseline", "--class-weights", path, "--data", fake_zip, "--runs", tmp_path / "runs", "--set", "batch_size=21"
    )
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == [] and "Errno" not in line
    assert not (tmp_path / "runs").exists()


def test_a_folder_is_no_file_of_weights(fer, fake_zip, tmp_path):
    outcome = fer("train", "baseline", "--class-weights", tmp_path, "--data", fake_zip, "--set", "batch_size=21")
    assert outcome.code == 2 and str(tmp_path) in outcome.err and len(outcome.err.splitlines()) == 1


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights.json").write_text(json.dumps(GOOD), encoding="utf-8")
    counts = dict.fromkeys(EMOTIONS, 1)
    assert class_weights(Loss(class_weights="~/weights.json"), counts) == tuple(GOOD.values())


def test_the_weights_of_a_file_stand_in_the_card(fer, fake_zip, tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    outcome = fer(
        "train", "baseline", "--class-weights", path, "--data", fake_zip, "--runs", tmp_path / "runs", "--epochs", 1,
        "--set", "batch_size=21", "--set", "precision=fp32",
    )  # fmt: skip
    assert outcome.code == 0
    card = checkpoints.load(f"{outcome.out.strip()}/best.pth").card
    assert card.class_weights == tuple(GOOD.values())
    assert card.config["loss"]["class_weights"] == str(path)
