"""The training loop, on one screen."""

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from lightning.fabric import Fabric
from torch import nn

from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.augment import augment, mixup
from fer.data.preprocess import standardise, to_unit
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.evaluation import predict_logits
from fer.losses import smooth_targets, soft_cross_entropy
from fer.schedules import Plateau, cosine, warmup
from fer.training.ema import Average
from fer.training.history import Epoch, History
from fer.training.plan import Plan
from fer.types import Preprocess

OnStep = Callable[[int, int, int], None]


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a caller does meanwhile: after every step (epoch, step, steps an epoch) and after every epoch."""

    on_step: OnStep
    on_epoch: Callable[["Trainer"], None]


@dataclasses.dataclass(eq=False)
class Trainer:
    """Everything that changes during a run. :func:`fit` moves it on; :meth:`state` and :meth:`restore` carry it over a stop."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    plateau: Plateau = dataclasses.field(default_factory=Plateau)
    history: History = dataclasses.field(default_factory=History)

    def state(self) -> dict[str, object]:
        """Plain values and tensors from which :meth:`restore` continues exactly."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.average.steps,
            "plateau": dataclasses.asdict(self.plateau),
            "history": [dataclasses.astuple(epoch) for epoch in self.history],
        }

    def restore(self, state: dict[str, object], average: dict[str, torch.Tensor]) -> None:
        """Inverse of :meth:`state`; ``average`` are the weights that the checkpoint itself holds."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.average.model.load_state_dict(average)
        self.average.steps = int(state["steps"])  # type: ignore[call-overload]
        self.plateau = Plateau(**state["plateau"])  # type: ignore[arg-type]
        self.history = History([Epoch(*row) for row in state["history"]])  # type: ignore[attr-defined]


def make_trainer(fabric: Fabric, model: nn.Module, config: RunConfig) -> Trainer:
    """Model, optimizer and average on the device; norms and biases are not decayed."""
    model = model.to(memory_format=torch.channels_last)
    average = Average(model.to(fabric.device), config.ema)
    wanted = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in wanted if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, 0.999))
    else:
        nesterov = config.momentum > 0
        optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)
    model, optimizer = fabric.setup(model, optimizer)
    return Trainer(model, optimizer, average)


def fit(fabric: Fabric, trainer: Trainer, plan: Plan, train: FaceSet, validation: FaceSet, hooks: Hooks) -> History:
    """Train to the end of the configured epochs, or until early stopping; continues where ``trainer`` stands.

    All randomness of an epoch derives from (seed, epoch), so that a resumed run equals an uninterrupted one.

    Raises:
        ConfigError: the loss is no longer finite.
    """
    config, history = plan.config, trainer.history
    for epoch in range(len(history) + 1, config.epochs + 1):
        if config.early_stopping and history and epoch - 1 - history.best.epoch >= config.early_stopping:
            break
        started = time.perf_counter()
        loss, accuracy = _train_epoch(fabric, trainer, plan, train, epoch, hooks.on_step)
        if not math.isfinite(loss):
            raise ConfigError(f"the loss is no longer finite in epoch {epoch}; lower lr ({config.lr}) or the class weights")
        loss_v, accuracy_v = _validate(trainer.average.model, validation, plan.preprocess, fabric.autocast())
        trainer.plateau.update(loss_v)
        lr = trainer.optimizer.param_groups[0]["lr"]
        history.epochs.append(Epoch(epoch, lr, loss, accuracy, loss_v, accuracy_v, time.perf_counter() - started))
        hooks.on_epoch(trainer)
    return history


def _train_epoch(
    fabric: Fabric, trainer: Trainer, plan: Plan, train: FaceSet, epoch: int, on_step: OnStep
) -> tuple[float, float]:
    config, model, optimizer = plan.config, trainer.model, trainer.optimizer
    generator = _seeded(fabric, config.seed, epoch)
    preprocess = plan.input_at(epoch)
    weights = torch.tensor(plan.class_weights, device=fabric.device)
    order = torch.randperm(len(train), generator=generator, device=fabric.device)
    batches = torch.split(order, config.batch_size)
    loss_sum, right = torch.zeros(2, device=fabric.device)
    model.train()
    _freeze_norms(model)
    for step, index in enumerate(batches):
        lr = config.lr * _factor(config, trainer.plateau, (epoch - 1 + step / len(batches)) / config.epochs)
        for group in optimizer.param_groups:
            group["lr"] = lr
        labels = train.labels[index]
        pixels = augment(to_unit(train.images[index]), config, generator)
        targets = smooth_targets(labels, len(EMOTIONS), config.label_smoothing)
        if config.mixup:
            pixels, targets = mixup(pixels, targets, config.mixup, generator)
        logits = model(standardise(pixels, preprocess))
        loss = soft_cross_entropy(logits, targets, weights)
        optimizer.zero_grad()
        fabric.backward(loss)
        if config.grad_clip:
            fabric.clip_gradients(model, optimizer, max_norm=config.grad_clip, error_if_nonfinite=False)
        optimizer.step()
        trainer.average.update(model)
        loss_sum += loss.detach() * len(index)
        right += (logits.detach().argmax(1) == labels).sum()
        on_step(epoch, step + 1, len(batches))
    return float(loss_sum) / len(train), float(right) / len(train)


def _seeded(fabric: Fabric, seed: int, epoch: int) -> torch.Generator:
    number = seed * 1_000_003 + epoch
    torch.manual_seed(number)  # dropout draws from the global generator
    return torch.Generator(fabric.device).manual_seed(number)


def _factor(config: RunConfig, plateau: Plateau, progress: float) -> float:
    if config.schedule == "cosine":
        return cosine(progress, config.warmup)
    return warmup(progress, config.warmup) * (plateau.value if config.schedule == "plateau" else 1.0)


def _freeze_norms(model: nn.Module) -> None:
    """Batch norms whose weights are frozen keep their statistics, too."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def _validate(
    model: nn.Module, faces: FaceSet, preprocess: Preprocess, autocast: AbstractContextManager[object]
) -> tuple[float, float]:
    logits = predict_logits(model, faces.images, preprocess, autocast=autocast)
    loss = nn.functional.cross_entropy(logits, faces.labels)
    return float(loss), float((logits.argmax(1) == faces.labels).float().mean())
