"""The network that a pretraining judges and settles: the averaged one, here one that answers as nobody else does."""

import pytest
import torch

from fer.config import RunConfig
from fer.data.natural import NaturalImages
from fer.data.preprocess import model_input
from fer.models import MODELS
from fer.overrides import with_values
from fer.training.norms import norms
from fer.training.pretrain import _Learner

SPEC = MODELS["custom_cnn"].variants["small"]


@pytest.fixture
def learner() -> _Learner:
    """All validation images have the label that the averaged network answers; the one that learns always says the last."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    images = {
        split: torch.randint(0, 256, (24, 1, 32, 32), dtype=torch.uint8, generator=generator)
        for split in ("train", "validation")
    }
    labels = {split: torch.arange(24) % 3 for split in images}
    config = with_values(RunConfig(), {"model": "custom_cnn", "precision": "fp32", "batch_size": 8, "ema": 0.9}, "test")
    made = _Learner(
        config, NaturalImages(images, labels, ("a", "b", "c"), "x", "0"), SPEC.preprocess, SPEC.build(3, 0.0), False
    )
    last = [layer for layer in made.net.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        logits = own_logits(made)
        averaged = [layer for layer in made.average.model.modules() if isinstance(layer, torch.nn.Linear)][-1]
        averaged.bias -= logits.mean(0)
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    labels["validation"].copy_(own_logits(made).argmax(1))
    assert len(labels["validation"].unique()) > 1
    return made


@torch.no_grad()
def own_logits(learner: _Learner) -> torch.Tensor:
    return learner.average.model(model_input(learner.natural.images["validation"], SPEC.preprocess))


def test_the_averaged_network_is_judged(learner):
    assert learner.validate() == 1.0
    learner.natural.labels["validation"][:6] += 1  # wrong in six of 24
    assert learner.validate() == 0.75


@pytest.mark.parametrize("before, taken", [(-1.0, True), (1.1, False)])
def test_settled_norms_are_kept_only_where_they_are_better(learner, before, taken):
    learner.accuracy = before
    statistics = [norm.running_mean.clone() for norm in norms(learner.average.model)]
    learner.settle()
    moved = [
        not torch.equal(norm.running_mean, was) for norm, was in zip(norms(learner.average.model), statistics, strict=True)
    ]
    assert moved and set(moved) == {taken}
    right = (own_logits(learner).argmax(1) == learner.natural.labels["validation"]).double().mean()
    assert learner.accuracy == (float(right) if taken else before)
