"""Features and first filters of every registered form of every architecture."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.learnt.depth import by_depth
from analysis.learnt.features import extract, last_layers
from analysis.learnt.filters import first_filters
from fer.data import FaceSet
from fer.data.preprocess import standardise
from fer.evaluation import evaluate_checkpoint
from fer.models import MODELS
from fer.models.ensemble import DEFAULT_MEMBERS, Ensemble, member_input
from tests.contracts.test_models import as_checkpoint, every_form


def faces(n: int) -> FaceSet:
    images = torch.randint(0, 256, (n, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return FaceSet(images, torch.arange(n) % 7, tuple(map(str, range(n))), "validation")


@every_form
@torch.no_grad()
def test_the_last_layer_makes_the_logits_out_of_the_features(name, variant):
    checkpoint = as_checkpoint(name, variant)
    found = extract(checkpoint, faces(2))
    layers = last_layers(checkpoint)
    parts = torch.from_numpy(found.values.copy()).split([layer.in_features for layer in layers], dim=1)
    scores = [layer(part) for layer, part in zip(layers, parts, strict=True)]
    if isinstance(checkpoint.model, Ensemble):  # equal shares: the mean of the members' probabilities
        logits = torch.stack([score.softmax(1) for score in scores]).mean(0).log()
    else:
        (logits,) = scores
    np.testing.assert_allclose(found.table.logits, logits, atol=1e-4)
    np.testing.assert_allclose(found.table.logits, evaluate_checkpoint(checkpoint, faces(2)).logits, atol=1e-5)


@every_form
def test_a_filter_is_the_gradient_of_an_answer_in_the_pixels_it_sees(name, variant):
    checkpoint = as_checkpoint(name, variant)
    banks, ensemble = first_filters(checkpoint), isinstance(checkpoint.model, Ensemble)
    inputs = [member_input(member) for member in DEFAULT_MEMBERS] if ensemble else [checkpoint.card.preprocess]
    for bank, preprocess in zip(banks, inputs, strict=True):
        layer = checkpoint.model.get_submodule(bank.layer)
        pixels = torch.rand(1, 1, preprocess.size, preprocess.size, requires_grad=True)
        answers = layer(standardise(pixels, preprocess))
        y, x = answers.shape[2] // 2, answers.shape[3] // 2
        top, left = (place * layer.stride[0] - layer.padding[0] for place in (y, x))
        height, width = bank.weights.shape[1:]
        for rank in (0, 1, len(bank.weights) - 1):
            (gradient,) = torch.autograd.grad(answers[0, bank.places[rank], y, x], pixels, retain_graph=True)
            seen = gradient[0, 0, top : top + height, left : left + width]
            np.testing.assert_allclose(seen, bank.weights[rank], atol=1e-5)
            assert gradient.abs().sum() == pytest.approx(float(np.abs(bank.weights[rank]).sum()), rel=1e-4)
        assert sorted(bank.places) == list(range(layer.out_channels))
        assert (np.diff(bank.norms) <= 0).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_maps_by_depth_exist_at_every_stage(name):
    """Of the small forms; the answers are made the labels, so that there is a hit."""
    checkpoint, seen = as_checkpoint(name, "small"), faces(3)
    answers = extract(checkpoint, seen).table.predicted
    told: list[tuple[int, int]] = []
    seen = FaceSet(seen.images, torch.from_numpy(answers.copy()), seen.names, "validation")
    found = by_depth(checkpoint, seen, extract(checkpoint, seen).table, lambda *now: told.append(now))
    assert len(found.layers) >= 2 and told[-1] == (len(found.layers), len(found.layers))
    assert [spread.layer for spread in found.spreads] == list(found.layers)
    assert {row is None for row in found.rows} == {False, True} or len(set(answers)) == 7
    for line, spread in zip(found.heatmaps, found.spreads, strict=True):
        assert [heatmap is None for heatmap in line] == [row is None for row in found.rows]
        assert spread.n + spread.empty == 3
    assert any(spread.n for spread in found.spreads)


@every_form
@torch.no_grad()
def test_the_layer_of_the_filters_is_the_first_convolution_that_is_run(name, variant):
    checkpoint = as_checkpoint(name, variant)
    used: list[str] = []
    for module_name, module in checkpoint.model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, module_name=module_name: used.append(module_name))
    preprocess = checkpoint.card.preprocess
    checkpoint.model(torch.zeros(1, preprocess.channels, preprocess.size, preprocess.size))
    for first in (bank.layer for bank in first_filters(checkpoint)):
        prefix = ".".join(first.split(".")[:2]) if first.startswith("members.") else ""
        assert next(layer for layer in used if layer.startswith(prefix)) == first
