"""Statistics of batch norms: computed again by hand, and taken only where they help."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fer import checkpoint as checkpoints
from fer.checkpoint import Checkpoint
from fer.combine import combine
from fer.config import RunConfig
from fer.data import FaceSet, load
from fer.data.preprocess import standardise, to_unit
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.release import release
from fer.training.norms import BATCH, may_settle, norms, settled, take_statistics
from fer.types import PredictionTable, Preprocess
from tests.conftest import save_random

SHAPE = Preprocess(size=16)


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def small_net(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Dropout(dropout), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(588, 2))


def test_one_batch_gives_its_own_mean_and_variance():
    net, images = small_net(), pictures(9)
    take_statistics(net, images, SHAPE)
    with torch.no_grad():
        seen = net[0](standardise(to_unit(images), SHAPE)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(net[2].running_mean, seen.mean(1))
    torch.testing.assert_close(net[2].running_var, seen.var(1))


def test_several_batches_of_nearly_one_size_give_the_mean_of_theirs():
    """One more than a batch holds, so that a rest of one would have no variance."""
    net, images = small_net(), pictures(BATCH + 1)
    told: list[tuple[int, int]] = []
    take_statistics(net, images, SHAPE, progress=lambda done, total: told.append((done, total)))
    assert told == [(65, 129), (129, 129)]
    order = torch.randperm(BATCH + 1, generator=torch.Generator().manual_seed(0))
    parts = order[: BATCH // 2 + 1], order[BATCH // 2 + 1 :]
    assert [len(part) for part in parts] == [65, 64]
    with torch.no_grad():
        seen = [net[0](standardise(to_unit(images[part]), SHAPE)).transpose(0, 1).flatten(1) for part in parts]
    torch.testing.assert_close(net[2].running_mean, (seen[0].mean(1) + seen[1].mean(1)) / 2)
    torch.testing.assert_close(net[2].running_var, (seen[0].var(1) + seen[1].var(1)) / 2)


def test_nothing_but_the_statistics_changes_and_dropout_is_off():
    plain, dropping, images = small_net(), small_net(dropout=0.9), pictures(9)
    before = {name: value.clone() for name, value in dropping.named_parameters()}
    dropping[2].running_mean.fill_(7.0)  # whatever it knew
    dropping.train()
    for net in (plain, dropping):
        take_statistics(net, images, SHAPE)
    assert torch.equal(plain[2].running_mean, dropping[2].running_mean)
    assert all(torch.equal(value, before[name]) for name, value in dropping.named_parameters())
    assert dropping[2].momentum == 0.1 and not any(module.training for module in dropping.modules())


@pytest.fixture
def faces(fake_folder) -> tuple[FaceSet, FaceSet]:
    return load(fake_folder).for_training()


@pytest.fixture
def spoilt(tmp_path) -> Checkpoint:
    """Its statistics are of no faces at all."""
    loaded = checkpoints.load(save_random(tmp_path / "net.pth", "custom_cnn", seed=3))
    for norm in norms(loaded.model):
        norm.running_mean.fill_(3.0)
    return loaded


def test_better_statistics_are_taken(spoilt, faces):
    train, validation = faces
    found, table = settled(spoilt, train, validation)
    assert found.card.settled_norms and not spoilt.card.settled_norms
    assert all(bool((norm.running_mean == 3.0).all()) for norm in norms(spoilt.model))
    expected = evaluate_table(evaluate_checkpoint(found, validation))["log_loss"]
    assert evaluate_table(table)["log_loss"] == expected
    assert expected < evaluate_table(evaluate_checkpoint(spoilt, validation))["log_loss"]
    again, _ = settled(found, train, validation)
    assert again is found


def test_worse_statistics_are_left(faces, tmp_path):
    """Training faces that look like no face of the validation split."""
    train, validation = faces
    loaded = checkpoints.load(save_random(tmp_path / "net.pth", "custom_cnn", seed=3))
    take_statistics(loaded.model, validation.images, loaded.card.preprocess)
    head = loaded.model.get_submodule(loaded.card.spec.head)
    last = head[-1] if isinstance(head, nn.Sequential) else head
    features: list[torch.Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    with torch.no_grad():
        loaded.model(standardise(to_unit(validation.images), loaded.card.preprocess))
        hook.remove()
        # least squares on the validation faces, so that other statistics can only answer worse
        wide = torch.cat([features[0], torch.ones(len(validation), 1)], 1)
        solved = torch.linalg.lstsq(wide, 5 * nn.functional.one_hot(validation.labels, 7).float(), driver="gelsd").solution
        last.weight.copy_(solved[:-1].T)
        last.bias.copy_(solved[-1])
    odd = replace(train, images=torch.zeros_like(train.images) + torch.arange(len(train), dtype=torch.uint8).view(-1, 1, 1, 1))
    found, table = settled(loaded, odd, validation)
    assert found is loaded and not found.card.settled_norms
    assert evaluate_table(table) == evaluate_table(evaluate_checkpoint(loaded, validation))


@pytest.mark.parametrize("config", [{"mode": "feature-extract"}, {"mode": "gradual"}, {"settle_norms": False}], ids=str)
def test_where_the_run_keeps_its_norms_they_are_kept(config, spoilt, faces, fake_folder, tmp_path):
    kept = replace(spoilt, card=replace(spoilt.card, config=config))
    assert settled(kept, *faces)[0] is kept
    assert not release(kept, load(fake_folder), tmp_path / "released.pth").settled_norms


def test_a_network_without_batch_norms_has_nothing_to_settle(faces, tmp_path):
    loaded = checkpoints.load(save_random(tmp_path / "net.pth", "baseline"))
    assert settled(loaded, *faces)[0] is loaded


def test_a_run_ends_with_them_unless_told(fer, spoilt, fake_folder, tmp_path):
    checkpoints.save(tmp_path / "spoilt.pth", spoilt.model.state_dict(), spoilt.card)
    words = ["train", "custom_cnn", "--mode", "finetune", "--init", tmp_path / "spoilt.pth", "--data", fake_folder]
    words += ["--epochs", 1, "--set", "batch_size=14", "--set", "lr=1e-5", "--set", "ema=0", "--set", "precision=fp32"]
    cards, states = {}, {}
    for name, more in (("usual", []), ("told", ["--set", "settle_norms=false"])):
        outcome = fer(*words, *more, "--runs", tmp_path / name)
        assert outcome.code == 0, outcome.err
        (path,) = (tmp_path / name).glob("*/best.pth")
        loaded = checkpoints.load(path)
        cards[name], states[name] = loaded.card, loaded.model.state_dict()
        table = PredictionTable.load(path.with_name("validation.npz"))  # that of the file beside it, by name and weights
        assert (table.source["checkpoint"], table.source["weights_sha256"]) == (path.parent.name, loaded.card.weights_sha256)
        assert evaluate_table(table)["accuracy"] == loaded.card.validation_accuracy
    assert cards["usual"].settled_norms and not cards["told"].settled_norms
    losses = {name: card.metrics["validation"]["log_loss"] for name, card in cards.items()}
    assert losses["usual"] < losses["told"]
    train, _ = load(fake_folder).for_training()
    model = checkpoints.build(cards["told"])
    model.load_state_dict(states["told"])
    take_statistics(model, train.images, cards["told"].preprocess)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(states["usual"][name], value)


def test_a_release_settles_what_a_run_did_not(spoilt, fake_folder, tmp_path):
    card = release(spoilt, load(fake_folder), tmp_path / "released.pth")
    assert card.settled_norms
    train, _ = load(fake_folder).for_training()
    stored = checkpoints.load(tmp_path / "released.pth")
    expected = evaluate_table(evaluate_checkpoint(stored, train))["accuracy"]
    assert card.train_accuracy == pytest.approx(expected, abs=2 / len(train))


def test_an_ensemble_keeps_the_norms_that_its_members_were_told_to_keep(spoilt, faces, fake_folder, tmp_path):
    kept = replace(spoilt, card=replace(spoilt.card, config={"settle_norms": False}))
    together = combine([kept, checkpoints.load(save_random(tmp_path / "other.pth", "baseline"))])
    assert settled(together, *faces)[0] is together
    assert not release(together, load(fake_folder), tmp_path / "released.pth").settled_norms
    stored = checkpoints.load(tmp_path / "released.pth").model
    assert all(bool((norm.running_mean == 3.0).all()) for norm in norms(stored))


def test_an_ensemble_that_had_a_run_of_its_own_settles_as_any_network(spoilt, tmp_path):
    together = combine([spoilt, checkpoints.load(save_random(tmp_path / "other.pth", "baseline"))])
    trained = replace(together, card=replace(together.card, config=RunConfig(model="ensemble").to_dict()))
    assert may_settle(trained) and not may_settle(together)
