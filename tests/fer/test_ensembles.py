"""Ensembles: a mean of probabilities that is saved, loaded, judged and explained like any checkpoint."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.explain import explain
from fer import checkpoint as checkpoints
from fer.combine import LEAST_SHARE, combine, contributions, fit_weights
from fer.data import load
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.models.ensemble import Ensemble
from fer.types import PredictionTable, Preprocess
from tests.conftest import save_random
from tests.fer import voted

FACES = torch.randint(0, 256, (4, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def members(tmp_path):
    """Three different architectures, one with an input of its own size."""
    names = ("baseline", "custom_cnn", "mobilenet_v3_small")
    return [checkpoints.load(save_random(tmp_path / f"{name}.pth", name, seed=i)) for i, name in enumerate(names)]


def probs(checkpoint, faces=FACES):
    with torch.no_grad():
        return checkpoint.model(model_input(faces, checkpoint.card.preprocess)).softmax(1)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_it_answers_with_the_weighted_mean_of_its_members_probabilities(members, weights):
    together = combine(members, weights)
    parts = np.stack([probs(member).numpy() for member in members])
    np.testing.assert_allclose(probs(together), np.average(parts, axis=0, weights=weights), atol=1e-6)


def test_members_keep_their_own_size(members):
    larger = checkpoints.Checkpoint(members[1].model, members[1].card, "larger")
    object.__setattr__(larger.card, "preprocess", Preprocess(size=64))
    together = combine([members[0], larger])
    parts = [probs(members[0]), probs(larger)]
    torch.testing.assert_close(probs(together), (parts[0] + parts[1]) / 2)


def test_members_answer_with_their_own_temperature_also_from_a_file(members, tmp_path):
    cold = checkpoints.Checkpoint(members[1].model, replace(members[1].card, temperature=0.25), "cold")
    together = combine([members[0], cold])
    with torch.no_grad():
        own = cold.model(model_input(FACES, cold.card.preprocess))
    expected = (probs(members[0]) + (own / 0.25).softmax(1)) / 2
    torch.testing.assert_close(probs(together), expected)
    checkpoints.save(tmp_path / "all.pth", together.model.state_dict(), together.card)
    torch.testing.assert_close(probs(checkpoints.load(tmp_path / "all.pth")), expected)


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ([("CPU", 10.5), ("CPU", 20), ("CPU", 0.25)], {"device": "CPU", "minutes": 30.8}),
        ([("CPU", 10.5), ("H200", 2), ("CPU", 1)], {"device": "CPU, H200", "minutes": 13.5}),
        ([("CPU", 10.5), ("CPU", None), ("CPU", 1)], {"device": "CPU"}),
        ([("CPU", 10.5), (None, 2), ("CPU", 1)], {"minutes": 13.5}),
    ],
)
def test_its_hardware_is_that_of_its_members_with_their_minutes_added_up(trained, expected, members):
    for member, (device, minutes) in zip(members, trained, strict=True):
        said = {"device": device, "minutes": minutes}
        object.__setattr__(member.card, "hardware", {key: value for key, value in said.items() if value is not None})
    assert combine(members).card.hardware == expected


@pytest.mark.parametrize("half", [False, True])
def test_it_comes_back_from_a_file_as_it_was(members, tmp_path, half):
    together = combine(members, [3.0, 1.0, 1.0])
    state = together.model.state_dict()
    checkpoints.save(tmp_path / "all.pth", state, together.card, half=state if half else ())
    loaded = checkpoints.load(tmp_path / "all.pth")
    assert [m["name"] for m in loaded.card.members] == ["baseline", "custom_cnn", "mobilenet_v3_small"]
    assert [m["weight"] for m in loaded.card.members] == [3.0, 1.0, 1.0]
    torch.testing.assert_close(probs(loaded), probs(together), atol=1e-2 if half else 0, rtol=0)


def test_its_map_is_the_mean_over_its_members_layers(members):
    together = combine(members)
    assert together.card.spec.cam_layers == ("members.0.conv3", "members.1.block3", "members.2.features.12")
    maps = explain(together, FACES, "happy")
    assert len(maps) == 4 and all(m.values.shape == (48, 48) and m.values.max() <= 1 for m in maps)


@pytest.mark.parametrize("against", [None, "sad"])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [8.0, 1.0, 3.0]])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "eigencam"])
def test_its_map_is_the_mean_of_its_members_maps(method, weights, against, members):
    if method == "eigencam" and against:
        pytest.skip("the same for every class")
    together = combine(members, weights)
    target = "happy" if method != "eigencam" else None
    own = [explain(member, FACES, target, method, against=against) for member in members]
    for place, found in enumerate(explain(together, FACES, target, method, against=against)):
        mean = sum(w / sum(weights) * maps[place].values for w, maps in zip(weights, own, strict=True))
        spread = (mean - mean.min()) / np.ptp(mean)
        np.testing.assert_allclose(found.values, spread, atol=2e-3)
        peaks = sum(w / sum(weights) * maps[place].peak for w, maps in zip(weights, own, strict=True))
        assert found.peak == pytest.approx(peaks, rel=1e-2)


@pytest.mark.parametrize("weights", [[np.nan, 1, 1], [np.inf, 1, 1], [1e-320, 1e-320, 1], [0, 1, 1], [-1, 1, 1]])
def test_weights_that_are_none_are_refused(weights, members):
    with pytest.raises(CheckpointError, match=r"one lies outside 0\.0001 to 10000; give each one from there"):
        combine(members, weights)


def test_a_network_is_a_member_once(members):
    with pytest.raises(CheckpointError, match="baseline is the same network as baseline; name each member once"):
        combine([*members, members[0]])


def test_what_applies_to_a_member_applies_to_the_ensemble(members):
    votes = replace(members[1], card=replace(members[1].card, config={"labels": "ferplus-soft"}))
    trunk = replace(
        members[2], card=replace(members[2].card, config=votes.card.config, data={"pretrained": {"data": "tiny.tar"}})
    )
    marks = ("labels ferplus-soft: another task", "pretrained on tiny.tar")
    assert combine(members).card.marks == ()
    assert combine([votes, trunk]).card.marks == marks
    student = replace(members[0].card, data={"teachers": [{"name": "a", "marks": list(marks)}]})
    assert student.marks == marks


def test_members_are_asked_about_what_the_ensemble_says(members):
    """Not each about its own answer."""
    together = combine(members)
    said = [together.card.classes[place] for place in probs(together).argmax(1).tolist()]
    assert [one.target for one in explain(together, FACES)] == said
    for one, named in zip(explain(together, FACES), explain(together, FACES, said), strict=True):
        np.testing.assert_array_equal(one.values, named.values)


def table_of(probs_of_label, seed=0) -> PredictionTable:
    """A member that gives the true one of three classes these probabilities, and shares out the rest evenly."""
    labels = np.random.default_rng(seed).integers(0, 3, len(probs_of_label))
    rows = np.repeat((1 - np.array(probs_of_label)[:, None]) / 2, 3, axis=1)
    rows[np.arange(len(labels)), labels] = probs_of_label
    names = tuple(map(str, range(len(labels))))
    return PredictionTable(np.log(rows), labels, names, EMOTIONS[:3], "validation")


def test_fitted_weights_have_the_least_log_loss_of_all():
    rng = np.random.default_rng(1)
    members = [table_of(rng.uniform(low, high, 300)) for low, high in ((0.3, 0.9), (0.1, 0.95), (0.02, 0.3))]

    def loss(shares):
        return -np.log(sum(s * t.probs[np.arange(300), t.labels] for s, t in zip(shares, members, strict=True))).mean()

    fitted = fit_weights(members)
    assert sum(fitted) == pytest.approx(1, abs=1e-3)
    grid = [(a, b, 1 - a - b) for a in np.arange(0.01, 0.98, 0.01) for b in np.arange(0.01, 0.99 - a, 0.01)]
    assert loss(fitted) <= min(map(loss, grid)) + 1e-5
    assert fitted[2] == pytest.approx(LEAST_SHARE, abs=1e-3)  # a bad member gets the least there is


def test_contributions_are_counted_by_hand():
    classes, names = EMOTIONS[:2], ("a", "b", "c", "d")
    labels = np.array([0, 0, 1, 1])

    def member(first):  # probability of the first class
        first = np.array(first)
        return PredictionTable(np.log(np.stack([first, 1 - first], 1)), labels, names, classes, "validation")

    members = [member([0.9, 0.6, 0.4, 0.4]), member([0.6, 0.2, 0.4, 0.7]), member([0.3, 0.2, 0.7, 0.2])]
    brought = contributions(members, [1.0, 1.0, 1.0])
    # answers 0011, 0110, 1101: they differ on 2, 3 and 3 of 4 faces
    assert brought["disagreement"] == pytest.approx((2 + 3 + 3) / 3 / 4)
    # sums of the first class without each: .9 .4 1.1 .9, 1.2 .8 1.1 .6, 1.5 .8 .8 1.1 against 1
    assert brought["accuracy_without"] == [0.25, 0.5, 0.5]


def test_the_command_fits_weights_and_the_card_says_what_each_member_brings(fer, members, fake_zip, tmp_path):
    files = [str(tmp_path / f"{member.name}.pth") for member in members]
    outcome = fer("ensemble", *files, "--weights", "fit", "--data", fake_zip, "--out", tmp_path / "all.pth")
    assert outcome.code == 0, outcome.err
    card = checkpoints.load(tmp_path / "all.pth").card
    assert sum(m["weight"] for m in card.members) == pytest.approx(1, abs=1e-3)
    faces = load(fake_zip).split("validation")
    tables = [evaluate_checkpoint(member, faces) for member in members]
    expected = contributions(tables, [m["weight"] for m in card.members])
    assert [m["accuracy_without"] for m in card.members] == expected["accuracy_without"]
    assert card.config["disagreement"] == expected["disagreement"]


def test_members_that_do_not_fit_are_refused(members, tmp_path):
    with pytest.raises(CheckpointError, match="two or more"):
        combine(members[:1])
    with pytest.raises(CheckpointError, match="2 weights for 3 members"):
        combine(members, [1.0, 2.0])
    with pytest.raises(CheckpointError, match="weights 1, 0, 1: one lies outside"):
        combine(members, [1.0, 0.0, 1.0])
    with pytest.raises(CheckpointError, match="is an ensemble itself; name its members instead"):
        combine([combine(members), members[0]])
    own = checkpoints.load(
        save_random(tmp_path / "own.pth", "ensemble")
    )  # as a run of its own makes it: nobody's file is a member
    with pytest.raises(CheckpointError, match="own is an ensemble itself; name networks of other architectures instead"):
        combine([own, members[0]])
    votes = replace(members[1], card=replace(members[1].card, config={"labels": "ferplus-soft"}), name="votes")
    with pytest.raises(CheckpointError, match="votes learnt labels ferplus-soft, baseline labels fer: other tasks"):
        combine([members[0], votes])
    fewer = checkpoints.Checkpoint(members[0].model, members[0].card, "fewer")
    object.__setattr__(fewer.card, "classes", EMOTIONS[:4])
    with pytest.raises(CheckpointError, match="other classes"):
        combine([members[1], fewer])


def test_the_same_members_by_other_shares_are_another_network(fer, members, fake_zip, tmp_path):
    files = [str(tmp_path / f"{member.name}.pth") for member in members[:2]]
    for name, shares in (("even", "1,1"), ("uneven", "1,3"), ("again", "1,3")):
        assert fer("ensemble", *files, "--weights", shares, "--data", fake_zip, "--out", tmp_path / f"{name}.pth").code == 0
    even, uneven, again = (
        checkpoints.load(tmp_path / f"{name}.pth").card.weights_sha256 for name in ("even", "uneven", "again")
    )
    assert even != uneven == again
    words = ["--data", fake_zip, "--out", tmp_path / "out"]
    assert fer("compare", tmp_path / "even.pth", tmp_path / "uneven.pth", *words).code == 0
    outcome = fer("compare", tmp_path / "uneven.pth", tmp_path / "again.pth", *words)
    assert outcome.code == 2 and "uneven and again are the same weights" in outcome.err


def test_an_ensembles_card_keeps_what_all_members_share_of_their_data(members):
    part, other = {"n": 3, "fingerprint": "a" * 64}, {"n": 2, "fingerprint": "b" * 64}
    common = {"origin": "fer.zip", "fingerprint": "c" * 64}
    data = [
        {**common, "teachers": [{"name": "net"}], "splits": {"train": part, "validation": part}},
        {**common, "clean": "without 3", "splits": {"train": other, "validation": part}},
    ]
    known = [replace(one, card=replace(one.card, data=own)) for one, own in zip(members, data, strict=False)]
    for order in (known, known[::-1]):
        assert combine(order).card.data == {**common, "splits": {"validation": part}}
    taught = [replace(one, card=replace(one.card, data=data[0])) for one in members[:2]]
    assert combine(taught).card.data == {**common, "splits": data[0]["splits"]}


def test_all_of_an_ensemble_is_where_its_members_are(members):
    moved = [replace(member, model=copy.deepcopy(member.model).to("meta")) for member in members]
    whole = combine(moved).model
    assert {tensor.device.type for tensor in (*whole.parameters(), *whole.buffers())} == {"meta"}


def test_members_standardise_in_float32_whatever_the_loop_hands_over():
    net = Ensemble([torch.nn.Flatten()] * 2, [Preprocess(96), Preprocess(48)], [1.0, 1.0])
    net.members[1] = torch.nn.Sequential(torch.nn.Upsample(96), torch.nn.Flatten())
    faces = torch.randint(0, 256, (2, 1, 48, 48), generator=torch.Generator().manual_seed(0)) / 256  # exact in bfloat16
    torch.testing.assert_close(net(faces.bfloat16()), net(faces), rtol=0, atol=0)


def test_one_sure_member_is_not_outvoted_by_the_logarithm():
    sure, unsure = torch.nn.Flatten(), torch.nn.Flatten()
    net = Ensemble([sure, unsure], [Preprocess(16, mean=(0.0,), std=(1.0,))] * 2, [1.0, 1.0])
    logits = net(torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 200)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(2))


def test_the_command_writes_a_checkpoint_that_other_commands_take(fer, members, fake_zip, tmp_path):
    files = [str(tmp_path / f"{member.name}.pth") for member in members]
    outcome = fer("ensemble", *files, "--weights", "1,1,2", "--data", fake_zip, "--out", tmp_path / "all.pth")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == str(tmp_path / "all.pth")
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == [*(m.name for m in members), "ensemble"]
    judged = json.loads(fer("evaluate", "-c", tmp_path / "all.pth", "--data", fake_zip, "--json").out)
    card, faces = checkpoints.load(tmp_path / "all.pth").card, load(fake_zip).split("validation")
    assert judged["accuracy"] == card.validation_accuracy
    # its figures are of these faces, on which no member's card was judged
    about = {"n": len(faces), "fingerprint": faces.fingerprint}
    assert card.data == {"origin": fake_zip.name, "splits": {"validation": about}} and card.judged_faces == faces.fingerprint


def test_half_precision_halves_the_file_and_rounds_the_weights(fer, members, fake_zip, tmp_path):
    files = [str(tmp_path / f"{member.name}.pth") for member in members[:2]]
    paths = {half: tmp_path / f"all-{len(half)}.pth" for half in ((), ("--half",))}
    for half, path in paths.items():
        assert fer("ensemble", *files, "--data", fake_zip, "--out", path, *half).code == 0
    whole, rounded = (checkpoints.load(path).model.state_dict() for path in paths.values())
    assert all(torch.equal(rounded[name], value.half().float()) for name, value in whole.items() if value.is_floating_point())
    assert any(not torch.equal(rounded[name], value) for name, value in whole.items())
    sizes = [path.stat().st_size for path in paths.values()]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)
    faces, (_, half) = load(fake_zip).split("validation"), (checkpoints.load(path) for path in paths.values())
    assert half.card.metrics["validation"]["log_loss"] == evaluate_table(evaluate_checkpoint(half, faces))["log_loss"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["custom_cnn"], ["two or more"]),
        (["custom_cnn", "nowhere.pth"], ["nowhere.pth", "released"]),
        (["custom_cnn", "baseline", "--weights", "1,x"], ["1,x", "2,1,1", "fit"]),
        (["custom_cnn", "baseline", "--weights", "1"], ["1 weights for 2 members"]),
    ],
)
def test_a_wrong_request_is_one_line(fer, fake_zip, tmp_path, arguments, words):
    outcome = fer("ensemble", *arguments, "--data", fake_zip, "--out", tmp_path / "all.pth")
    (line,) = outcome.err.strip().splitlines()
    assert outcome.code == 2 and [word for word in words if word not in line] == []
    assert not (tmp_path / "all.pth").exists()


def test_an_ensemble_goes_on_training_from_its_file(fer, members, fake_zip, tmp_path):
    together = combine(members[:2])
    checkpoints.save(tmp_path / "both.pth", together.model.state_dict(), together.card)
    outcome = fer(
        "train", "ensemble", "--mode", "finetune", "--init", tmp_path / "both.pth", "--data", fake_zip, "--epochs", 1,
        "--set", "batch_size=21", "--set", "precision=fp32", "--runs", tmp_path / "runs",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    trained = checkpoints.load(f"{outcome.out.strip()}/best.pth")
    assert [m["architecture"] for m in trained.card.members] == ["baseline", "custom_cnn"]


@pytest.mark.parametrize("name", ["both.onnx", "both", "both.xml"])
def test_an_ensemble_under_a_name_that_cannot_be_opened_is_refused_before_the_work(name, fer, tmp_path):
    outcome = fer("ensemble", "a", "b", "--data", "nowhere.zip", "--out", tmp_path / name)
    assert (outcome.code, outcome.out) == (2, "") and str(tmp_path / name) in outcome.err and ".pth" in outcome.err


def test_members_of_votes_are_judged_by_votes_and_so_is_whoever_reads_the_file(fer, members, fake_zip, tmp_path):
    """All votes are for another class than the data set's own label, and two validation faces have none."""
    votes = voted.write_votes(tmp_path / "votes.csv", load(fake_zip), without=2)
    own = {"labels": "ferplus-majority", "votes": str(votes)}
    for member in members[:2]:
        checkpoints.save(tmp_path / f"{member.name}.pth", member.model.state_dict(), replace(member.card, config=own))
    files = [tmp_path / f"{member.name}.pth" for member in members[:2]]
    outcome = fer("ensemble", *files, "--data", fake_zip, "--out", tmp_path / "both.pth")
    assert outcome.code == 0, outcome.err
    card, faces = checkpoints.load(tmp_path / "both.pth").card, load(fake_zip).split("validation")
    said = evaluate_checkpoint(combine(members[:2]), faces).predicted[2:]
    expected = np.mean([place == voted.next_class(label) for place, label in zip(said, faces.labels[2:], strict=True)])
    assert card.metrics["validation"]["n"] == 19 and card.validation_accuracy == pytest.approx(expected)
    assert {key: card.config[key] for key in own} == own and card.config["weights"] == "uniform"
    assert card.marks == ("labels ferplus-majority: another task",)


def test_without_a_validation_split_a_part_of_the_others_is_judged(fer, members, fake_folder, tmp_path):
    shutil.copytree(fake_folder / "train", tmp_path / "data" / "train")
    files = [tmp_path / f"{member.name}.pth" for member in members[:2]]
    outcome = fer("ensemble", *files, "--data", tmp_path / "data", "--out", tmp_path / "both.pth")
    assert outcome.code == 0, outcome.err
    held_out = load(tmp_path / "data").for_training()[1]
    assert checkpoints.load(tmp_path / "both.pth").card.metrics["validation"]["n"] == len(held_out)


def test_members_from_folders_of_runs_are_called_as_the_runs(fer, members, fake_zip, tmp_path):
    runs = [tmp_path / "runs" / name for name in ("first", "second")]
    for run, member in zip(runs, members[:2], strict=True):
        run.mkdir(parents=True)
        shutil.copy(tmp_path / f"{member.name}.pth", run / "best.pth")
        shutil.copy(tmp_path / f"{member.name}.pth", run / "last.pth")
        assert checkpoints.load(run).name == "best"  # no run: nothing says how it was trained
        (run / "config.yaml").touch()
        assert [checkpoints.load(place).name for place in (run, run / "last.pth")] == [run.name, f"{run.name}-last"]
    outcome = fer("ensemble", *runs, "--data", fake_zip, "--out", tmp_path / "all.pth")
    assert outcome.code == 0, outcome.err
    assert [member["name"] for member in checkpoints.load(tmp_path / "all.pth").card.members] == ["first", "second"]
