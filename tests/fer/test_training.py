"""The parts of training, each against a hand computation."""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from fer.config import RunConfig
from fer.data import load
from fer.data.sampling import balanced_class_weights
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError
from fer.losses import one_hot, smooth, soft_cross_entropy
from fer.models import MODELS
from fer.overrides import with_values
from fer.schedules import Plateau, cosine, warmup
from fer.training import formats
from fer.training.ema import Average
from fer.training.fit import Hooks, Job, epoch_batches, fit
from fer.training.hardware import Hardware, make_fabric
from fer.training.history import Epoch, History
from fer.training.objective import make_objective
from fer.training.plan import make_model, make_plan
from fer.training.tally import DivergedError
from fer.training.trainer import Trainer, make_trainer
from tests.conftest import ROOT

# losses and class weights


def test_smoothing_shares_its_part_evenly_by_all_classes():
    targets = smooth(one_hot(torch.tensor([2, 0]), 4), 0.2)
    np.testing.assert_allclose(targets, [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]], atol=1e-7)


def test_without_smoothing_a_target_is_its_label_alone():
    assert smooth(one_hot(torch.tensor([1]), 3), 0.0).tolist() == [[0.0, 1.0, 0.0]]


def test_soft_cross_entropy_is_the_sum_of_minus_target_times_log_probability():
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [math.log(4.0), math.log(1.0)]])  # probabilities ¼ ¾, ⅘ ⅕
    targets = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    expected = [-math.log(0.75), -0.5 * math.log(0.8) - 0.5 * math.log(0.2)]
    assert soft_cross_entropy(logits, targets).tolist() == pytest.approx(expected, rel=1e-6)


def test_class_weights_multiply_each_class_in_soft_cross_entropy():
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [math.log(4.0), math.log(1.0)]])
    targets = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    expected = [-10 * math.log(0.75), -2 * 0.5 * math.log(0.8) - 10 * 0.5 * math.log(0.2)]
    losses = soft_cross_entropy(logits, targets, torch.tensor([2.0, 10.0]))
    assert losses.tolist() == pytest.approx(expected, rel=1e-6)


def test_balanced_weights_of_fer_2013_are_the_known_ones():
    counts = dict(zip(EMOTIONS, [3995, 436, 4097, 7215, 4965, 4830, 3171], strict=True))
    np.testing.assert_allclose(balanced_class_weights(counts), [1.03, 9.41, 1.00, 0.57, 0.83, 0.85, 1.29], atol=0.006)


def test_balanced_weights_make_every_class_count_alike():
    counts = {"angry": 3, "fear": 12, "sad": 5}
    shares = np.multiply(balanced_class_weights(counts), list(counts.values()))
    np.testing.assert_allclose(shares, [20 / 3] * 3, rtol=1e-5)


def test_a_class_without_images_has_no_balanced_weight():
    with pytest.raises(DataError, match="no image of sad"):
        balanced_class_weights({"happy": 3, "sad": 0})


# schedules


def test_warm_up_rises_in_a_line_and_stays():
    assert [warmup(p, 0.2) for p in (0.0, 0.05, 0.1, 0.2, 0.9)] == pytest.approx([0, 0.25, 0.5, 1, 1])
    assert warmup(0.0, 0.0) == 1


def test_cosine_falls_from_one_to_zero_after_the_warm_up():
    assert [cosine(p, 0.2) for p in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.5, 1, 0.5, 0], abs=1e-12)
    assert cosine(0.25) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_cosine_never_rises_once_it_falls():
    values = [cosine(p / 100, 0.1) for p in range(10, 101)]
    assert all(later < earlier for earlier, later in pairwise(values))


def test_the_plateau_shrinks_by_a_quarter_after_more_than_five_epochs_without_gain():
    plateau = Plateau()
    assert [plateau.update(1.0) for _ in range(6)] == [1.0] * 6  # the first is a gain, five are waited for
    assert plateau.update(1.0) == 0.75
    assert [plateau.update(1.0) for _ in range(6)] == [0.75] * 5 + [0.75**2]


def test_a_gain_starts_the_plateaus_patience_anew():
    plateau = Plateau(patience=1)
    assert [plateau.update(loss) for loss in (1.0, 1.0, 0.9, 0.95, 0.95)] == [1.0, 1.0, 1.0, 1.0, 0.75]


def test_the_plateau_has_a_floor():
    plateau = Plateau(factor=0.1, patience=0, floor=0.05)
    for _ in range(5):
        plateau.update(1.0)
    assert plateau.value == 0.05


# the moving average


def weight_only(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_follows_by_its_decay_forgetting_faster_at_the_start():
    model = weight_only(0.0)
    average = Average(model, decay=0.2)
    nn.init.constant_(model.weight, 1.0)
    average.update(model)  # decay min(0.2, 2/11) = 2/11
    first = 1 - 2 / 11
    assert average.model.weight.item() == pytest.approx(first, rel=1e-6)
    average.update(model)  # decay min(0.2, 3/12) = 0.2
    assert average.model.weight.item() == pytest.approx(0.2 * first + 0.8, rel=1e-6)
    assert model.weight.item() == 1.0


def test_an_average_without_decay_is_the_model():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = Average(model, decay=0.0)
    model(torch.randn(8, 3))
    nn.init.constant_(model[0].weight, 0.3)
    average.update(model)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(average.model.state_dict()[name], value)


def test_the_average_keeps_counters_whole_and_is_not_trained():
    model = nn.BatchNorm1d(3)
    average = Average(model, decay=0.9)
    for _ in range(4):
        model(torch.randn(8, 3))
        average.update(model)
    assert average.model.num_batches_tracked.item() == 4
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())


# augmentation


# the loop


@pytest.fixture
def faces(fake_folder):
    corpus = load(fake_folder)
    return corpus.split("train"), corpus.split("validation")


def config_of(**values: object) -> RunConfig:
    usual = {"model": "baseline", "precision": "fp32", "batch_size": 21, "epochs": 2, "warmup": 0.0, "lr": 0.01}
    return with_values(RunConfig(), {**usual, **values}, "test")


def made(config: RunConfig, faces) -> tuple[Job, Trainer]:
    plan = make_plan(config, faces[0])
    fabric = make_fabric(Hardware("cpu"), plan)
    job = Job(fabric, plan, make_objective(plan, fabric, faces[0]), *faces)
    return job, make_trainer(fabric, make_model(plan), plan)


SILENT = Hooks(lambda *_: None, lambda _: None)


def test_early_stopping_ends_a_run_that_no_longer_gains(faces):
    config = config_of(epochs=20, lr=1e-9, early_stopping=2)
    job, trainer = made(config, faces)
    history = fit(job, trainer, SILENT)
    assert history.best.epoch == 1
    assert len(history) == 3


def test_a_run_that_early_stopping_ended_is_not_continued(faces):
    config = config_of(epochs=20, lr=1e-9, early_stopping=2)
    job, trainer = made(config, faces)
    fit(job, trainer, SILENT)
    assert len(fit(job, trainer, SILENT)) == 3


def test_without_early_stopping_all_epochs_are_trained(faces):
    job, trainer = made(config_of(epochs=4, lr=1e-9), faces)
    assert [epoch.epoch for epoch in fit(job, trainer, SILENT)] == [1, 2, 3, 4]


def test_the_caller_hears_of_every_step_and_epoch(faces):
    steps, epochs = [], []
    job, trainer = made(config_of(), faces)
    hooks = Hooks(lambda *step: steps.append(step), lambda t: epochs.append(len(t.history)))
    fit(job, trainer, hooks)
    assert steps == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)]
    assert epochs == [1, 2]


def test_the_learning_rate_follows_the_cosine(faces):
    config = config_of(epochs=4, batch_size=42, lr=0.01)  # one step an epoch
    job, trainer = made(config, faces)
    rates = [epoch.lr for epoch in fit(job, trainer, SILENT)]
    assert rates == pytest.approx([0.01 * 0.5 * (1 + math.cos(math.pi * share)) for share in (0, 0.25, 0.5, 0.75)])


def test_the_learning_rate_follows_the_plateau(faces):
    job, trainer = made(config_of(epochs=1, schedule="plateau", lr=0.01), faces)
    trainer.plateau.value = 0.5
    (epoch,) = fit(job, trainer, SILENT)
    assert epoch.lr == pytest.approx(0.005)


def test_the_same_seed_trains_the_same_weights(faces):
    results = []
    for seed in (1, 1, 2):
        job, trainer = made(config_of(seed=seed, mixup=0.2), faces)
        fit(job, trainer, SILENT)
        results.append(torch.cat([p.detach().flatten() for p in trainer.average.model.parameters()]))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_the_averaged_network_is_judged(faces):
    job, trainer = made(config_of(ema=0.9, lr=0.1), faces)
    history = fit(job, trainer, SILENT)
    pixels, labels = (faces[1].images / 255 - 0.5077) / 0.2550, faces[1].labels
    with torch.no_grad():
        own, learner = (nn.functional.cross_entropy(net.eval()(pixels), labels) for net in (trainer.average.model, trainer.net))
    assert history.epochs[-1].validation_loss == pytest.approx(float(own), rel=1e-4)
    assert abs(float(own - learner)) > 1e-3


def test_the_average_takes_in_a_step_that_is_done(faces):
    job, trainer = made(config_of(ema=0.5, lr=0.1, batch_size=42, epochs=1), faces)  # one step
    start = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    fit(job, trainer, SILENT)
    net, average = trainer.net.state_dict(), trainer.average.model.state_dict()
    assert any(not torch.equal(net[name], start[name]) for name in start)
    for name, value in start.items():  # decay min(0.5, 2/11) = 2/11
        torch.testing.assert_close(average[name], 2 / 11 * value + 9 / 11 * net[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("n", "processes", "sizes"),
    [(22, 1, [22]), (23, 1, [21, 2]), (21, 1, [21]), (1, 1, [1]), (24, 2, [24]), (25, 2, [21, 4]), (45, 2, [21, 24])],
)
def test_every_process_has_two_faces_in_every_batch(n, processes, sizes):
    fabric = SimpleNamespace(device=torch.device("cpu"), world_size=processes)
    batches = epoch_batches(n, config_of(batch_size=21), 1, fabric)
    assert [len(batch) for batch in batches] == sizes
    assert sorted(torch.cat(batches).tolist()) == list(range(n))


def test_a_loss_that_is_no_longer_finite_is_an_expected_error(faces):
    job, trainer = made(config_of(), faces)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError, match="the loss is not finite in step 1 of epoch 1"):
        fit(job, trainer, SILENT)


def test_the_seconds_of_an_epoch_hold_those_before_a_stop(faces):
    (_, stopped), (job, trainer) = made(config_of(), faces), made(config_of(), faces)
    trainer.restore(stopped.state() | {"step": 1, "seconds": 1000.0}, stopped.average.model.state_dict())
    first, second = fit(job, trainer, SILENT)
    assert 1000 < first.seconds < 1500 and second.seconds < 500


@pytest.mark.parametrize("optimizer, kind", [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_norms_and_biases_are_not_decayed(optimizer, kind, faces):
    config = config_of(model="custom_cnn", optimizer=optimizer, weight_decay=0.01)
    _, trainer = made(config, faces)
    decayed, free = trainer.optimizer.param_groups
    assert isinstance(trainer.optimizer, kind) or isinstance(getattr(trainer.optimizer, "optimizer", None), kind)
    assert decayed["weight_decay"] == 0.01 and {p.ndim for p in decayed["params"]} == {2, 4}
    assert free["weight_decay"] == 0 and {p.ndim for p in free["params"]} == {1}
    assert len(decayed["params"]) + len(free["params"]) == len(list(trainer.model.parameters()))


# the plan


def test_balanced_weights_come_from_the_training_counts(faces):
    train = faces[0].select(torch.arange(len(faces[0])) >= 3)  # three angry faces fewer
    plan = make_plan(config_of(class_weights="balanced"), train)
    assert plan.class_weights == pytest.approx([39 / (7 * 3)] + [39 / (7 * 6)] * 6, rel=1e-5)
    assert make_plan(config_of(), train).class_weights == (1.0,) * 7


def test_the_number_format_is_the_one_asked_for_or_the_one_that_pays(faces, monkeypatch):
    def is_half(name: str, device: str) -> bool:
        return make_plan(config_of(precision=name), faces[0]).format_on(device).bf16

    for kind in ("cpu", "cuda"):
        for pays in (True, False):
            monkeypatch.setattr(formats, "bf16_pays", lambda device, pays=pays, kind=kind: pays if device == kind else not pays)
            assert (is_half("fp32", kind), is_half("bf16", kind), is_half("auto", kind)) == (False, True, pays)


@pytest.mark.parametrize(
    ("rates", "precision", "expected"),
    [
        ((1, 2, 3, 4), "auto", (True, True)),
        ((1, 2, 4, 3), "auto", (True, False)),
        ((1, 4, 3, 2), "auto", (False, True)),
        ((4, 1, 3, 2), "auto", (False, False)),
        ((2, 1, 3, 4), "fp32", (False, False)),
        ((3, 4, 2, 1), "bf16", (True, False)),
    ],
)
def test_the_format_is_the_fastest_of_the_measured_ones(rates, precision, expected, monkeypatch):
    monkeypatch.setattr(formats, "FACES_PER_SECOND", {"baseline": rates})
    monkeypatch.setattr(formats, "bf16_pays", lambda device: True)
    chosen = formats.fastest_format("baseline", precision, "cpu")
    assert (chosen.bf16, chosen.channels_last) == expected
    for name, device in (("timm:any", "cpu"), ("baseline", "cuda")):
        for native in (True, False):
            monkeypatch.setattr(formats, "bf16_pays", lambda device, native=native: native)
            other = formats.fastest_format(name, precision, device)
            assert other.channels_last and other.bf16 == {"auto": native, "fp32": False, "bf16": True}[precision]


def test_every_architecture_was_measured_in_all_formats():
    assert set(formats.FACES_PER_SECOND) == set(MODELS)
    assert all(len(rates) == len(formats.FORMATS) for rates in formats.FACES_PER_SECOND.values())
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for name, rates in formats.FACES_PER_SECOND.items():
        best = max(rates)
        cells = [f"**{rate}**" if rate == best else str(rate) for rate in rates]
        assert f"| {name} | {' | '.join(cells)} |" in text


def test_a_net_lies_in_memory_as_its_format_says(faces, monkeypatch):
    for rates, layout in (((1, 2, 1, 1), torch.channels_last), ((2, 1, 1, 1), torch.contiguous_format)):
        monkeypatch.setattr(formats, "FACES_PER_SECOND", {"baseline": rates})
        plan = make_plan(config_of(precision="fp32"), faces[0])
        fabric = Fabric(accelerator="cpu", devices=1)
        trainer = make_trainer(fabric, plan.spec.build(7, 0.5), plan)
        assert trainer.net.conv2[0].weight.is_contiguous(memory_format=layout)


def test_the_first_epochs_may_see_smaller_faces(faces):
    plan = make_plan(config_of(model="custom_cnn", epochs=4, small_epochs=2, small_size=32), faces[0])
    assert [plan.input_at(epoch).size for epoch in (1, 2, 3, 4)] == [32, 32, 48, 48]
    assert plan.preprocess.size == 48


def test_a_net_of_fixed_size_refuses_another_one(faces):
    with pytest.raises(ConfigError, match="baseline takes 48-pixel faces only"):
        make_plan(config_of(input_size=64), faces[0])


# the record


def rows(*accuracies: float) -> History:
    return History([Epoch(i, 0.1, 1.5, 0.25, 1.25, a, 3.5) for i, a in enumerate(accuracies, 1)])


def test_the_best_epoch_is_the_earliest_of_the_most_accurate():
    assert rows(0.2, 0.5, 0.5, 0.4).best.epoch == 2


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    rows(0.2, 0.5).save(tmp_path / "history.csv")
    assert History.load(tmp_path / "history.csv") == rows(0.2, 0.5)


def test_a_file_that_is_no_record_is_an_expected_error(tmp_path):
    (tmp_path / "history.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.csv"):
        History.load(tmp_path / "history.csv")
