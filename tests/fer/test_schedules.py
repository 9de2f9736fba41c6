"""Learning rates: schedules against torch's, the rate of a run against hand computations, groups of the optimizers."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from fer.config import Optimizer, RunConfig, Schedule
from fer.data import load
from fer.models import MODELS
from fer.overrides import with_values
from fer.schedules import Plateau, cosine, one_cycle, steps, warmup
from fer.training.fit import rate_at
from fer.training.freezing import stages
from fer.training.hardware import Hardware, make_fabric
from fer.training.history import Epoch
from fer.training.optimizers import make_optimizer, set_rate
from fer.training.plan import make_model, make_plan
from fer.training.trainer import Trainer, make_trainer

SCHEDULES = dataclasses.fields(Schedule)[0].metadata["allowed"]
OPTIMIZERS = dataclasses.fields(Optimizer)[0].metadata["allowed"]


def plain_optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def rates_of(scheduler: lr_scheduler.LRScheduler, count: int) -> list[float]:
    """The rates that a scheduler of torch gives to ``count`` steps."""
    rates = []
    for _ in range(count):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


# the shapes


@pytest.mark.parametrize("share", [0.1, 0.3, 0.75])
@pytest.mark.parametrize("last", [20, 101])
def test_one_cycle_is_torchs_step_by_step(share, last):
    # torch reaches the top at step pct_start · total − 1
    scheduler = lr_scheduler.OneCycleLR(
        plain_optimizer(1.0), 1.0, total_steps=last + 1, pct_start=(share * last + 1) / (last + 1)
    )
    expected = [*rates_of(scheduler, last), 1 / 25 / 1e4]
    np.testing.assert_allclose([one_cycle(step / last, share) for step in range(last + 1)], expected, rtol=1e-9, atol=1e-12)


def test_cosine_is_torchs_step_by_step():
    expected = rates_of(lr_scheduler.CosineAnnealingLR(plain_optimizer(1.0), T_max=50), 50)
    np.testing.assert_allclose([cosine(step / 50) for step in range(50)], expected, atol=1e-9)


@pytest.mark.parametrize("every, factor", [(1, 0.5), (3, 0.1), (10, 0.75), (100, 0.5)])
def test_steps_are_torchs_epoch_by_epoch(every, factor):
    expected = rates_of(lr_scheduler.StepLR(plain_optimizer(1.0), every, factor), 40)
    np.testing.assert_allclose([steps(epoch, every, factor) for epoch in range(1, 41)], expected, rtol=1e-9)


@pytest.mark.parametrize("factor, patience, floor", [(0.75, 5, 1e-4), (0.5, 0, 0.02), (0.1, 2, 0.05)])
def test_the_plateau_is_torchs_epoch_by_epoch(factor, patience, floor):
    optimizer, plateau = plain_optimizer(1.0), Plateau(factor, patience, floor)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor, patience, threshold=0, min_lr=floor, eps=0)
    rng = np.random.default_rng(4)
    for loss in 1 / np.arange(1, 121) + rng.normal(0, 0.05, 120):
        scheduler.step(loss)
        assert plateau.update(loss) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert plateau.value < 1


@pytest.mark.parametrize(
    "shape, share, ends",
    [
        (warmup, 0.0, (1, 1)),
        (warmup, 1.0, (0, 1)),
        (cosine, 0.0, (1, 0)),
        (cosine, 1.0, (0, 1)),
        (one_cycle, 0.0, (1, 4e-6)),
        (one_cycle, 1.0, (0.04, 1)),
        (one_cycle, 0.3, (0.04, 4e-6)),
    ],
)
def test_a_warm_up_over_nothing_or_the_whole_run_is_no_special_case(shape, share, ends):
    values = [shape(progress, share) for progress in np.linspace(0, 1, 101)]
    assert (values[0], values[-1]) == pytest.approx(ends, abs=1e-12)
    assert min(values) >= 0 and max(values) <= 1


@pytest.mark.parametrize("shape", [cosine, one_cycle])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_the_top_is_one_where_the_warm_up_ends_and_nowhere_jumps(shape, share):
    values = np.array([shape(progress, share) for progress in np.linspace(0, 1, 10_001)])
    assert shape(share, share) == pytest.approx(1) and values.max() <= 1
    assert np.abs(np.diff(values)).max() < 0.004


# the rate of a run


@pytest.fixture(scope="module")
def trainer_of(fake_folder):
    corpus = load(fake_folder)

    def make(**values: object) -> tuple[RunConfig, Trainer]:
        usual = {"model": "baseline", "precision": "fp32", "batch_size": 21, "epochs": 10, "lr": 0.02, "warmup": 0.0}
        config = with_values(RunConfig(), {**usual, **values}, "test")
        plan = make_plan(config, corpus.split("train"))
        return config, make_trainer(make_fabric(Hardware("cpu"), plan), make_model(plan), plan)

    return make


def in_epoch(trainer: Trainer, epoch: int) -> Trainer:
    trainer.history.epochs = [Epoch(number, 0.1, 1, 0, 1, 0, 1) for number in range(1, epoch)]
    return trainer


@pytest.mark.parametrize(
    "values, epoch, progress, expected",
    [
        ({"schedule": "cosine"}, 6, 0.5, 0.01),
        ({"schedule": "cosine", "warmup": 0.5}, 3, 0.25, 0.01),
        ({"schedule": "one-cycle", "warmup": 0.3}, 1, 0.0, 0.02 / 25),
        ({"schedule": "one-cycle", "warmup": 0.3}, 4, 0.3, 0.02),
        ({"schedule": "one-cycle", "warmup": 0.3}, 10, 1.0, 0.02 / 25 / 1e4),
        ({"schedule": "step", "step_epochs": 2, "factor": 0.5}, 5, 0.4, 0.005),
        ({"schedule": "step", "step_epochs": 2, "factor": 0.5, "warmup": 0.8}, 5, 0.4, 0.0025),
        ({"schedule": "step", "step_epochs": 1, "factor": 0.1, "min_lr": 0.001}, 9, 0.8, 0.001),
        ({"schedule": "constant"}, 10, 0.99, 0.02),
        ({"schedule": "constant", "warmup": 1.0}, 10, 0.9, 0.018),
        ({"schedule": "constant", "min_lr": 0.5}, 10, 0.9, 0.02),  # a floor above the rate does not lift it
        ({"schedule": "plateau"}, 10, 0.9, 0.02),
        ({"schedule": "plateau", "min_lr": 0.5}, 10, 0.9, 0.02),
    ],
)
def test_the_rate_by_hand(trainer_of, values, epoch, progress, expected):
    config, trainer = trainer_of(**values)
    assert rate_at(config, in_epoch(trainer, epoch), progress) == pytest.approx(expected, rel=1e-9)


def test_the_plateau_falls_to_the_least_rate_and_no_further(trainer_of):
    config, trainer = trainer_of(**{"schedule": "plateau", "factor": 0.5, "schedule.patience": 0, "min_lr": 0.003})
    rates = []
    for _ in range(6):
        rates.append(rate_at(config, trainer, 0.5))
        trainer.plateau.update(1.0)
    assert rates == pytest.approx([0.02, 0.02, 0.01, 0.005, 0.003, 0.003])


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_stays_within_the_base_rate_and_halves_after_a_rollback(trainer_of, name):
    config, trainer = trainer_of(schedule=name, warmup=0.2)
    before = []
    for epoch in range(1, 11):
        before.append(rate_at(config, in_epoch(trainer, epoch), (epoch - 1) / 10))
    assert max(before) == pytest.approx(0.02) and min(before) >= 0 and len(set(before)) > 1
    trainer.rate_factor = 0.5
    after = [rate_at(config, in_epoch(trainer, epoch), (epoch - 1) / 10) for epoch in range(1, 11)]
    assert after == pytest.approx([rate / 2 for rate in before])


# optimizers


def small_net() -> tuple[nn.Module, list[list[str]]]:
    spec = MODELS["custom_cnn"].variants["small"]
    torch.manual_seed(0)
    net = spec.build(7, 0.2)
    return net, stages(net, spec.head)


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_parameter_has_the_rate_of_its_stage_and_only_matrices_are_decayed(name, layer_decay):
    net, by_stage = small_net()
    optimizer = make_optimizer(net, Optimizer(name, lr=0.1, weight_decay=0.02, layer_decay=layer_decay), by_stage)
    set_rate(optimizer, 0.08)
    placed = [(id(p), group) for group in optimizer.param_groups for p in group["params"]]
    groups = dict(placed)
    assert len(placed) == len(groups) == len(list(net.parameters()))
    for distance, stage in enumerate(reversed(by_stage)):
        for parameter in (net.get_parameter(key) for key in stage):
            group = groups[id(parameter)]
            assert group["lr"] == pytest.approx(0.08 * layer_decay**distance)
            assert group["weight_decay"] == (0.02 if parameter.ndim > 1 else 0)


@pytest.mark.parametrize("name, kind", [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_three_steps_are_those_of_torchs_optimizer(name, kind):
    """Against torch's optimizer over the bare tensors, set up here by hand."""
    layer, rate = nn.Linear(3, 2), 0.05
    twins = [nn.Parameter(p.detach().clone()) for p in layer.parameters()]
    own = {"momentum": 0.8, "nesterov": True} if name == "sgd" else {"betas": (0.8, 0.999)}
    settings = [{"params": twins[:1], "weight_decay": 0.3}, {"params": twins[1:], "weight_decay": 0.0}]
    theirs = kind(settings, lr=rate, **own)
    ours = make_optimizer(layer, Optimizer(name, lr=rate, momentum=0.8, weight_decay=0.3), [["weight", "bias"]])
    assert type(ours) is kind
    for step in range(3):
        for parameter, twin in zip(layer.parameters(), twins, strict=True):
            parameter.grad = torch.full_like(parameter, 0.1 * (step - 1))
            twin.grad = parameter.grad.clone()
        ours.step()
        theirs.step()
    for parameter, twin in zip(layer.parameters(), twins, strict=True):
        assert torch.equal(parameter, twin)


@pytest.mark.parametrize("name, expected", [("sgd", 1 - 0.1 * 0.5), ("adam", 1 - 0.1), ("adamw", 1 - 0.1 * 0.5)])
def test_decay_alone_shrinks_a_weight_as_each_optimizer_means_it(name, expected):
    """Adam takes the decay for a gradient and goes a whole rate; AdamW and SGD without momentum go rate · decay."""
    layer = nn.Linear(1, 1)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    momentum = 0.0 if name == "sgd" else 0.9
    optimizer = make_optimizer(layer, Optimizer(name, lr=0.1, momentum=momentum, weight_decay=0.5), [["weight", "bias"]])
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert layer.weight.item() == pytest.approx(expected, abs=1e-6) and layer.bias.item() == 1
    assert math.isclose(optimizer.param_groups[0]["lr"], 0.1)
