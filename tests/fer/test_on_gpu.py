"""Whole epochs on a pretended GPU: no tensor is left behind on the CPU, none is taken for a numpy array."""

import copy
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from analysis.board import draw
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.natural import NaturalImages
from fer.emotions import EMOTIONS
from fer.evaluation import evaluate_checkpoint
from fer.models import MODELS
from fer.overrides import with_values
from fer.schedules import Plateau
from fer.training import fit, norms, objective, pretrain
from fer.training.ema import Average
from fer.training.freezing import stages
from fer.training.history import History
from fer.training.optimizers import make_optimizer
from fer.training.plan import make_model, make_plan
from fer.training.tally import Tally
from fer.training.teachers import Teachers
from fer.training.trainer import Trainer
from tests.elsewhere import CUDA, Elsewhere, brought, there

COUNT = 14
EVERY_AUGMENTATION = {"noise": 0.1, "erase": 0.5, "mixup": 0.2, "cutmix": 1.0, "crop": 44}
RUNS = {
    "asked ahead": ("baseline", {"ahead": True, "loss": "focal", "alternating_flip": True}),
    "asked at every step": ("custom_cnn", {"small_epochs": 1, "class_weights": "balanced"}),
}


def faces(split: str) -> FaceSet:
    pixels = torch.randint(0, 256, (COUNT, 1, 48, 48), dtype=torch.uint8)
    return FaceSet(pixels, torch.arange(COUNT) % 7, tuple(f"{split}{number}" for number in range(COUNT)), split)


def net(architecture: str) -> Checkpoint:
    """Random weights on the pretended GPU."""
    spec = MODELS[architecture].variants["small"]
    card = Card(architecture, "small", EMOTIONS, spec.preprocess, weights_sha256=architecture)
    return Checkpoint(brought(spec.build(7, 0.1).eval()), card, architecture)


def fabric() -> SimpleNamespace:
    return SimpleNamespace(
        device=CUDA, world_size=1, global_rank=0, is_global_zero=True, autocast=nullcontext,
        backward=lambda loss: loss.backward(), barrier=lambda: None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_epochs_with_teachers_and_every_augmentation(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_CACHE", str(tmp_path))
    monkeypatch.setattr(fit, "_seed_global", lambda _, seed: torch.manual_seed(seed))  # that of a GPU is not there
    architecture, settings = RUNS[kind]
    values = {"model": architecture, "epochs": 2, "batch_size": 7, "teachers": "a,b", **EVERY_AUGMENTATION, **settings}
    config = with_values(RunConfig(), values, "test")
    train, validation = faces("train"), faces("validation")
    plan, engine = make_plan(config, train), fabric()
    with Elsewhere():
        teachers = Teachers([net("custom_cnn"), net("ensemble")], config.classes, 3.0, engine.autocast)
        monkeypatch.setattr(objective, "load_teachers", lambda *_: teachers)
        on_device = train.to(CUDA)
        job = fit.Job(engine, plan, objective.make_objective(plan, engine, on_device), on_device, validation.to(CUDA))
        model = brought(make_model(plan))
        average = Average(model, 0.9)
        brought(average.model)
        by_stage = stages(model, plan.spec.head, *plan.spec.more_heads)
        optimizer = make_optimizer(model, config.optimizer, by_stage)
        tallies = (Tally.empty(7, CUDA), Tally.empty(7, CUDA))
        trainer = Trainer(
            model, model, optimizer, average, by_stage, Plateau(), History(), tally=tallies[0], validated=tallies[1]
        )
        fit.fit(job, trainer, fit.Hooks(lambda *_: None, lambda _: None))
        assert [epoch.train_loss > 0 for epoch in trainer.history] == [True, True]
        assert all(there(weight) for weight in model.parameters())
        pictures = []
        board = SimpleNamespace(add_image=lambda name, pixels, *_, **__: pictures.append((name, pixels.ndim)))
        draw(board, replace(net(architecture), model=average.model), job.validation, trainer)
        assert pictures == [("validation/confusion", 3), ("validation/cam", 3)]


def test_a_pretraining_learns_judges_itself_settles_and_is_kept(monkeypatch, tmp_path):
    config = with_values(RunConfig(), {"model": "custom_cnn", "epochs": 1, "batch_size": 8, "precision": "fp32"}, "test")
    images = {split: torch.randint(0, 256, (16, 1, 32, 32), dtype=torch.uint8) for split in ("train", "validation")}
    natural = NaturalImages(images, dict.fromkeys(images, torch.arange(16) % 4), tuple("abcd"), "some", "key")
    spec = pretrain.pretrained_form(config)
    monkeypatch.setattr(pretrain._Learner, "autocast", nullcontext)
    with Elsewhere():
        learner = pretrain._Learner(config, natural, spec.preprocess, brought(spec.build(4, 0.1)), spec.fixed_size)
        brought(learner.average.model)
        assert learner.train(1, lambda *_: None) > 0
        learner.accuracy = learner.validate()
        learner.settle()
        learner.save(tmp_path / "trunk.partial", 1, learner.accuracy)
    assert (tmp_path / "trunk.partial").stat().st_size > 0


def test_statistics_are_settled_and_views_judged(monkeypatch):
    copied = copy.deepcopy
    monkeypatch.setattr(norms, "copy", SimpleNamespace(deepcopy=lambda model: brought(copied(model))))
    train, validation = faces("train"), faces("validation")
    with Elsewhere():
        checkpoint = net("custom_cnn")
        _, table = norms.settled(checkpoint, train, validation)
        assert len(table) == COUNT
        assert evaluate_checkpoint(checkpoint, validation, tta="tencrop").logits.shape == (COUNT, 7)
