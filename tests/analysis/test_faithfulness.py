"""Measures of faithfulness against loops written out by hand, the package, and evidence planted where it must be found."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam.metrics.road import ROADCombined
from scipy import stats
from torch import nn

from analysis.explain import Question, explain, explain_set
from analysis.faithfulness import Estimate, Plan, Rating, Report, Subject, blob_maps, random_maps, rate, without_training
from analysis.figures import faithfulness as chart
from analysis.learnt.features import heads
from analysis.means import Mean
from analysis.perturbation import GREY, MEASURES, PERCENTILES, STEPS, Scores, ranks
from analysis.report.extras import read_extras, refuse_other_checkpoint
from fer import checkpoint as checkpoints
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.models import MODELS
from fer.types import Preprocess
from tests.conftest import ROOT, save_random
from tests.elsewhere import Elsewhere, brought

HAPPY = EMOTIONS.index("happy")
#: A square whose brightness alone decides.
TOP, LEFT, SIDE = 6, 30, 8


class Square(nn.Module):
    """Logit of happy: brightness of one square; all others 0."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, len(EMOTIONS))
        with torch.no_grad():
            self.head.weight.zero_()[HAPPY] = 6.0
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x[:, :, TOP : TOP + SIDE, LEFT : LEFT + SIDE].mean(dim=(1, 2, 3))[:, None])


def square_checkpoint(temperature: float = 1.0) -> Checkpoint:
    card = Card("baseline", "small", EMOTIONS, Preprocess(mean=(GREY,), std=(0.25,)), temperature=temperature)
    return Checkpoint(Square().eval(), card, "square")


def some_faces(n: int = 4) -> torch.Tensor:
    faces = torch.rand(n, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    faces[..., TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 0.9
    return faces


def knowing_maps(n: int) -> np.ndarray:
    maps = np.zeros((n, 48, 48), np.float32)
    maps[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 1
    return maps


def probability(checkpoint: Checkpoint, face: np.ndarray) -> float:
    """Of happy, straight from the square: independent of the code under test."""
    z = 6 * (face[TOP : TOP + SIDE, LEFT : LEFT + SIDE].mean() - GREY) / 0.25 / checkpoint.card.temperature
    return float(np.exp(z) / (np.exp(z) + len(EMOTIONS) - 1))


def by_loop(checkpoint: Checkpoint, face: np.ndarray, heat: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """Trapezoid area of the score while ``start`` turns into ``end``, hottest pixels first."""
    order, current, found = np.argsort(-heat.ravel(), kind="stable"), start.copy(), []
    for step in range(STEPS + 1):
        count = step * heat.size // STEPS
        current.ravel()[order[:count]] = end.ravel()[order[:count]]
        found.append(probability(checkpoint, current))
    return sum((a + b) / 2 for a, b in itertools.pairwise(found)) / STEPS


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_deletion_equals_a_loop(temperature):
    checkpoint, faces = square_checkpoint(temperature), some_faces()
    maps = np.random.default_rng(2).permuted(np.tile(np.linspace(0, 1, 48 * 48), (4, 1)), axis=1).reshape(4, 48, 48)
    found = MEASURES["deletion"].run(Scores(checkpoint), faces, torch.tensor(maps), torch.full((4,), HAPPY))
    for face, heat, value in zip(faces.numpy()[:, 0], maps, found, strict=True):
        assert float(value) == pytest.approx(by_loop(checkpoint, face, heat, face, np.full_like(face, GREY)), abs=1e-4)


def test_insertion_equals_a_loop_from_a_blurred_face():
    from scipy.ndimage import gaussian_filter

    checkpoint, faces = square_checkpoint(), some_faces()
    maps = np.random.default_rng(3).permuted(np.tile(np.linspace(0, 1, 48 * 48), (4, 1)), axis=1).reshape(4, 48, 48)
    found = MEASURES["insertion"].run(Scores(checkpoint), faces, torch.tensor(maps), torch.full((4,), HAPPY))
    for face, heat, value in zip(faces.numpy()[:, 0], maps, found, strict=True):
        blurred = gaussian_filter(face, 6.0, mode="nearest", truncate=3.0)
        assert float(value) == pytest.approx(by_loop(checkpoint, face, heat, blurred, face), abs=1e-3)


def test_average_drop_and_increase_are_those_of_the_faded_face():
    checkpoint, faces = square_checkpoint(), some_faces()
    faces[0, :, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 0.1  # fading its dark square to grey raises the score
    maps = torch.rand(4, 48, 48, generator=torch.Generator().manual_seed(4))
    scores, targets = Scores(checkpoint), torch.full((4,), HAPPY)
    drop, rise = (MEASURES[name].run(scores, faces, maps, targets) for name in ("average drop", "increase"))
    for i, (face, heat) in enumerate(zip(faces.numpy()[:, 0], maps.numpy(), strict=True)):
        before, after = probability(checkpoint, face), probability(checkpoint, GREY + (face - GREY) * heat)
        assert float(drop[i]) == pytest.approx(max(0, before - after) / before, abs=1e-4)
        assert float(rise[i]) == float(after > before)
    assert rise.tolist() == [1, 0, 0, 0]


def test_road_is_the_packages(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)  # the noise that it fills in with
    checkpoint, faces = square_checkpoint(), some_faces(3)
    maps = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(5))
    scores = Scores(checkpoint)
    expected = ROADCombined(percentiles=list(PERCENTILES))(faces, maps.numpy(), [lambda probs: probs[HAPPY]] * 3, scores)
    found = MEASURES["ROAD"].run(scores, faces, maps, torch.full((3,), HAPPY))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-4


def test_equal_pixels_are_not_taken_in_reading_order():
    order = ranks(torch.zeros(1, 48, 48))[0]
    assert sorted(order.flatten().tolist()) == pytest.approx([i / 2304 for i in range(2304)])
    assert abs(float(order[:24].mean()) - 0.5) < 0.05


@pytest.mark.parametrize("name", [name for name in MEASURES if MEASURES[name].ranks])
def test_the_map_that_knows_is_better_than_blob_and_chance_and_its_opposite_worse(name):
    faces = FaceSet((some_faces(12) * 255).byte(), torch.full((12,), HAPPY), tuple(map(str, range(12))), "validation")
    subject = Subject.of(square_checkpoint(), faces, Plan(("gradcam",), 12))
    assert subject.targets.tolist() == [HAPPY] * 12
    sign = 1 if MEASURES[name].higher_is_better else -1
    knowing, opposite, blob, *randoms = (
        sign * subject.measured(maps)[name]
        for maps in (knowing_maps(12), 1 - knowing_maps(12), blob_maps(12), *(random_maps(12, seed) for seed in range(5)))
    )
    chance = np.mean(randoms, axis=0)  # one random map of a face may hide the square by luck
    assert (knowing > blob + 0.05).all() and (knowing >= chance).all() and knowing.mean() > chance.mean() + 0.05
    assert opposite.mean() < min(blob.mean(), chance.mean())


def test_the_blob_is_centred_and_knows_no_face():
    maps = blob_maps(3)
    assert maps.shape == (3, 48, 48) and maps.max() <= 1 and (maps[0] == maps[2]).all()
    np.testing.assert_allclose(maps[0], maps[0][::-1, ::-1], atol=1e-6)
    assert np.unravel_index(maps[0].argmax(), (48, 48)) in [(23, 23), (23, 24), (24, 23), (24, 24)]


def test_intervals_are_those_of_scipys_bootstrap():
    values = np.random.default_rng(6).gamma(2.0, size=80)
    found = Estimate.of(values, seed=0)
    expected = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.low, abs=0.03) and found.high == pytest.approx(expected.high, abs=0.03)


@pytest.fixture
def faces(fake_folder):
    from fer.data import load

    return load(fake_folder).split("validation")


def test_a_report_compares_with_both_baselines_face_by_face(checkpoint_file, faces):
    checkpoint, told = checkpoints.load(checkpoint_file), []
    plan = Plan(("gradcam",), 10, seed=3)
    (report,) = rate(checkpoint, faces, plan, checkpoint, lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1] == 3 * len(MEASURES)
    subject = Subject.of(checkpoint, faces, plan)
    own, blob, chance = (
        subject.measured(m) for m in (subject.maps(Question(method="gradcam")), blob_maps(10), random_maps(10, 3))
    )
    for name, rating in report.ratings.items():
        sign = 1 if MEASURES[name].higher_is_better else -1
        assert rating.value.mean == pytest.approx(own[name].mean())
        assert rating.over_blob.mean == pytest.approx(sign * (own[name] - blob[name]).mean(), abs=1e-9)
        assert rating.over_random.mean == pytest.approx(sign * (own[name] - chance[name]).mean(), abs=1e-9)
    assert report.n == 10 and report.other_seed == pytest.approx(1.0)


def test_every_layer_is_measured_apart(checkpoint_file, faces):
    checkpoint = checkpoints.load(checkpoint_file)
    plan = Plan(("gradcam",), 6, layers=("each",))
    reports = rate(checkpoint, faces, plan)
    assert [report.layer for report in reports] == ["block1", "block2", "block3"]
    assert [report.name for report in reports] == [f"{checkpoint.name} gradcam at block{n}" for n in (1, 2, 3)]
    subject = Subject.of(checkpoint, faces, plan)
    names = tuple(EMOTIONS[target] for target in subject.targets.tolist())
    for report in reports:
        _, maps = explain_set(checkpoint, subject.faces, Question(names, "gradcam", layers=(report.layer,)))
        own = subject.measured(maps.values.astype(np.float32))
        assert {name: rating.value.mean for name, rating in report.ratings.items()} == pytest.approx(
            {name: values.mean() for name, values in own.items()}
        )
    (declared,) = rate(checkpoint, faces, replace(plan, layers=()))
    assert declared.layer == "" and declared.ratings["ROAD"].value.mean == pytest.approx(reports[2].ratings["ROAD"].value.mean)


def test_layers_stand_in_table_file_picture_and_report(fer, checkpoint_file, fake_folder, tmp_path):
    words = ["faithfulness", checkpoint_file, "-d", fake_folder, "-m", "layercam", "--faces", 4, "--out", tmp_path / "out"]
    outcome = fer(*words, "--layer", "block1", "--layer", "block3")
    assert outcome.code == 0 and "layercam at block1" in outcome.out and "layercam at block3" in outcome.out
    content = json.loads((tmp_path / "out" / "faithfulness.json").read_text(encoding="utf-8"))
    assert [report["layer"] for report in content["reports"]] == content["layers"] == ["block1", "block3"]
    (extra,) = read_extras([tmp_path / "out"]).values()
    assert [report.way for report in extra.value] == ["layercam at block1", "layercam at block3"]
    drawn = chart.figure(extra.value, "")
    assert [text.get_text().split(" ", 1)[1] for text in drawn.axes[0].get_yticklabels()] == [r.way for r in extra.value]


def test_randomising_touches_what_it_says_and_not_the_checkpoint(checkpoint_file, faces):
    checkpoint = checkpoints.load(checkpoint_file)
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    subject = Subject.of(checkpoint, faces, Plan(("gradcam",), 5))
    head, whole = (without_training(subject, whole=whole).model.state_dict() for whole in (False, True))
    weights = [name for name, value in before.items() if value.ndim > 1]
    assert {name for name in weights if not torch.equal(head[name], before[name])} == {
        n for n in weights if n.startswith("head")
    }
    assert all(not torch.equal(whole[name], before[name]) for name in weights)
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.model.state_dict().items())


def verdict_of(**changes: float | None) -> str:
    better, worse = Estimate(0.1, 0.05, 0.15), Estimate(0.0, -0.05, 0.05)
    ratings = {name: Rating(better, better, worse) for name in MEASURES}
    ratings["ROAD"] = Rating(better, better, better)
    report = Report("net", "gradcam", ratings, 0.1, 0.1, 0.9, 0.9, None, 1.0, 10)
    return replace(report, **changes).verdict


def test_the_verdict_counts_what_lies_above_zero_with_its_whole_interval():
    assert verdict_of() == (
        "beats a centred blob by 1 and a random map by 3 of 3 measures; depends on the weights; holds still under mirroring"
    )
    assert "shows the picture, not the model" in verdict_of(all_randomised=0.7)
    assert "moves under mirroring" in verdict_of(flip=0.5)
    assert "mirroring" not in verdict_of(flip=None)
    assert verdict_of(n=9) == "9 faces are too few to judge by; give 10 or more"


@pytest.mark.parametrize("architecture", ["custom_cnn", "baseline"])
def test_one_face_alone_is_measured_and_not_judged(architecture):
    torch.manual_seed(0)
    spec = MODELS[architecture].variants["small"]
    net = Checkpoint(spec.build(7, 0.1).eval(), Card(architecture, "small", EMOTIONS, spec.preprocess), "net")
    one = FaceSet(torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8), torch.tensor([2]), ("a",), "validation")
    (report,) = rate(net, one, Plan(("gradcam",), 1))
    assert report.n == 1 and "too few" in report.verdict


def test_the_command_writes_what_it_prints(fer, checkpoint_file, fake_folder, tmp_path):
    out = tmp_path / "out"
    outcome = fer(
        "faithfulness",
        checkpoint_file,
        "-d",
        fake_folder,
        "-m",
        "gradcam",
        "-m",
        "layercam",
        "--faces",
        6,
        "--out",
        out,
        "--json",
    )
    assert outcome.code == 0
    content = json.loads(outcome.out)
    assert content == json.loads((out / "faithfulness.json").read_text(encoding="utf-8"))
    assert [report["method"] for report in content["reports"]] == ["gradcam", "layercam"] and content["n"] == 6
    with Image.open(out / "faithfulness.png") as picture:
        assert min(picture.size) > 300
    printed = fer("faithfulness", checkpoint_file, "-d", fake_folder, "--faces", 10, "--out", out).out
    assert "of 3 measures" in printed and "hirescam" in printed


REFUSED = {
    "unknown method": (["-m", "lime"], "unknown explanation method 'lime'"),
    "method for another network": (["-m", "rollout"], "choose another method"),
    "method without layers": (["-m", "occlusion", "--layer", "block1"], "leave --layer out"),
    "unknown layer": (["--layer", "block9"], "block9"),
    "one face": (["--faces", 1], "--faces"),
    "a seed beyond the generators": (["--seed", 2**64], "--seed"),
    "unknown split": (["--split", "holdout"], "unknown split 'holdout'"),
    "unknown checkpoint": (["nobody"], "nobody"),
    "nowhere to write": (["--out", "/dev/null/out"], "cannot make the folder /dev/null/out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_one_line(case, fer, checkpoint_file, fake_folder, tmp_path):
    arguments, words = REFUSED[case]
    outcome = fer("faithfulness", checkpoint_file, "-d", fake_folder, "--out", tmp_path / "out", *arguments)
    assert outcome.code == 2 and outcome.out == "" and len(outcome.err.splitlines()) == 1 and words in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def _on_cuda(monkeypatch):
    """Networks of this test are made on a pretended GPU."""
    build = checkpoints.build
    monkeypatch.setattr(checkpoints, "build", lambda card: brought(build(card)))


@pytest.mark.usefixtures("_on_cuda")
def test_on_a_gpu_faces_and_maps_come_back_to_where_they_are_measured(faces):
    with Elsewhere():
        net = small_net("custom_cnn")
        brought(net.model)
        with pytest.raises(RuntimeError, match="same device"):
            net.model(torch.zeros(1, 1, 48, 48))
        subject = Subject.of(net, faces, Plan(("gradcam",), 4))
        measured = subject.measured(subject.maps(Question(method="gradcam++")))
        assert set(measured) == set(MEASURES) and all(len(values) == 4 for values in measured.values())
        for whole in (False, True):
            subject.maps(Question(method="gradcam"), without_training(subject, whole=whole))


def test_an_ensemble_on_a_gpu_has_maps_of_every_family(faces):
    with Elsewhere():
        net = small_net("ensemble")
        brought(net.model)
        for method in ("gradcam", "gradcam++", "ablationcam", "occlusion"):
            layers = ("members.0.conv1",) if method == "ablationcam" else ()
            (heatmap,) = explain(net, faces.images[:1], "happy", method, layers=layers)
            assert heatmap.values.shape == (48, 48)


def small_net(architecture: str) -> Checkpoint:
    torch.manual_seed(0)
    spec = MODELS[architecture].variants["small"]
    return Checkpoint(spec.build(7, 0.1).eval(), Card(architecture, "small", EMOTIONS, spec.preprocess), architecture)


def test_all_heads_of_an_ensemble_lose_their_training(faces):
    net = small_net("ensemble")
    untrained = without_training(Subject.of(net, faces, Plan(("gradcam",), 4)), whole=False).model.state_dict()
    weights = {name: value for name, value in net.model.state_dict().items() if value.ndim > 1}
    changed = {name for name, value in weights.items() if not torch.equal(value, untrained[name])}
    assert {name.split(".")[1] for name in changed} == {"0", "1"}
    assert changed == {name for name in weights if any(name.startswith(head + ".") for head in heads(net))}


def test_road_takes_no_more_than_its_share_of_a_map_that_is_mostly_zero(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    checkpoint, faces = square_checkpoint(), some_faces(3)
    maps, scores = torch.from_numpy(knowing_maps(3)), Scores(checkpoint)
    order = (1 - ranks(maps)).numpy()
    expected = ROADCombined(percentiles=list(PERCENTILES))(faces, order, [lambda probs: probs[HAPPY]] * 3, scores)
    found = MEASURES["ROAD"].run(scores, faces, maps, torch.full((3,), HAPPY))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    everything = ROADCombined(percentiles=list(PERCENTILES))(faces, maps.numpy(), [lambda probs: probs[HAPPY]] * 3, scores)
    assert np.abs(expected - everything).max() > 0.01


def test_no_more_than_the_faces_are_held_for_a_step(monkeypatch):
    asked, of = [], Scores.of
    monkeypatch.setattr(Scores, "of", lambda self, pixels, targets: asked.append(len(pixels)) or of(self, pixels, targets))
    MEASURES["deletion"].run(Scores(square_checkpoint()), some_faces(5), torch.rand(5, 48, 48), torch.full((5,), HAPPY))
    assert asked == [5] * (STEPS + 1)


def test_another_seed_that_does_not_know_a_class_is_said_before_the_faces_are_read(fer, checkpoint_file, tmp_path):
    net = checkpoints.load(checkpoint_file)
    spec = net.card.spec
    card = replace(net.card, classes=("happy", "sad"))
    checkpoints.save(tmp_path / "two.pth", spec.build(2, 0.2).state_dict(), card)
    outcome = fer("faithfulness", checkpoint_file, "--other-seed", tmp_path / "two.pth", "-d", tmp_path / "nowhere.zip")
    assert outcome.code == 2 and "two does not know angry, disgust, fear, neutral, surprise" in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("n, marks, key", [(9, {"x"}, "fewer than 10"), (10, {"x", "o"}, "a dot: better")])
def test_too_few_faces_have_no_dot(n, marks, key):
    better, worse = Estimate(0.1, 0.05, 0.15), Estimate(0.0, -0.05, 0.05)
    ratings = {name: Rating(better, better, worse) for name in MEASURES}
    figure = chart.figure([Report("net", "gradcam", ratings, None, None, None, None, None, 1.0, n)], "maps")
    drawn = {line.get_marker() for ax in figure.axes for line in ax.lines} - {"None", "", None}
    assert drawn == marks and key in figure.get_suptitle()


def test_untrained_networks_are_those_of_the_seed(checkpoint_file, faces):
    """Whatever was drawn before, and nothing else is drawn otherwise afterwards."""
    subject, states = Subject.of(checkpoints.load(checkpoint_file), faces, Plan(("gradcam",), 4)), []
    torch.manual_seed(0)  # as a training of that seed begins
    begun = checkpoints.build(subject.checkpoint.card).state_dict()["block1.0.weight"]
    untrained = without_training(subject, whole=True).model.state_dict()["block1.0.weight"]
    assert not torch.equal(untrained, begun)
    for before in (1, 2):
        torch.manual_seed(before)
        kept = torch.get_rng_state()
        nets = [without_training(subject, whole=whole, seed=seed) for whole in (False, True) for seed in (0, 1)]
        assert torch.equal(torch.get_rng_state(), kept)
        states.append([torch.cat([value.flatten().float() for value in net.model.state_dict().values()]) for net in nets])
    assert all(torch.equal(one, two) for one, two in zip(*states, strict=True))
    assert not torch.equal(states[0][0], states[0][1]) and not torch.equal(states[0][2], states[0][3])
    (one,), (two,) = (rate(subject.checkpoint, faces, Plan(("gradcam",), 4)) for _ in range(2))
    assert (one.head_randomised, one.all_randomised) == (two.head_randomised, two.all_randomised)


def test_checkpoints_of_one_file_name_are_told_apart(fer, fake_folder, tmp_path):
    for seed, run in enumerate("ab"):
        (tmp_path / run).mkdir()
        save_random(tmp_path / run / "best.pth", seed=seed)
    files, out = [tmp_path / run / "best.pth" for run in "ab"], tmp_path / "out"
    outcome = fer("faithfulness", *files, "-d", fake_folder, "-m", "gradcam", "--faces", 4, "--out", out, "--json")
    content = json.loads(outcome.out)
    assert [report["checkpoint"] for report in content["reports"]] == ["a/best", "b/best"]
    weights = [checkpoints.load(file).card.weights_sha256 for file in files]
    assert [content["sources"][name]["weights_sha256"] for name in ("a/best", "b/best")] == weights
    # a page of one of them knows it by its weights
    extra = read_extras([out / "faithfulness.json"])
    refuse_other_checkpoint(extra, checkpoints.load(files[1]))
    with pytest.raises(ConfigError, match="a/best, b/best, not of fast_cnn"):
        refuse_other_checkpoint(extra, checkpoints.load("fast_cnn"))


def test_all_checkpoints_are_measured_on_the_same_faces(fer, checkpoint_file, fake_folder, tmp_path):
    net = checkpoints.load(checkpoint_file)
    few = replace(net.card, classes=("happy", "sad"))
    checkpoints.save(tmp_path / "two.pth", net.card.spec.build(2, 0.2).state_dict(), few)
    command = ("-d", fake_folder, "-m", "gradcam", "--faces", 20, "--out", tmp_path / "out", "--json")
    outcome = fer("faithfulness", checkpoint_file, tmp_path / "two.pth", *command)
    content = json.loads(outcome.out)
    assert content["n"] == 6 and [report["n"] for report in content["reports"]] == [6, 6]  # three a class
    assert "measured on faces of happy, sad, which all checkpoints know" in outcome.err
    checkpoints.save(tmp_path / "rest.pth", net.card.spec.build(2, 0.2).state_dict(), replace(few, classes=("fear", "angry")))
    outcome = fer("faithfulness", tmp_path / "rest.pth", tmp_path / "two.pth", *command)
    assert outcome.code == 2 and "known to all of rest, two" in outcome.err


def test_a_method_that_fits_not_all_is_said_before_the_faces_are_read(fer, checkpoint_file, tmp_path):
    vit = save_random(tmp_path / "vit.pth", "vit")
    outcome = fer("faithfulness", vit, checkpoint_file, "-m", "rollout", "-d", tmp_path / "nowhere.zip")
    assert outcome.code == 2 and "choose another method" in outcome.err and len(outcome.err.splitlines()) == 1


def test_an_estimate_is_the_mean_of_its_owner():
    values = np.random.default_rng(7).random(30)
    mean = Mean.of(values, 5)
    assert Estimate.of(values, 5) == Estimate(mean.mean, *mean.ci95)
    assert Estimate.of(values[:1], 5) == Estimate(*[values[0]] * 3)


def test_the_grey_of_a_missing_pixel_has_one_owner():
    sources = [path for folder in ("fer", "analysis", "apps") for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in sources if "0.5077" in path.read_text(encoding="utf-8")] == ["types.py"]
    assert Preprocess().mean[0] == GREY


def test_every_head_of_a_net_of_timm_loses_its_training(faces):
    spec = MODELS["timm:deit_tiny_distilled_patch16_224"].variants["small"]
    card = Card("timm:deit_tiny_distilled_patch16_224", "small", EMOTIONS, spec.preprocess)
    net = Checkpoint(spec.build(7, 0.0).eval(), card, "deit")
    untrained = without_training(Subject.of(net, faces, Plan(("gradcam",), 1)), whole=False).model.state_dict()
    before = net.model.state_dict()
    changed = {name for name, value in before.items() if value.ndim > 1 and not torch.equal(value, untrained[name])}
    assert changed == {"head.weight", "head_dist.weight"}
