"""The features of a network: what is kept, how it is stored, and that the network stays as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.learnt.features import FeatureTable, _inputs_kept, extract, last_layers
from fer import evaluation
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import model_input
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError
from fer.models import MODELS
from tests.analysis.tables import all_right
from tests.conftest import unpacked
from tests.contracts.test_explainers import in_a_mixed_state, random_checkpoint, random_faces, replace_head, state_of


def faces(n: int = 5) -> FaceSet:
    return FaceSet(random_faces(n), torch.arange(n) % 7, tuple(map(str, range(n))), "validation")


@torch.no_grad()
def test_the_features_of_a_net_written_out_by_hand(monkeypatch):
    monkeypatch.setattr(evaluation, "BATCH", 2)  # more than one batch, the last one smaller
    checkpoint, told = random_checkpoint("gradcam", "custom_cnn"), []
    found = extract(checkpoint, faces(), lambda *now: told.append(now))
    net = checkpoint.model
    maps = model_input(random_faces(5), checkpoint.card.preprocess)
    for block in (net.block1, net.block2, net.block3):
        maps = nn.functional.max_pool2d(block(maps), 2)
    hidden = net.head[2](net.head[1](maps.mean(dim=(2, 3)))).clamp(min=0)
    np.testing.assert_allclose(found.values, hidden, atol=1e-5)
    assert found.table.names == faces().names and told[-1] == (5, 5)


def test_the_temperature_of_the_card_divides_the_logits_and_not_the_features():
    checkpoint = random_checkpoint("gradcam")
    warm = Checkpoint(checkpoint.model, Card("baseline", "small", EMOTIONS, checkpoint.card.preprocess, temperature=2.0), "w")
    one, two = extract(checkpoint, faces()), extract(warm, faces())
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_allclose(one.table.logits, 2 * two.table.logits, rtol=1e-5)


def test_faces_of_classes_that_the_checkpoint_does_not_know_are_left_out():
    spec = MODELS["baseline"].variants["small"]
    checkpoint = Checkpoint(spec.build(2, 0.0).eval(), Card("baseline", "small", ("angry", "fear"), spec.preprocess), "two")
    found = extract(checkpoint, faces(7))
    assert found.table.names == ("0", "2") and found.values.shape == (2, 512)


def test_an_ensembles_features_are_those_of_its_members_side_by_side():
    members = ({"architecture": "vit", "variant": "small"}, {"architecture": "baseline", "variant": "small", "weight": 3.0})
    card = Card("ensemble", "small", EMOTIONS, MODELS["ensemble"].form("small", members).preprocess, members=members)
    torch.manual_seed(0)
    net = card.spec.build(7, 0.0).eval()
    together = extract(Checkpoint(net, card, "both"), faces())
    alone = []
    for member, one in zip(members, net.members, strict=True):
        own = MODELS[member["architecture"]].variants["small"].preprocess
        alone.append(extract(Checkpoint(one, Card(member["architecture"], "small", EMOTIONS, own), "one"), faces()).values)
    np.testing.assert_allclose(together.values, np.concatenate(alone, axis=1), atol=1e-5)


@torch.no_grad()
def test_of_a_transformer_no_more_is_kept_than_the_class_token():
    checkpoint = random_checkpoint("rollout")
    with _inputs_kept(last_layers(checkpoint)) as kept:
        checkpoint.runner(model_input(random_faces(3), checkpoint.card.preprocess))
    ((tokens,),) = kept
    assert tokens.untyped_storage().nbytes() == 3 * 192 * 4


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_left_as_it_was_also_after_an_error(broken):
    checkpoint = unpacked(random_checkpoint("gradcam"))
    in_a_mixed_state(checkpoint.model)
    if broken:
        last_layers(checkpoint)[0].weight = nn.Parameter(torch.zeros(7, 3))
    before = state_of(checkpoint.model)
    if broken:
        with pytest.raises(RuntimeError, match="shapes"):
            extract(checkpoint, faces())
    else:
        extract(checkpoint, faces())
    assert state_of(checkpoint.model) == before


class Unused(nn.Module):
    """A head with a linear layer that has no part in the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :7]


@pytest.mark.parametrize("head, line", [(nn.Flatten(), "no linear layer"), (Unused(), "not used once a face")])
def test_a_head_that_gives_no_features_is_an_expected_error(head, line):
    checkpoint = random_checkpoint("gradcam")
    replace_head(checkpoint, lambda _: head)
    with pytest.raises(ConfigError, match=line):
        extract(checkpoint, faces())


def test_a_saved_table_comes_back(tmp_path):
    found = extract(random_checkpoint("gradcam"), faces())
    found.save(tmp_path / "features.npz")
    again = FeatureTable.load(tmp_path / "features.npz")
    for one, two in ((found.values, again.values), (found.table.logits, again.table.logits)):
        np.testing.assert_array_equal(one, two)
    assert found.table.labels.tolist() == again.table.labels.tolist()
    for field in ("names", "classes", "split", "source"):
        assert getattr(found.table, field) == getattr(again.table, field)


@pytest.mark.parametrize("damage", ["missing", "no archive", "another table", "cut"])
def test_damaged_features_are_an_expected_error(damage, tmp_path):
    path = tmp_path / "features.npz"
    FeatureTable(np.zeros((14, 3)), all_right()).save(path)
    if damage == "missing":
        path.unlink()
    if damage == "no archive":
        path.write_bytes(b"no archive")
    if damage == "another table":
        all_right().save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="fer features"):
        FeatureTable.load(path)


@pytest.mark.parametrize("values", [np.zeros((13, 3)), np.zeros(14), np.full((14, 3), np.nan)])
def test_features_that_do_not_belong_to_the_table_are_refused(values):
    with pytest.raises(ValueError, match="one row of finite values"):
        FeatureTable(values, all_right())


@torch.no_grad()
def test_the_features_of_a_net_with_several_heads_stand_side_by_side():
    """What enters the heads of DeiT's class token and of its distillation token."""
    name = "timm:deit_tiny_distilled_patch16_224"
    spec = MODELS[name].variants["small"]
    torch.manual_seed(0)
    net = Checkpoint(spec.build(7, 0.0).eval(), Card(name, "small", EMOTIONS, spec.preprocess), "deit")
    tokens = net.model.forward_features(model_input(random_faces(2), spec.preprocess))
    np.testing.assert_allclose(extract(net, faces(2)).values, tokens[:, :2].flatten(1), atol=1e-4)
