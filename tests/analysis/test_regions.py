"""The whole study on a network that reads one region: tables, landmarks, files, figures that show the numbers of the JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from PIL import Image

from analysis.averages import averages
from analysis.explain import HeatmapTable, Question, explain_set
from analysis.figures import regions as figures
from analysis.passes import load_pass, save_pass
from analysis.regions.face_template import ANCHORS, REGION_COLOURS, REGIONS, regions_from_landmarks, template
from analysis.regions.report import Covered, check_tables, look
from analysis.regions.study import Plan, cover_sample, study, write
from analysis.sampling import balanced
from fer import checkpoint as checkpoints
from fer.data import FaceSet, load
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError, OutputError, UnknownNameError
from tests.analysis.faces_by_region import chance_of, maps_of, reader_of, table_of
from tests.analysis.tables import all_right, all_wrong, one_class
from tests.conftest import REAL_DATA

AREA = np.bincount(template().ravel()) / template().size
TABLE = table_of([("happy", "happy")] * 6 + [("happy", "sad")] * 4 + [("sad", "sad")] * 2 + [("fear", "sad")])
WHERE = ["mouth"] * 3 + ["nose"] * 2 + [""] + ["eyes"] * 4 + ["background"] * 2 + ["all"]


def nothing_covered(table):
    return Covered(np.arange(len(table)), np.zeros((len(table), len(REGIONS))), "grey")


def faces_of(table):
    images = torch.randint(0, 256, (len(table), 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return FaceSet(images, torch.tensor(table.labels), table.names, table.split)


def group_of(report, name, group):
    (found,) = [one for one in report.groups if (one.name, one.group) == (name, group)]
    return found


def test_every_group_has_the_means_of_its_faces():
    report = look(TABLE, maps_of(TABLE, WHERE), nothing_covered(TABLE))
    assert [(g.name, g.group) for g in report.groups] == [(name, g) for name in EMOTIONS for g in ("right", "wrong")]
    right, wrong = group_of(report, "happy", "right"), group_of(report, "happy", "wrong")
    assert (right.n, right.empty, wrong.n, wrong.empty) == (6, 1, 4, 0)
    assert right.mass["mouth"].mean == pytest.approx(3 / 5) and right.mass["nose"].mean == pytest.approx(2 / 5)
    assert right.mass["mouth"].n == 5 and right.mass["eyes"].mean == 0
    assert right.lift["mouth"].mean == pytest.approx(3 / 5 / AREA[REGIONS.index("mouth")])
    assert wrong.mass["eyes"].mean == 1 and wrong.mass["eyes"].ci95 == (1, 1)
    fear = group_of(report, "fear", "wrong")
    assert [fear.lift[region].mean for region in REGIONS] == pytest.approx([1] * len(REGIONS))
    assert fear.lift["eyes"].ci95 is None and group_of(report, "angry", "right").lift["eyes"].mean is None
    assert (report.n, report.empty, report.covered, report.own_regions) == (13, 1, 13, 0)
    assert list(report.area.values()) == pytest.approx(AREA.tolist())


def test_effects_count_only_for_the_faces_that_were_covered():
    effects = np.zeros((2, len(REGIONS)))
    effects[:, REGIONS.index("mouth")] = 0.2, 0.4
    report = look(TABLE, maps_of(TABLE, WHERE), Covered(np.array([1, 6]), effects, "blurred"))
    right, wrong = group_of(report, "happy", "right"), group_of(report, "happy", "wrong")
    assert (right.effect["mouth"].n, right.effect["mouth"].mean) == (1, pytest.approx(0.2))
    assert (wrong.effect["mouth"].n, wrong.effect["mouth"].mean) == (1, pytest.approx(0.4))
    assert right.effect_per_tenth["mouth"].mean == pytest.approx(0.02 / AREA[REGIONS.index("mouth")])
    assert (report.cover, report.covered) == ("blurred", 2)
    assert group_of(report, "sad", "right").effect["mouth"].n == 0


@pytest.mark.parametrize("region", ["mouth", "brows"])
def test_a_network_that_reads_one_region_is_found_out(region):
    checkpoint, faces = reader_of(region), faces_of(TABLE)
    heatmaps = maps_of(TABLE, [region] * len(TABLE))
    report = study(checkpoint, faces, (TABLE, heatmaps), Plan(500))
    group = group_of(report, "happy", "right")
    for name in REGIONS:
        assert (group.lift[name].mean > 0) == (name == region) == (abs(group.effect[name].mean) > 1e-4)
    pixels = faces.images[:6, 0].numpy()[:, template() == REGIONS.index(region)].mean(axis=1) / 255
    by_hand = np.mean([chance_of(value) - chance_of(0.5077) for value in pixels])
    assert group.effect[region].mean == pytest.approx(by_hand, abs=1e-5)


# landmarks


def test_landmarks_move_the_regions_of_maps_and_covers():
    heatmaps = maps_of(TABLE, ["mouth"] * len(TABLE))
    landmarks = np.full((len(TABLE), 5, 2), np.nan)
    landmarks[:6] = ANCHORS + np.array((0, -16))  # the mouth of the template is their chin and what is below it
    report = study(reader_of("mouth"), faces_of(TABLE), (TABLE, heatmaps), Plan(500), landmarks)
    moved = regions_from_landmarks(landmarks[0])
    on_mouth = (moved[template() == REGIONS.index("mouth")] == REGIONS.index("mouth")).mean()
    right, wrong = group_of(report, "happy", "right"), group_of(report, "happy", "wrong")
    assert report.own_regions == 6
    assert right.mass["mouth"].mean == pytest.approx(on_mouth) and on_mouth < 0.1
    assert wrong.mass["mouth"].mean == 1
    assert abs(right.effect["mouth"].mean) < abs(right.effect["background"].mean) and wrong.effect["background"].mean == 0
    both = np.stack([moved] * 6 + [template()] * 7)
    assert report.area["mouth"] == pytest.approx((both == REGIONS.index("mouth")).mean())


def test_landmarks_of_other_faces_are_refused():
    heatmaps = maps_of(TABLE, WHERE)
    with pytest.raises(DataError, match="3 landmarks"):
        study(reader_of("mouth"), faces_of(TABLE), (TABLE, heatmaps), landmarks=np.tile(ANCHORS, (3, 1, 1)))


# tables


def test_maps_of_other_faces_or_classes_are_refused():
    heatmaps = maps_of(TABLE, WHERE)
    for other in (replace(heatmaps, names=heatmaps.names[::-1]), replace(heatmaps, classes=heatmaps.classes[::-1])):
        with pytest.raises(DataError, match="different faces or classes"):
            check_tables(TABLE, other)


def test_maps_of_another_target_are_refused_and_counted():
    targets = np.full(len(TABLE), EMOTIONS.index("sad"))
    with pytest.raises(DataError, match=r"6 of 13 .*\(sad\).*without --target"):
        look(TABLE, replace(maps_of(TABLE, WHERE), targets=targets), nothing_covered(TABLE))


def test_fewer_faces_than_predictions_are_refused():
    faces = faces_of(TABLE).select(torch.arange(4))
    with pytest.raises(DataError, match="13 predictions, 4 faces"):
        study(reader_of("mouth"), faces, (TABLE, maps_of(TABLE, WHERE)))


def test_a_bad_plan_is_refused():
    faces, targets = faces_of(TABLE), TABLE.predicted
    with pytest.raises(ConfigError, match="one face or more"):
        cover_sample(reader_of("mouth"), faces, targets, Plan(faces=0))
    with pytest.raises(UnknownNameError, match="grey"):
        cover_sample(reader_of("mouth"), faces, targets, Plan(cover="paint"))


def test_a_sample_is_covered_evenly_by_class():
    found = cover_sample(reader_of("mouth"), faces_of(TABLE), TABLE.predicted, Plan(faces=5, seed=1))
    assert np.bincount(TABLE.labels[found.rows])[[2, 3, 5]].tolist() == [1, 2, 2]


# files and figures


@pytest.mark.parametrize(
    "table",
    [all_right(), all_wrong(), one_class(), table_of([("fear", "fear")])],
    ids=["no mistake", "nothing but mistakes", "one class", "one image"],
)
def test_every_kind_of_table_gives_files_whose_figures_show_what_there_is(table, tmp_path):
    places = (list(REGIONS) * 3)[: len(table)]
    report = study(reader_of("mouth"), faces_of(table), (table, maps_of(table, places)))
    images = faces_of(table).images.numpy()[:, 0]
    written = write(report, (table, maps_of(table, places)), images, tmp_path / "out")
    strays = [] if not report.background.worst else ["background.png"]
    names = ["regions.json", "template.png", "template-fit.png", "region-bars.png", "region-effects.png", *strays]
    assert [path.name for path in written] == names == [path.name for path in written if path.is_file()]
    for path in written[1:]:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 300
    content = json.loads(written[0].read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(report.to_dict()))
    assert sum(group["n"] for group in content["groups"]) == content["n"] == len(table)


def test_a_picture_of_strays_does_not_outlive_them(tmp_path):
    table = table_of([("happy", "happy"), ("sad", "sad")])
    images = faces_of(table).images.numpy()[:, 0]
    for place, there in (("background", True), ("mouth", False)):
        tables = (table, maps_of(table, [place] * 2))
        written = write(look(*tables, nothing_covered(table)), tables, images, tmp_path)
        assert ((tmp_path / "background.png") in written, (tmp_path / "background.png").exists()) == (there, there)
    (tmp_path / "background.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot remove .*background\.png, which is of an earlier call.*another --out"):
        write(look(*tables, nothing_covered(table)), tables, images, tmp_path)


def test_the_bars_have_the_heights_and_intervals_of_the_json():
    report = look(TABLE, maps_of(TABLE, WHERE), nothing_covered(TABLE))
    content = report.to_dict()
    fig = figures.bars_figure(report)
    lift, drop = np.array(fig.axes[:14]).reshape(7, 2)[EMOTIONS.index("happy")]
    for ax, key in ((lift, "lift"), (drop, "effect")):
        expected, hatched, bounds = [], [], []
        for group in content["groups"]:
            if group["name"] == "happy":
                known = [mean for mean in group[key].values() if mean["n"]]
                expected += [mean["mean"] for mean in known]
                hatched += [group["group"] == "wrong"] * len(known)
                bounds += [mean["ci95"] for mean in known if mean["ci95"]]
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(expected)
        assert [bool(bar.get_hatch()) for bar in ax.patches] == hatched
        assert [tuple(line.get_ydata()) for line in ax.lines[:-1]] == [tuple(pair) for pair in bounds]
        assert [bar.get_facecolor() for bar in ax.patches[:2]] == [to_rgba(REGION_COLOURS[name]) for name in REGIONS[:2]]
        bold = [tick.get_text() for tick in ax.get_xticklabels() if tick.get_fontweight() == "bold"]
        assert bold == ["mouth", "cheeks"]
    assert lift.get_title() == "happy (AU 6+12): 5 right, 4 wrong" and drop.get_title() == "happy (AU 6+12): 6 right, 4 wrong"
    assert "n = 13" in fig.get_suptitle()


def test_a_region_that_counts_is_coloured_red_in_the_face_and_the_others_are_not():
    effects = np.zeros((len(TABLE), len(REGIONS)))
    effects[:, REGIONS.index("mouth")] = 0.5
    report = look(TABLE, maps_of(TABLE, WHERE), Covered(np.arange(len(TABLE)), effects, "grey"))
    found = averages(TABLE, maps_of(TABLE, WHERE), faces_of(TABLE).images.numpy()[:, 0])
    fig = figures.effects_figure(report, found)
    happy, angry = fig.axes[EMOTIONS.index("happy")], fig.axes[EMOTIONS.index("angry")]
    tint = happy.images[1].get_array()
    where = template() == REGIONS.index("mouth")
    np.testing.assert_allclose(tint[where][:, 3], 0.8)
    assert (tint[where][:, 0] > 2 * tint[where][:, 2]).all()
    assert (tint[~where][:, 3] == 0).all()
    assert happy.get_title() == "happy, n = 6" and angry.get_title() == "angry, n = 0" and not angry.images


def test_the_template_is_drawn_with_the_size_of_every_region():
    fig = figures.template_figure(np.zeros((48, 48)), "title")
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert texts == [f"{name} {share:.1%}" for name, share in zip(REGIONS, AREA, strict=True)]
    assert sum(AREA) == pytest.approx(1)
    np.testing.assert_array_equal(fig.axes[0].images[0].get_array(), template())
    assert len(figures.template_figure(None, "title").axes) == 1


# real faces


@pytest.mark.realdata
def test_a_shipped_network_reads_smiles_off_the_mouth_and_not_the_background():
    faces = load(REAL_DATA).split("validation")
    faces = faces.select(torch.from_numpy(balanced(faces.labels.numpy(), 420, seed=0)))
    checkpoint = checkpoints.load("custom_cnn")  # whose maps are fine enough to tell brows from eyes
    tables = explain_set(checkpoint, faces, Question())
    report = study(checkpoint, faces, tables, Plan(70))
    happy = group_of(report, "happy", "right")
    assert happy.n > 20 and report.background.flagged == ()
    assert happy.lift["brows"].ci95[1] < 1 and happy.lift["mouth"].ci95[0] > 1
    assert happy.effect["mouth"].ci95[0] > max(0, happy.effect["brows"].ci95[1])
    (verdict,) = [one for one in report.verdicts if one.name == "happy"]
    assert verdict.lift.sign == verdict.specific.sign == 1
    assert all(group.lift["background"].mean < 0.6 for group in report.groups if group.n > 5)


def test_saved_tables_are_those_that_are_read(checkpoint_file, fake_folder, tmp_path):
    checkpoint, faces = checkpoints.load(checkpoint_file), load(fake_folder).split("validation")
    table, heatmaps = explain_set(checkpoint, faces)
    save_pass(tmp_path, table, heatmaps)
    found = load_pass(tmp_path, checkpoint)
    np.testing.assert_array_equal(found[0].logits, table.logits)
    np.testing.assert_array_equal(found[1].values, heatmaps.values)
    other = HeatmapTable(
        heatmaps.values, heatmaps.peaks, (heatmaps.targets + 1) % 7, heatmaps.classes, heatmaps.method, heatmaps.names
    )
    with pytest.raises(DataError, match="21 of 21"):
        check_tables(table, other)


@pytest.mark.parametrize(
    "question, told",
    [(Question(against="top2"), "a contrast of two classes"), (Question(layers=("block2",)), "layers block2")],
    ids=["contrast", "layers"],
)
def test_maps_of_another_question_are_not_judged(checkpoint_file, fake_folder, question, told):
    table, heatmaps = explain_set(checkpoints.load(checkpoint_file), load(fake_folder).split("validation"), question)
    with pytest.raises(DataError, match=told):
        check_tables(table, heatmaps)
