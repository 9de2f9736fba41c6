"""``fer features``: what it writes, prints and refuses."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

from analysis.learnt.features import FeatureTable
from fer import checkpoint as checkpoints
from fer.data import load
from fer.evaluation import evaluate_checkpoint
from tests import fakes
from tests.conftest import REAL_DATA

PICTURES = ("map.png", "right.png", "neighbours.png", "filters.png", "depth.png")
FILES = ("features.npz", "features.json", "map.json", "filters.json", "depth.json", *PICTURES)


def test_all_is_written_and_named(fer, checkpoint_file, fake_folder, tmp_path):
    outcome = fer("features", "--checkpoint", checkpoint_file, "--data", fake_folder, "--out", tmp_path / "out")
    said = outcome.err.splitlines()
    assert outcome.code == 0 and said[:2] == ["t-SNE of 21 faces", "layercam at every depth"]
    assert sorted(said[2:]) == sorted(f"wrote {tmp_path / 'out' / name}" for name in FILES)
    for name in PICTURES:
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
            assert round(picture.info["dpi"][0]) >= 150 and picture.width > 600
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_the_numbers_are_those_of_the_table(fer, checkpoint_file, fake_folder, tmp_path):
    arguments = ("--checkpoint", checkpoint_file, "--data", fake_folder, "--out", tmp_path, "--json", "--perplexity", 4)
    outcome = fer("features", *arguments)
    assert outcome.code == 0
    content = json.loads(outcome.out)
    assert content == json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))
    found = FeatureTable.load(tmp_path / "features.npz")
    expected = evaluate_checkpoint(checkpoints.load(checkpoint_file), load(fake_folder).split("validation"))
    np.testing.assert_allclose(found.table.logits, expected.logits, atol=1e-5)
    assert content["separation"]["model"]["accuracy"] == accuracy_score(expected.labels, expected.predicted)
    assert (content["n"], content["of"], content["dimensions"], content["map"]["perplexity"]) == (21, 21, 256, 4)
    points = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))
    assert [point["name"] for point in points] == list(expected.names)
    assert [point["label"] for point in points] == [point["name"].split("/")[-2] for point in points]
    depth = json.loads((tmp_path / "depth.json").read_text(encoding="utf-8"))
    assert content["kind"] == "features" and content["depth"] == depth["layers"]
    assert [layer["layer"] for layer in depth["layers"]] == ["block1", "block2", "block3"]
    assert {layer["n"] + layer["empty"] for layer in depth["layers"]} == {21}
    (bank,) = json.loads((tmp_path / "filters.json").read_text(encoding="utf-8"))
    assert content["filters"] == [{key: bank[key] for key in content["filters"][0]}]
    assert bank["layer"] == "block1.0" and bank["n"] == 32 and np.array(bank["filters"]).shape == (32, 3, 3)


def test_a_sample_is_seeded(fer, checkpoint_file, fake_folder, tmp_path):
    names = []
    for seed in (1, 1, 2):
        fer("features", "-c", checkpoint_file, "-d", fake_folder, "--faces", 9, "--seed", seed, "--out", tmp_path)
        names.append(FeatureTable.load(tmp_path / "features.npz").table.names)
    assert names[0] == names[1] != names[2] and len(names[0]) == 9
    content = json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))
    assert (content["n"], content["of"]) == (9, 21)


def test_a_split_with_one_class_only_is_mapped(fer, checkpoint_file, tmp_path):
    rows = [fakes.csv_line("happy", fakes.fake_face("happy", n), "PublicTest") for n in range(8)]
    (tmp_path / "one.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
    outcome = fer("features", "-c", checkpoint_file, "-d", tmp_path / "one.csv", "--out", tmp_path / "out")
    assert outcome.code == 0
    content = json.loads((tmp_path / "out" / "features.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["separation"]["silhouette"] is None and "undefined" in outcome.out


REFUSED = {
    "unknown split": (["--split", "tets"], "known splits"),
    "perplexity of nothing": (["--perplexity", "0"], "perplexity 0"),
    "perplexity that is no number": (["--perplexity", "nan"], "perplexity nan"),
    "perplexity of all faces": (["--perplexity", "21"], "choose about 6"),
    "perplexity of the sample": (["--perplexity", "10", "--faces", "8"], "choose about 2"),
    "too few faces": (["--faces", "4"], "--faces"),
    "too many faces": (["--faces", "10001"], "--faces"),
    "negative seed": (["--seed", "-1"], "--seed"),
    "no checkpoint": (["--checkpoint", "nowhere.pth"], "nowhere.pth"),
    "no data": (["--data", "nowhere.zip"], "nowhere.zip"),
}


@pytest.mark.parametrize("arguments, line", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, line, fer, checkpoint_file, fake_folder, tmp_path):
    given = ["--checkpoint", checkpoint_file, "--data", fake_folder, *arguments]
    outcome = fer("features", *given, "--out", tmp_path / "out")
    assert outcome.code == 2 and outcome.out == ""
    assert len(outcome.err.splitlines()) == 1 and line in outcome.err
    assert not (tmp_path / "out").exists()


def test_too_few_faces_make_no_map(fer, checkpoint_file, tmp_path):
    rows = [fakes.csv_line("happy", fakes.fake_face("happy", n), "PublicTest") for n in range(4)]
    (tmp_path / "four.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
    outcome = fer("features", "-c", checkpoint_file, "-d", tmp_path / "four.csv", "--out", tmp_path / "out")
    assert outcome.code == 2 and outcome.err.startswith("fer: 4 faces make no map") and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_said_before_the_work(fer, checkpoint_file, fake_folder, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    outcome = fer("features", "-c", checkpoint_file, "-d", fake_folder, "--out", tmp_path / "file" / "out")
    assert outcome.code == 2 and outcome.err.startswith("fer: cannot make") and "t-SNE" not in outcome.err


@pytest.mark.realdata
def test_the_shipped_networks_features_hold_more_than_pixels(fer, tmp_path):
    outcome = fer("features", "--data", REAL_DATA, "--faces", 600, "--out", tmp_path, "--json")
    found = json.loads(outcome.out)["separation"]
    assert found["votes"]["features"]["accuracy"] > found["votes"]["pixels"]["accuracy"] + 0.2
    assert found["votes"]["features"]["accuracy"] > found["most_frequent"] + 0.2
    silhouettes = {name: one["silhouette"] for name, one in found["per_class"].items()}
    assert set(sorted(silhouettes, key=silhouettes.get)[-2:]) == {"happy", "surprise"}
