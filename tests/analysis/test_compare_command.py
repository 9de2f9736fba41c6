"""``fer compare``: what it runs, writes, prints and refuses."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scipy import stats

from analysis import tables as asked
from analysis.compare import Comparison
from analysis.disagreement import Gallery, galleries, map_similarities
from analysis.explain import explain
from analysis.figures import comparison as comparison_figure
from analysis.figures import disputes
from analysis.passes import check_maker
from analysis.sampling import sample
from analysis.tables import display_names, tables_of
from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError
from fer.evaluation import evaluate_checkpoint
from fer.types import PredictionTable
from tests.conftest import REAL_DATA, save_random


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two nets with random weights, both called best, as training names them."""
    root = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("first", "second")):
        (root / name).mkdir()
        save_random(root / name / "best.pth", seed=seed)
    return [root / name / "best.pth" for name in ("first", "second")]


@pytest.fixture
def models(files):
    return {name: checkpoints.load(path) for name, path in zip("ab", files, strict=True)}


@pytest.fixture
def faces(fake_zip):
    return load(fake_zip).split("validation")


# tables


def test_a_saved_table_is_taken_instead_of_running_its_model(models, faces, tmp_path, monkeypatch):
    saved = tmp_path / "b.npz"
    evaluate_checkpoint(models["b"], faces).save(saved)
    ran = []
    monkeypatch.setattr(asked, "evaluate_checkpoint", lambda model, *_: ran.append(model) or evaluate_checkpoint(model, faces))
    tables = tables_of(models, faces, [saved])
    assert ran == [models["a"]] and list(tables) == ["a", "b"]
    np.testing.assert_array_equal(tables["b"].logits, evaluate_checkpoint(models["b"], faces).logits)


def test_a_table_of_fewer_classes_is_of_the_faces_that_its_model_knows(models, faces, tmp_path):
    net = models["a"]
    two = replace(net, model=net.card.spec.build(2, 0.2).eval(), card=replace(net.card, classes=("happy", "sad")))
    evaluate_checkpoint(two, faces).save(tmp_path / "two.npz")
    assert tables_of({"two": two}, faces, [tmp_path / "two.npz"])["two"].classes == ("happy", "sad")


@pytest.mark.parametrize("source, words", [({"format": "onnx-int8"}, "exported as onnx-int8"), ({"tta": "flip"}, "--tta flip")])
def test_a_table_of_another_kind_of_answer_is_refused(source, words, models, faces, tmp_path):
    table = evaluate_checkpoint(models["a"], faces)
    replace(table, source={**table.source, **source}).save(tmp_path / "a.npz")
    with pytest.raises(DataError, match=words):
        tables_of(models, faces, [tmp_path / "a.npz"])
    with pytest.raises(ConfigError, match=words):
        check_maker(PredictionTable.load(tmp_path / "a.npz"), models["a"], tmp_path / "a.npz")


def test_rows_of_a_saved_table_stand_in_the_order_of_the_faces(models, faces, tmp_path):
    expected = evaluate_checkpoint(models["a"], faces)
    expected.rows(np.arange(len(faces))[::-1]).save(tmp_path / "a.npz")
    found = tables_of(models, faces, [tmp_path / "a.npz"])["a"]
    assert found.names == faces.names
    np.testing.assert_array_equal(found.logits, expected.logits)
    replace(expected, names=tuple(f"row {row}" for row in range(len(faces)))).save(tmp_path / "b.npz")
    with pytest.raises(DataError, match="of other faces"):
        tables_of(models, faces, [tmp_path / "b.npz"])


def test_the_same_weights_twice_are_refused(models, faces):
    with pytest.raises(ConfigError, match="a and c are the same weights"):
        tables_of({"a": models["a"], "b": models["b"], "c": models["a"]}, faces)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.pth", "x/b.pth"], ["a", "b"]),
        (["runs/1/best.pth", "runs/2/best.pth"], ["1/best", "2/best"]),
        (["u/1/best.pth", "v/1/best.pth", "v/2/best.pth"], ["u/1/best", "v/1/best", "v/2/best"]),
    ],
)
def test_names_are_as_short_as_can_be(paths, names):
    assert display_names([Path(path) for path in paths]) == names


def test_a_network_of_a_run_is_called_as_the_run(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    runs = [tmp_path / name / "best.pth" for name in ("one", "two")]
    assert display_names([*runs, Path("fast_cnn.pth")]) == ["one", "two", "fast_cnn"]
    assert display_names([runs[0], tmp_path / "one.pth"]) == ["best", "one"]
    with pytest.raises(ConfigError, match="a file is named twice"):
        display_names([runs[0], runs[0]])


# galleries and maps


def test_a_gallery_shows_both_opinions_with_their_own_maps(models, faces):
    tables = tables_of(models, faces)
    (gallery,) = galleries(models, tables, faces, "gradcam", shown=4)
    differ = tables["a"].predicted != tables["b"].predicted
    assert (gallery.a, gallery.b, gallery.n, gallery.differ) == ("a", "b", 21, int(differ.sum()))
    assert 0 < len(gallery.shown) <= 4
    for dispute in gallery.shown:
        row = faces.names.index(dispute.name)
        assert dispute.a.label != dispute.b.label and dispute.truth == EMOTIONS[faces.labels[row]]
        assert np.array_equal(dispute.face, faces.images[row, 0].numpy())
        for opinion, name in ((dispute.a, "a"), (dispute.b, "b")):
            assert opinion.label == EMOTIONS[tables[name].predicted[row]] == opinion.heatmap.target
            assert opinion.confidence == pytest.approx(tables[name].probs[row].max())
            (expected,) = explain(models[name], faces.images[row : row + 1], opinion.label)
            np.testing.assert_allclose(opinion.heatmap.values, expected.values, atol=1e-4)
    json.dumps(gallery.to_dict(), allow_nan=False)


def test_the_similarity_of_maps_is_that_of_the_same_target(models, faces):
    table, rows = evaluate_checkpoint(models["a"], faces), torch.tensor([1, 5, 9])
    (found,) = map_similarities(models, table, faces, rows, "gradcam")
    targets = [EMOTIONS[label] for label in faces.labels[rows]]
    maps = [[heatmap.values.ravel() for heatmap in explain(models[name], faces.images[rows], targets)] for name in "ab"]
    each = [stats.pearsonr(x, y).statistic for x, y in zip(*maps, strict=True) if x.std() and y.std()]
    assert (found["a"], found["b"], found["n"], found["target"]) == ("a", "b", 3, "label")
    assert found["empty"] == 3 - len(each)
    assert found["pearson"] == pytest.approx(np.mean(each), abs=1e-4)


def test_a_sample_is_seeded_in_order_and_never_larger_than_all():
    assert sample(10, 99, seed=0).tolist() == list(range(10))
    chosen = sample(1000, 50, seed=3)
    assert len(chosen.unique()) == 50 and torch.equal(chosen, chosen.sort().values)
    assert torch.equal(chosen, sample(1000, 50, seed=3)) and not torch.equal(chosen, sample(1000, 50, seed=4))


# figures


def comparison_of(labels, *answers):
    tables = {}
    for name, given in zip("abc", answers, strict=False):
        logits = np.eye(3)[given] * 4
        names = tuple(map(str, range(len(labels))))
        tables[name] = PredictionTable(logits, labels, names, ("angry", "fear", "happy"), "validation")
    return Comparison.of(tables)


def test_the_figure_shows_every_number_with_its_interval():
    comparison = comparison_of([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1])
    left, *panels = comparison_figure.figure(comparison).axes
    assert [text.get_text() for text in left.texts] == ["75.00%", "75.00%", "100.00%"]
    assert "n = 4" in left.get_title() and len(panels) == 3
    for ax, pair in zip(panels, comparison.pairs, strict=True):
        points = [line.get_xdata()[0] for line in ax.lines[1:] if len(line.get_xdata()) == 1]
        deltas = [delta.difference for delta in pair.per_class.values() if delta.n]
        assert points == pytest.approx([100 * value for value in (pair.difference, *deltas)])
        assert [text.get_text() for text in ax.texts] == ["no face"]  # happy
        assert "n = 4" in ax.get_title() and ax.get_xlabel()


def test_names_of_ordinary_runs_are_not_printed_over_each_other():
    names = [f"2025-06-0{day}T10-11-12-{kind}-scratch/best" for day, kind in enumerate(("custom_cnn", "baseline", "resnet18"))]
    found = comparison_of([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1])
    called = dict(zip("abc", names, strict=True))
    scores = tuple(replace(score, name=called[score.name]) for score in found.models)
    pairs = tuple(replace(pair, a=called[pair.a], b=called[pair.b]) for pair in found.pairs)
    figure = comparison_figure.figure(replace(found, models=scores, pairs=pairs))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    words = [text for ax in figure.axes for text in (ax.title, ax.xaxis.label, *ax.get_yticklabels())]
    places = [text.get_window_extent(canvas.get_renderer()) for text in words]
    assert not [(a, b) for a, b in itertools.combinations(places, 2) if a.overlaps(b)]
    for pair, ax in zip(pairs, figure.axes[1:], strict=True):
        assert ax.get_title().splitlines()[:2] == [pair.b, f"− {pair.a}"]


def test_without_a_dispute_the_gallery_says_so():
    figure = disputes.figure(Gallery("a", "b", "validation", 5, 0, ()))
    assert figure.get_suptitle() == "a and b: 0 of 5 validation faces are answered differently"
    assert not any(ax.images for ax in figure.axes)


# the command


def test_all_is_written_and_printed(fer, files, fake_zip, tmp_path):
    outcome = fer("compare", *files, "--data", fake_zip, "--out", tmp_path / "out", "--maps", "5", "--json")
    assert outcome.code == 0
    content = json.loads(outcome.out, parse_constant=pytest.fail)
    assert content == json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in content["models"]] == ["first/best", "second/best"]
    assert content["map_similarity"][0]["n"] == 5 and set(content["sources"]) == {"first/best", "second/best"}
    for path, model in zip(files, content["models"], strict=True):
        metrics = json.loads(fer("evaluate", "--checkpoint", path, "--data", fake_zip, "--json").out)
        assert (metrics["accuracy"], metrics["ci95"], metrics["n"]) == (model["accuracy"], model["ci95"], model["n"])
    (gallery,) = json.loads((tmp_path / "out" / "disagreements.json").read_text(encoding="utf-8"))
    assert gallery["differ"] == round(21 * (1 - content["pairs"][0]["agreement"]))
    for name in ("compare.png", "disagreements-first_best-second_best.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert round(picture.info["dpi"][0]) >= 150
        assert f"wrote {tmp_path / 'out' / name}" in outcome.err


def test_without_json_the_same_is_printed_for_people(fer, files, fake_zip, tmp_path):
    out = fer("compare", *files, "--data", fake_zip, "--out", tmp_path, "--maps", "0").out
    pair = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))["pairs"][0]
    assert f"{100 * pair['difference']:+.2f}" in out and "McNemar" in out and "correlation" not in out
    assert all(name in out for name in (*EMOTIONS, "first/best", "second/best"))


def test_saved_tables_give_the_same_comparison(fer, files, fake_zip, tmp_path):
    for number, path in enumerate(files):
        fer("evaluate", "--checkpoint", path, "--data", fake_zip, "--table", tmp_path / f"{number}.npz")
    saved = ["--table", tmp_path / "1.npz", "--table", tmp_path / "0.npz"]
    one, other = (
        json.loads(fer("compare", *files, "--data", fake_zip, "--out", tmp_path, "--maps", "3", "--json", *more).out)
        for more in ([], saved)
    )
    assert one == other


def test_a_single_face_is_compared(fer, files, tmp_path):
    from tests import fakes

    row = fakes.csv_line("happy", fakes.fake_face("happy", 1), "PublicTest")
    (tmp_path / "one.csv").write_text(f"emotion,pixels,Usage\n{row}\n", encoding="utf-8")
    outcome = fer("compare", *files, "--data", tmp_path / "one.csv", "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out, parse_constant=pytest.fail)["n"] == 1


@pytest.fixture
def strange(files, fake_zip, fer, tmp_path, checkpoint_file):
    """What the command refuses: its arguments, and words of the line."""
    copy = Path(shutil.copy(files[0], tmp_path / "copy.pth"))
    fewer, third = tmp_path / "fewer.pth", save_random(tmp_path / "third.pth", seed=2)
    card = checkpoints.load(files[0]).card
    small = replace(card, classes=EMOTIONS[:5])
    checkpoints.save(fewer, card.spec.build(5, 0.2).state_dict(), small)
    fer("evaluate", "--checkpoint", files[0], "--data", fake_zip, "--split", "test", "--table", tmp_path / "test.npz")
    fer("evaluate", "--checkpoint", checkpoint_file, "--data", fake_zip, "--table", tmp_path / "random.npz")
    (tmp_path / "bad.npz").write_bytes(b"no table")
    data = ["--data", fake_zip]
    return {
        "one checkpoint": ([files[0], *data], ["two or more"]),
        "none": (data, ["checkpoints", "fer compare --help"]),
        "the same file twice": ([files[0], files[0], *data], ["named twice"]),
        "the same weights twice": ([files[0], copy, *data], ["same weights"]),
        "no such checkpoint": ([files[0], "nobody", *data], ["nobody", "custom_cnn"]),
        "other classes": ([files[0], fewer, *data], ["same classes"]),
        "no data": ([*files, "--data", tmp_path / "nothing.zip"], ["nothing.zip"]),
        "no such split": ([*files, *data, "--split", "PublicTest"], ["PublicTest", "validation"]),
        "no such method": ([*files, *data, "--method", "lime"], ["lime", "gradcam"]),
        "a table of other faces": ([*files, *data, "--table", tmp_path / "test.npz"], ["test.npz", "other faces"]),
        "a table of another model": ([*files[1:], third, *data, "--table", tmp_path / "random.npz"], ["random.npz", "not of"]),
        "no table": ([*files, *data, "--table", tmp_path / "bad.npz"], ["bad.npz", "no prediction table"]),
        "no table at all": ([*files, *data, "--table", tmp_path / "gone.npz"], ["gone.npz"]),
    }


KINDS = (
    "one checkpoint", "none", "the same file twice", "the same weights twice", "no such checkpoint", "other classes", "no data",
    "no such split", "no such method", "a table of other faces", "a table of another model", "no table", "no table at all",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_compared_is_one_line(kind, strange, fer, tmp_path):
    assert set(KINDS) == set(strange)
    arguments, words = strange[kind]
    outcome = fer("compare", *arguments, "--out", tmp_path / "out")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and not (tmp_path / "out").exists()
    assert line.startswith("fer: ") and all(word in line for word in words), line


@pytest.mark.parametrize("kind", ["other classes", "a method that does not fit", "robustness", "mistakes", "regions"])
def test_what_does_not_fit_is_said_before_the_faces_are_read(kind, files, fer, tmp_path):
    fewer, nowhere = tmp_path / "fewer.pth", tmp_path / "nowhere.zip"
    card = replace(checkpoints.load(files[0]).card, classes=EMOTIONS[:5])
    checkpoints.save(fewer, card.spec.build(5, 0.2).state_dict(), card)
    arguments, words = {
        "other classes": (["compare", files[0], fewer], "fewer knows angry, disgust, fear, happy, neutral, best knows"),
        "a method that does not fit": (["compare", *files, "--method", "rollout"], "choose another method"),
        **{
            name: ([name, "-c", files[0], "--method", "rollout"], "choose another method")
            for name in ("robustness", "mistakes", "regions")
        },
    }[kind]
    outcome = fer(*arguments, "--data", nowhere, "--out", tmp_path / "out")
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and words in line and not (tmp_path / "out").exists()


@pytest.mark.realdata
def test_the_released_models_on_real_faces(fer, tmp_path):
    outcome = fer("compare", "baseline", "custom_cnn", "--data", REAL_DATA, "--out", tmp_path, "--maps", "32", "--json")
    content = json.loads(outcome.out)
    for model in content["models"]:
        card = checkpoints.load(model["name"]).card
        assert model["accuracy"] == pytest.approx(card.metrics["validation"]["accuracy"], abs=0.002)
    (pair,) = content["pairs"]
    assert pair["ci95"][0] < pair["difference"] < pair["ci95"][1]
    assert pair["only_a"] + pair["only_b"] + pair["both_right"] + pair["both_wrong"] == content["n"] == 3589
