"""``fer regions`` from the command line: what it writes and prints, what it refuses."""

import json

import numpy as np
import pytest

from analysis.explain import HeatmapTable
from analysis.regions.face_template import REGIONS
from fer import released
from fer.emotions import EMOTIONS
from fer.types import PredictionTable
from tests import fakes
from tests.conftest import save_random

TABLES = {"predictions.npz", "predictions.json", "heatmaps.npz"}
FILES = ["regions.json", "template.png", "template-fit.png", "region-bars.png", "region-effects.png"]


@pytest.fixture
def maps(fer, fake_zip, checkpoint_file, tmp_path):
    """A folder that ``fer explain --data`` has written."""
    folder = tmp_path / "maps"
    assert fer("explain", "--data", fake_zip, "--checkpoint", checkpoint_file, "--out", folder).code == 0
    return folder


@pytest.fixture
def asked(fake_zip, checkpoint_file, tmp_path):
    """The options of a study of the fake set."""
    return ["regions", "--data", fake_zip, "--checkpoint", checkpoint_file, "--out", tmp_path / "out"]


def written(outcome, folder):
    names = [line.rsplit("/", 1)[-1] for line in outcome.err.splitlines()]
    assert all((folder / name).is_file() for name in names)
    return names


def test_without_maps_the_set_is_explained_and_the_tables_kept(fer, asked, tmp_path):
    outcome = fer(*asked, "--json")
    assert outcome.code == 0
    assert [name for name in written(outcome, tmp_path / "out") if name != "background.png"] == FILES
    assert {path.name for path in (tmp_path / "out").iterdir()} - {"background.png"} == {*FILES, *TABLES}
    printed = json.loads(outcome.out)
    assert printed == json.loads((tmp_path / "out" / "regions.json").read_text(encoding="utf-8"))
    assert printed["n"] == printed["covered"] == 21 and printed["split"] == "validation" and printed["method"] == "gradcam"
    assert [(group["name"], group["group"]) for group in printed["groups"]] == [
        (name, group) for name in EMOTIONS for group in ("right", "wrong")
    ]
    for group in printed["groups"]:
        for key in ("mass", "lift", "effect", "effect_per_tenth"):
            assert list(group[key]) == list(REGIONS) and all(list(m) == ["n", "mean", "ci95"] for m in group[key].values())
    assert sum(printed["area"].values()) == pytest.approx(1)
    table = PredictionTable.load(tmp_path / "out" / "predictions.npz")
    assert (
        sum(group["n"] for group in printed["groups"] if group["group"] == "right") == (table.predicted == table.labels).sum()
    )


def test_saved_maps_give_the_same_and_the_network_explains_nothing(fer, asked, maps, monkeypatch):
    fresh = json.loads(fer(*asked, "--json").out)
    for name in ("explain_set", "check"):  # a network that the method does not fit has maps of another one there
        monkeypatch.setattr(f"analysis.explain.{name}", None)
    outcome = fer(*asked, "--from", maps, "--json")
    assert outcome.code == 0 and json.loads(outcome.out) == fresh


def test_the_tables_say_areas_groups_verdicts_and_the_background(fer, asked, maps):
    out = fer(*asked, "--from", maps, "--faces", 7, "--cover", "blurred").out
    for text in ("n = 21", "covered (blurred): 7", "32.25 %", "right", "wrong", "cheeks", "looks at the background"):
        assert text in out
    assert "happy: AU 6+12 move mouth and cheeks" in out and "neutral: no action unit is expected" in out


def test_another_method_is_asked_for_and_named(fer, asked):
    assert json.loads(fer(*asked, "--method", "layercam", "--json").out)["method"] == "layercam"


@pytest.mark.parametrize(
    "labels", [["happy"], ["happy", "happy"], ["fear", "sad"]], ids=["one image", "one class", "two classes"]
)
def test_small_sets_are_judged_as_far_as_they_go(labels, fer, checkpoint_file, tmp_path):
    for number, label in enumerate(labels):
        path = tmp_path / "set" / "test" / label / f"PublicTest_{number:08}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fakes.encoded(fakes.fake_face(label, number)))
    outcome = fer("regions", "--data", tmp_path / "set", "--checkpoint", checkpoint_file, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found["n"] == len(labels)
    known = [group for group in found["groups"] if group["n"]]
    assert {group["name"] for group in known} == set(labels)
    assert all(
        verdict["lift"]["n"] <= len(labels) and "too few" in verdict["words"]
        for verdict in found["verdicts"]
        if verdict["units"]
    )


# bad input


def other_checkpoint(maps, tmp_path):
    save_random(tmp_path / "other.pth", seed=1)
    return ["--checkpoint", tmp_path / "other.pth"]


def another_target(maps, tmp_path):
    heatmaps = HeatmapTable.load(maps / "heatmaps.npz")
    fields = (heatmaps.classes, heatmaps.method, heatmaps.names)
    HeatmapTable(heatmaps.values, heatmaps.peaks, (heatmaps.targets + 1) % 7, *fields).save(maps / "heatmaps.npz")
    return []


def other_faces(maps, tmp_path):
    table = PredictionTable.load(maps / "predictions.npz")
    table.rows(np.arange(20)).save(maps / "predictions.npz")
    return []


def other_labels(maps, tmp_path):
    table = PredictionTable.load(maps / "predictions.npz")
    PredictionTable(table.logits, (table.labels + 1) % 7, table.names, table.classes, table.split, table.source).save(
        maps / "predictions.npz"
    )
    return []


def no_heatmaps(maps, tmp_path):
    (maps / "heatmaps.npz").unlink()
    return []


def torn_heatmaps(maps, tmp_path):
    (maps / "heatmaps.npz").write_bytes((maps / "heatmaps.npz").read_bytes()[:300])
    return []


def other_data(maps, tmp_path):
    return ["--data", fakes.write_zip(tmp_path / "other.zip", train=1, validation=1)]


BAD_MAPS = {
    "no folder": (lambda maps, tmp_path: ["--from", tmp_path / "nowhere"], ["nowhere", "fer evaluate"]),
    "no heatmaps": (no_heatmaps, ["heatmaps.npz", "fer explain --data"]),
    "torn heatmaps": (torn_heatmaps, ["heatmaps.npz", "fer explain --data"]),
    "another target": (another_target, ["21 of 21", "without --target"]),
    "other faces": (other_faces, ["different faces", "fer explain --data"]),
    "other labels": (other_labels, ["name the data set"]),
    "other data": (other_data, ["other.zip", "name the data set"]),
    "other checkpoint": (other_checkpoint, ["random", "other", "--checkpoint"]),
    "another split": (lambda maps, tmp_path: ["--split", "test"], ["validation", "--split validation"]),
    "another method": (lambda maps, tmp_path: ["--method", "layercam"], ["gradcam", "layercam", "leave out"]),
}


@pytest.mark.parametrize("kind", BAD_MAPS)
def test_maps_that_do_not_belong_are_refused(kind, fer, asked, maps, tmp_path):
    damage, names = BAD_MAPS[kind]
    outcome = fer(*asked, "--from", maps, *damage(maps, tmp_path))
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and all(name in line for name in names)
    assert not (tmp_path / "out").exists()


BAD_OPTIONS = {
    "cover": (["--cover", "paint"], ["paint", "grey", "blurred"]),
    "faces": (["--faces", "0"], ["--faces", "equal to 1"]),
    "method": (["--method", "lime"], ["lime", "gradcam"]),
    "split": (["--split", "PublicTest"], ["PublicTest", "train, validation"]),
    "checkpoint": (["--checkpoint", "nobody"], ["nobody"]),
    "data": (["--data", "nowhere.zip"], ["nowhere.zip"]),
}


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_options_that_cannot_be_are_refused_before_anything_is_done(kind, fer, asked, tmp_path):
    options, names = BAD_OPTIONS[kind]
    outcome = fer(*asked, *options)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert all(name in line for name in names) and not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_kept(fer, asked, maps, tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    outcome = fer(*asked, "--from", maps)
    assert outcome.code == 2 and outcome.out == "" and "choose another" in outcome.err
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_the_shipped_network_is_the_default(fer, fake_zip, tmp_path):
    outcome = fer("regions", "--data", fake_zip, "--out", tmp_path, "--faces", "7", "--json")
    assert json.loads(outcome.out)["checkpoint"] == released.default_name()
