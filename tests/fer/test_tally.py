"""Sums over an epoch: figures against scikit-learn, the first bad step, and which epoch a monitored figure makes the best."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import load
from fer.metrics import scores
from fer.overrides import with_values
from fer.training.fit import clip_gradients
from fer.training.history import Epoch, History
from fer.training.run import Watch, train
from fer.training.tally import DivergedError, Tally

NAN, INF = math.nan, math.inf


def random_batches(classes: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(losses, logits, labels) of batches of uneven size; class 1 has no face and is never the answer."""
    generator, batches = torch.Generator().manual_seed(seed), []
    for n in (5, 64, 1, 30):
        logits = torch.randn(n, classes, generator=generator)
        logits[:, 1] = -10
        labels = torch.randint(0, classes, (n,), generator=generator)
        labels[labels == 1] = 0
        batches.append((torch.rand(n, generator=generator), logits, labels))
    return batches


@pytest.mark.parametrize("classes", [2, 4, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_figures_of_an_epoch_are_those_of_scikit_learn(classes, seed):
    tally, batches = Tally.empty(classes), random_batches(classes, seed)
    for batch in batches:
        tally.add(*batch)
    losses, logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    predicted, every = logits.argmax(1), list(range(classes))
    assert tally.count == 100
    assert tally.mean_loss == pytest.approx(losses.double().mean().item(), rel=1e-6)
    assert tally.confusion.tolist() == sk.confusion_matrix(labels, predicted, labels=every).tolist()
    macro = sk.precision_recall_fscore_support(labels, predicted, labels=every, average="macro", zero_division=0.0)
    assert tally.scores == pytest.approx((sk.accuracy_score(labels, predicted), *macro[:3]))


def test_nothing_counted_is_no_division_by_zero():
    tally = Tally.empty(3)
    assert (tally.count, tally.mean_loss) == (0, 0.0)
    assert tally.scores == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_any_confusion_matrix_are_those_of_scikit_learn(seed):
    """Also where classes have no face, no answer, or neither."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 8))
    matrix = rng.integers(0, 30, (size, size)) * (rng.random((size, size)) < 0.5)
    matrix[rng.integers(size)] = 0
    matrix[:, rng.integers(size)] = 0
    matrix[0, 0] += 1
    labels, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    macro = sk.precision_recall_fscore_support(labels, predicted, labels=list(range(size)), average="macro", zero_division=0.0)
    assert scores(matrix) == pytest.approx((sk.accuracy_score(labels, predicted), *macro[:3]))


def test_a_tally_is_restored_as_it_was_kept():
    tally = Tally.empty(7)
    for batch in random_batches(7, 3):
        tally.add(*batch)
    tally.inspect(4, torch.tensor(NAN), torch.ones(2))
    loss, figures = tally.mean_loss, tally.scores
    again = Tally.restored(tally.state(), "cpu")
    tally.add(*random_batches(7, 4)[0])  # what is counted later is not in the copy
    assert (again.count, again.mean_loss, again.scores) == (100, loss, figures)
    assert again.bad.tolist() == [4, -1]


# what is not finite

NAMES = ["conv.weight", "conv.bias", "head.weight"]


@pytest.mark.parametrize(
    "steps, message",
    [
        ([(1.0, [1, 1, 1])], None),
        ([(0.0, [0, 0, 0])], None),
        ([(NAN, [1, 1, 1])], "the loss is not finite in step 1 of epoch 3"),
        ([(-INF, [1, 1, 1])], "the loss is not finite in step 1 of epoch 3"),
        ([(1.0, [1, NAN, 1])], "the gradient of conv.bias is not finite in step 1 of epoch 3"),
        ([(1.0, [1, 1, INF])], "the gradient of head.weight is not finite in step 1 of epoch 3"),
        ([(1.0, [INF, NAN, NAN])], "the gradient of conv.weight is not finite in step 1 of epoch 3"),
        ([(NAN, [NAN, NAN, NAN])], "the loss is not finite in step 1 of epoch 3"),
        ([(1.0, [1, 1, 1]), (1.0, [1, 1, NAN]), (NAN, [1, 1, 1])], "the gradient of head.weight is not finite in step 2"),
        ([(1.0, [1, 1, 1]), (NAN, [1, 1, 1]), (1.0, [1, 1, 1])], "the loss is not finite in step 2 of epoch 3"),
    ],
)
def test_the_first_bad_step_and_its_first_tensor_are_named(steps, message):
    tally = Tally.empty(7)
    for step, (loss, gradients) in enumerate(steps):
        tally.inspect(step, torch.tensor(loss), torch.tensor([float(g) for g in gradients]))
    if message is None:
        tally.check(3, NAMES)
        assert tally.bad.tolist() == [-2, -2]
        return
    with pytest.raises(DivergedError) as caught:
        tally.check(3, NAMES)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("largest", [0.0, 0.5, 1e6])
def test_gradients_are_clipped_as_torch_clips_them(largest):
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(4, 3) for _ in range(2))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        one.grad = torch.randn_like(one)
        other.grad = one.grad.clone()
    expected = [float(p.grad.norm()) for p in theirs.parameters()]
    if largest:
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), largest)
    assert clip_gradients(ours, largest).tolist() == pytest.approx(expected)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


# the best epoch

MONITORS = {"accuracy": "validation_accuracy", "loss": "validation_loss", "macro_f1": "validation_macro_f1"}


def rows(monitor: str) -> History:
    """Epoch 1 has the lowest loss, 2 the best accuracy, 3 the best macro F1; 4 equals the best of each."""
    figures = [(1.0, 0.5, 0.2), (1.5, 0.7, 0.3), (1.4, 0.6, 0.4), (1.0, 0.7, 0.4)]
    made = [Epoch(i, 0.1, 1, 0, loss, accuracy, 1, f1) for i, (loss, accuracy, f1) in enumerate(figures, 1)]
    return History(made, monitor)


@pytest.mark.parametrize("monitor, best, waited", [("loss", 1, 3), ("accuracy", 2, 2), ("macro_f1", 3, 1)])
def test_the_monitored_figure_decides_which_epoch_is_best(monitor, best, waited):
    assert (rows(monitor).best.epoch, rows(monitor).waited()) == (best, waited)


@pytest.mark.parametrize(
    "since, best, waited",
    [(0, {"loss": 1, "accuracy": 2, "macro_f1": 3}, [3, 2, 1]), (1, {"loss": 4, "accuracy": 2, "macro_f1": 3}, [0, 2, 1]),
     (2, {"loss": 4, "accuracy": 4, "macro_f1": 3}, [0, 0, 1]), (4, {}, [0, 0, 0])],
)  # fmt: skip
def test_figures_of_other_faces_are_not_compared(since, best, waited):
    histories = {monitor: rows(monitor) for monitor in MONITORS}
    for history in histories.values():
        history.since = since
    assert {monitor: histories[monitor].best.epoch for monitor in best} == best
    order = [histories[monitor] for monitor in ("loss", "accuracy", "macro_f1")]
    assert [history.waited() for history in order] == waited


@pytest.mark.parametrize("monitor", MONITORS)
def test_the_kept_checkpoint_is_of_the_best_epoch_of_the_monitored_figure(monitor, fake_zip, tmp_path):
    values = {
        "model": "baseline", "epochs": 4, "batch_size": 42, "precision": "fp32", "lr": 0.2, "ema": 0, "warmup": 0.0,
        "early_stopping.monitor": monitor, "seed": 3,
    }  # fmt: skip
    kept = {}

    def on_trainer(trainer):
        kept["net"] = trainer.average.model

    def on_epoch(epoch, is_best):
        kept[epoch.epoch] = ({name: value.clone() for name, value in kept["net"].state_dict().items()}, is_best)

    train(
        with_values(RunConfig(), values, "test"),
        load(fake_zip),
        tmp_path / "run",
        Watch(on_epoch=on_epoch, on_trainer=on_trainer),
    )
    with (tmp_path / "run" / "history.csv").open(encoding="utf-8", newline="") as file:
        figures = [float(row[MONITORS[monitor]]) for row in csv.DictReader(file)]
    best = figures.index(min(figures) if monitor == "loss" else max(figures)) + 1
    better = min if monitor == "loss" else max
    record = [figure == better(figures[: i + 1]) and figure not in figures[:i] for i, figure in enumerate(figures)]
    assert [kept[epoch][1] for epoch in range(1, 5)] == record
    saved = checkpoints.load(tmp_path / "run" / "best.pth")
    assert saved.card.best_epoch == best
    assert all(torch.equal(value, kept[best][0][name]) for name, value in saved.model.state_dict().items())


@pytest.mark.parametrize("monitor", MONITORS)
def test_early_stopping_waits_for_the_monitored_figure(monitor, fake_zip, tmp_path):
    values = {
        "model": "baseline", "epochs": 10, "batch_size": 42, "precision": "fp32", "lr": 0.4, "ema": 0, "warmup": 0.0,
        "early_stopping": 2, "monitor": monitor,
    }  # fmt: skip
    run = train(with_values(RunConfig(), values, "test"), load(fake_zip), Path(tmp_path / "run"), Watch())
    figures = [row[MONITORS[monitor]] for row in run.history.rows()]
    sign = 1 if monitor == "loss" else -1
    best = [min(range(n), key=lambda i: (sign * figures[i], i)) for n in range(1, len(figures) + 1)]
    waited = [n - 1 - place for n, place in enumerate(best, 1)]
    assert waited[-1] == 2 and len(figures) < 10
    assert not any(wait >= 2 for wait in itertools.islice(waited, len(waited) - 1))
