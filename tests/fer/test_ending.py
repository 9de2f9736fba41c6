"""The end of a run: of its best and its last epoch the better one, judged with settled norms."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fer import checkpoint as checkpoints
from fer.checkpoint import Checkpoint
from fer.config import RunConfig
from fer.data import FaceSet, load
from fer.data.preprocess import standardise, to_unit
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.overrides import with_values
from fer.training.ending import best_ending
from fer.training.history import History
from fer.training.norms import norms, take_statistics
from fer.training.run import Watch, train
from tests.conftest import save_random

MONITORS = {"accuracy": "accuracy", "loss": "log_loss", "macro_f1": "macro_f1"}


@pytest.fixture
def faces(fake_folder) -> tuple[FaceSet, FaceSet]:
    """The validation faces in both places, so that a head solved on them stays solved when norms are settled."""
    _, validation = load(fake_folder).for_training()
    return validation, validation


@pytest.fixture
def net(faces, tmp_path) -> Checkpoint:
    loaded = checkpoints.load(save_random(tmp_path / "net.pth", "custom_cnn", seed=3))
    take_statistics(loaded.model, faces[1].images, loaded.card.preprocess)
    return loaded


def last_layer(checkpoint: Checkpoint) -> nn.Linear:
    head = checkpoint.model.get_submodule(checkpoint.card.spec.head)
    layer = head[-1] if isinstance(head, nn.Sequential) else head
    assert isinstance(layer, nn.Linear)
    return layer


def ended(net: Checkpoint, faces: FaceSet, epoch: int, wrong: int, scale: float, **config: object) -> Checkpoint:
    """An epoch whose settled weights answer all but ``wrong`` faces rightly, as surely as ``scale`` says."""
    found = Checkpoint(checkpoints.build(net.card), replace(net.card, best_epoch=epoch, config=config), "an epoch")
    found.model.load_state_dict(net.model.state_dict())
    found.model.eval()
    last, inputs = last_layer(found), []
    hook = last.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    answers = torch.cat([(faces.labels[:wrong] + 1) % 7, faces.labels[wrong:]])
    with torch.no_grad():
        found.model(standardise(to_unit(faces.images), net.card.preprocess))
        hook.remove()
        wide = torch.cat([inputs[0], torch.ones(len(faces), 1)], 1)
        solved = torch.linalg.lstsq(wide, scale * nn.functional.one_hot(answers, 7).float(), driver="gelsd").solution
        last.weight.copy_(solved[:-1].T)
        last.bias.copy_(solved[-1])
    for norm in norms(found.model):
        norm.running_mean.fill_(3.0)  # statistics of no faces at all
    return found


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize(
    "best, last",
    [((3, 13.0), (1, 13.0)), ((1, 13.0), (3, 13.0)), ((3, 13.0), (5, 0.5)), ((5, 0.5), (3, 13.0)), ((3, 13.0), (3, 2.0))],
    ids=["last is better", "best is better", "best is surer", "last is surer", "as right, less sure"],
)
def test_the_better_by_the_monitored_figure_is_kept(best, last, monitor, net, faces):
    epochs = [ended(net, faces[1], number, *values) for number, values in ((4, best), (9, last))]
    found, table = best_ending(*epochs, faces, monitor)
    figures = []
    for epoch in epochs:
        take_statistics(epoch.model, faces[0].images, epoch.card.preprocess)
        figures.append(evaluate_table(evaluate_checkpoint(Checkpoint(epoch.model, epoch.card, "settled"), faces[1])))
    right = [round(one["accuracy"] * len(faces[1])) for one in figures]
    assert right == [len(faces[1]) - best[0], len(faces[1]) - last[0]]  # the heads are what they should be
    key = MONITORS[monitor]
    order = [(one[key] * (-1 if monitor == "loss" else 1), -one["log_loss"]) for one in figures]
    assert order[0] != order[1]
    chosen = order.index(max(order))
    assert found.card.best_epoch == (4, 9)[chosen] and found.card.settled_norms
    assert evaluate_table(table) == figures[chosen]


def test_of_two_that_are_equal_the_best_epoch_is_kept(net, faces):
    one, other = (ended(net, faces[1], epoch, 2, 13.0) for epoch in (4, 9))
    assert best_ending(one, other, faces, "accuracy")[0].card.best_epoch == 4


@pytest.mark.parametrize("config", [{"mode": "feature-extract"}, {"settle_norms": False}], ids=str)
def test_where_the_run_keeps_its_norms_the_last_epoch_is_not_asked(config, net, faces):
    best, last = ended(net, faces[1], 4, 20, 1.0, **config), ended(net, faces[1], 9, 0, 20.0, **config)
    assert best_ending(best, last, faces, "accuracy")[0] is best


def test_where_the_last_epoch_is_the_best_it_is_settled_once(net, faces):
    told: list[tuple[int, int]] = []
    epoch = ended(net, faces[1], 4, 1, 13.0)
    best_ending(epoch, epoch, faces, "accuracy", lambda *so_far: told.append(so_far))
    n = len(faces[1])
    assert told == [(n, n)] * 3  # as it is, its statistics, as settled


VALUES = {
    "model": "custom_cnn", "input_size": 32, "batch_size": 14, "precision": "fp32", "lr": 0.05, "ema": 0, "warmup": 0.0,
    "epochs": 5, "small_epochs": 0,
}  # fmt: skip


@pytest.mark.parametrize("seed, kept", [(0, 5), (2, 1)])
def test_a_run_keeps_the_better_of_both(seed, kept, fake_zip, tmp_path):
    net, nets, history = [], {}, History()

    def on_epoch(epoch, _):
        nets[epoch.epoch] = {name: value.clone() for name, value in net[0].state_dict().items()}
        history.epochs.append(epoch)

    watch = Watch(on_epoch=on_epoch, on_trainer=lambda trainer: net.append(trainer.average.model))
    corpus = load(fake_zip)
    run = train(with_values(RunConfig(), VALUES | {"seed": seed}, "test"), corpus, tmp_path / "run", watch)
    faces, accuracies = corpus.for_training(), {}
    for epoch in (history.best.epoch, 5):
        model = checkpoints.build(run.card)
        model.load_state_dict(nets[epoch])
        take_statistics(model, faces[0].images, run.card.preprocess)
        settled = Checkpoint(model, run.card, f"epoch {epoch}")
        accuracies[epoch] = evaluate_table(evaluate_checkpoint(settled, faces[1]))["accuracy"]
        nets[epoch] = model.state_dict()
    assert history.best.epoch != 5 and max(accuracies, key=accuracies.__getitem__) == kept
    stored = checkpoints.load(run.folder / "best.pth")
    assert (stored.card.best_epoch, stored.card.settled_norms) == (kept, True)
    assert stored.card.validation_accuracy == run.card.validation_accuracy == accuracies[kept]
    for name, value in stored.model.state_dict().items():
        torch.testing.assert_close(value, nets[kept][name])
