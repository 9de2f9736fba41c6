"""Ensembles: a mean of probabilities that is saved, loaded, judged and explained like any checkpoint."""

import json

import numpy as np
import pytest
import torch

from analysis.explain import explain
from fer import checkpoint as checkpoints
from fer.combine import combine
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError
from fer.models.ensemble import Ensemble
from fer.types import Preprocess
from tests.conftest import save_random

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


@pytest.mark.parametrize("half", [False, True])
def test_it_comes_back_from_a_file_as_it_was(members, tmp_path, half):
    together = combine(members, [3.0, 1.0, 1.0])
    checkpoints.save(tmp_path / "all.pth", together.model.state_dict(), together.card, half=half)
    loaded = checkpoints.load(tmp_path / "all.pth")
    assert [m["name"] for m in loaded.card.members] == ["baseline", "custom_cnn", "mobilenet_v3_small"]
    assert [m["weight"] for m in loaded.card.members] == [3.0, 1.0, 1.0]
    torch.testing.assert_close(probs(loaded), probs(together), atol=1e-2 if half else 0, rtol=0)


def test_its_map_is_the_mean_over_its_members_layers(members):
    together = combine(members)
    assert together.card.spec.cam_layers == ("members.0.conv3", "members.1.block3", "members.2.features.12")
    maps = explain(together, FACES, "happy")
    assert len(maps) == 4 and all(m.values.shape == (48, 48) and m.values.max() <= 1 for m in maps)


def test_members_that_do_not_fit_are_refused(members, tmp_path):
    with pytest.raises(CheckpointError, match="two or more"):
        combine(members[:1])
    with pytest.raises(CheckpointError, match="2 weights for 3 members"):
        combine(members, [1.0, 2.0])
    with pytest.raises(CheckpointError, match="above 0"):
        combine(members, [1.0, 0.0, 1.0])
    with pytest.raises(CheckpointError, match="is an ensemble itself"):
        combine([combine(members), members[0]])
    fewer = checkpoints.Checkpoint(members[0].model, members[0].card, "fewer")
    object.__setattr__(fewer.card, "classes", EMOTIONS[:4])
    with pytest.raises(CheckpointError, match="other classes"):
        combine([members[1], fewer])


def test_one_sure_member_is_not_outvoted_by_the_logarithm():
    sure, unsure = torch.nn.Flatten(), torch.nn.Flatten()
    net = Ensemble([sure, unsure], [Preprocess(16, mean=(0.0,), std=(1.0,))] * 2, [1.0, 1.0])
    logits = net(torch.rand(2, 1, 16, 16) * 200)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(2))


def test_the_command_writes_a_checkpoint_that_other_commands_take(fer, members, fake_zip, tmp_path):
    files = [str(tmp_path / f"{member.name}.pth") for member in members]
    outcome = fer("ensemble", *files, "--weights", "1,1,2", "--data", fake_zip, "--out", tmp_path / "all.pth")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == str(tmp_path / "all.pth")
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == [*(m.name for m in members), "ensemble"]
    judged = json.loads(fer("evaluate", "-c", tmp_path / "all.pth", "--data", fake_zip, "--json").out)
    assert judged["accuracy"] == checkpoints.load(tmp_path / "all.pth").card.validation_accuracy


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["custom_cnn"], ["two or more"]),
        (["custom_cnn", "nowhere.pth"], ["nowhere.pth", "released"]),
        (["custom_cnn", "baseline", "--weights", "1,x"], ["1,x", "2,1,1"]),
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
