"""Learning from natural images before faces, where no ImageNet weights can be had."""

import dataclasses
import io
import math
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer.config import RunConfig
from fer.data.augment import augment
from fer.data.natural import NaturalImages
from fer.data.preprocess import standardise, to_unit
from fer.environment import best_device, device_name, keep_freed_memory, versions
from fer.errors import CheckpointError, ConfigError, TrainingError
from fer.evaluation import predict_logits
from fer.files import sweep, write_whole
from fer.losses import one_hot, smooth, soft_cross_entropy
from fer.models import MODELS, Variant
from fer.models.tensorfile import UnreadableTensorsError, read_tensors
from fer.models.trunk import save_trunk
from fer.overrides import KEYS
from fer.schedules import cosine
from fer.training import store
from fer.training.ema import Average
from fer.training.fit import clip_gradients
from fer.training.formats import fastest_format
from fer.training.norms import take_statistics
from fer.training.optimizers import make_optimizer, set_rate
from fer.training.plan import refuse_batch
from fer.types import Preprocess

_VARIANT = "small"

#: What a pretraining heeds of a configuration.
HEEDED = {
    *("model", "epochs", "batch_size", "dropout", "small_epochs", "small_size", "precision", "seed", "settle_norms"),
    *(f"optimizer.{name}" for name in ("name", "lr", "momentum", "weight_decay", "grad_clip", "ema")),
    *("schedule.warmup", "loss.label_smoothing"),
    *(
        f"augmentation.{name}"
        for name in ("flip", "rotate", "zoom", "shift", "crop", "brightness", "contrast", "noise", "erase")
    ),
}


@dataclasses.dataclass(frozen=True)
class PretrainEpoch:
    """Figures of one epoch; accuracies 0..1, of the averaged network on the validation images."""

    epoch: int
    train_loss: float
    validation_accuracy: float
    images_per_second: float


def pretrain(
    config: RunConfig,
    natural: NaturalImages,
    out: Path,
    on_epoch: Callable[[PretrainEpoch], None] = lambda _: None,
    on_step: Callable[[int, int], None] = lambda *_: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train the form for 48-pixel faces of an architecture to classify natural images; keep its weights for ``--init``.

    Cosine schedule, label smoothing, averaged weights and augmentation as configured. After every epoch the state lies
    beside ``out``; the same call continues there, or starts over where that is damaged, which ``on_note`` tells.

    Returns:
        What the file says of its training.

    Raises:
        UnknownNameError: no such architecture.
        ConfigError: as :func:`pretrained_form`, a batch is larger than the set, or another pretraining is under way at ``out``.
        TrainingError: the loss or a weight is no longer finite.
        OutputError: the folder is not writable.
    """
    spec, device = pretrained_form(config), best_device()
    refuse_batch(config, len(natural.labels["train"]), "images")
    keep_freed_memory()
    torch.manual_seed(config.seed)
    net = spec.build(len(natural.classes), config.dropout).to(device)
    net.to(memory_format=fastest_format(config.model, config.precision, device).memory)
    learner = _Learner(config, natural, spec.preprocess, net, spec.fixed_size)
    partial = unfinished(out)
    if damage := learner.restore(partial):
        on_note(f"{damage}; starting over")
    sweep(out.parent, out.name)  # the state's, too, since its name begins with that
    for epoch in range(learner.epoch + 1, config.epochs + 1):
        started = time.perf_counter()
        loss = learner.train(epoch, on_step)
        if not math.isfinite(loss) or not learner.is_finite():
            raise TrainingError(f"the loss or a weight is not finite in epoch {epoch}; use a lower --set lr")
        accuracy = learner.validate()
        learner.seconds += time.perf_counter() - started
        rate = len(natural.labels["train"]) / (time.perf_counter() - started)
        learner.save(partial, epoch, accuracy)
        on_epoch(PretrainEpoch(epoch, loss, accuracy, rate))
    if config.settle_norms:
        learner.settle()
    about = {
        "data": natural.name,
        "sha256": natural.key,
        "classes": len(natural.classes),
        "n": len(natural.labels["train"]),
        "validation_accuracy": learner.accuracy,
        "epochs": config.epochs,
        "seed": config.seed,
        "config": config.to_dict(),
        "minutes": round(learner.seconds / 60, 1),
        "device": device_name(),
        "versions": versions(),
    }
    save_trunk(out, learner.average.model.state_dict(), config.model, _VARIANT, about)
    partial.unlink(missing_ok=True)
    return about


def unfinished(out: Path) -> Path:
    """Where the state of a pretraining lies until its file is made."""
    return out.with_name(f"{out.name}.partial")


def pretrained_form(config: RunConfig) -> Variant:
    """The form of its architecture that a configuration pretrains: the one for 48-pixel faces.

    Raises:
        UnknownNameError: no such architecture.
        ConfigError: it has no such form, or the configuration asks for what a pretraining does not do.
    """
    entry = MODELS[config.model]
    if entry.compose or _VARIANT not in entry.variants:
        raise ConfigError(f"{config.model} has no form for small faces that could be pretrained; choose another architecture")
    unheeded = [key for key in KEYS if key not in HEEDED and attrgetter(key)(config) != attrgetter(key)(RunConfig())]
    if unheeded:
        raise ConfigError(f"a pretraining does not heed {', '.join(unheeded)}; leave that out")
    return entry.variants[_VARIANT]


class _Learner:
    """The moving parts of a pretraining."""

    def __init__(
        self, config: RunConfig, natural: NaturalImages, preprocess: Preprocess, net: nn.Module, fixed_size: bool
    ) -> None:
        self.config, self.natural, self.preprocess, self.net = config, natural, preprocess, net
        self.device = next(net.parameters()).device
        self.images = natural.images["train"].to(self.device)
        self.labels = natural.labels["train"].to(self.device)
        self.average = Average(net, config.optimizer.ema)
        self.optimizer = make_optimizer(net, config.optimizer, [[name for name, _ in net.named_parameters()]])
        self.half = fastest_format(config.model, config.precision, self.device.type).bf16
        self.small_epochs = 0 if fixed_size else config.small_epochs
        self.epoch, self.accuracy, self.seconds = 0, 0.0, 0.0

    def autocast(self) -> torch.autocast:
        """The number format of a pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def train(self, epoch: int, on_step: Callable[[int, int], None]) -> float:
        """One pass over all images; the mean loss."""
        config, shape = self.config, self.preprocess
        if epoch <= self.small_epochs:
            shape = dataclasses.replace(shape, size=config.small_size)
        generator = torch.Generator(self.device).manual_seed(config.seed * 100_003 + epoch)
        torch.manual_seed(config.seed * 100_003 + epoch)  # dropout draws from the global generator
        order = torch.randperm(len(self.labels), generator=generator, device=self.device)
        batches = [batch for batch in torch.split(order, config.batch_size) if len(batch) > 1]
        total = torch.zeros((), device=self.device)
        self.net.train()
        for step, index in enumerate(batches):
            progress = (epoch - 1 + step / len(batches)) / config.epochs
            set_rate(self.optimizer, config.optimizer.lr * cosine(progress, config.schedule.warmup))
            pixels = augment(to_unit(self.images.index_select(0, index)), config.augmentation, generator)
            targets = smooth(one_hot(self.labels[index], len(self.natural.classes)), config.loss.label_smoothing)
            with self.autocast():
                logits = self.net(standardise(pixels, shape))
            loss = soft_cross_entropy(logits, targets).mean()
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            clip_gradients(self.net, config.optimizer.grad_clip)
            self.optimizer.step()
            self.average.update(self.net)
            total += loss.detach() * len(index)
            on_step(step + 1, len(batches))
        return float(total) / sum(map(len, batches))

    def is_finite(self) -> bool:
        """Whether all averaged weights are."""
        return all(bool(value.isfinite().all()) for value in self.average.model.state_dict().values())

    def validate(self) -> float:
        """Accuracy of the averaged network."""
        logits = predict_logits(
            self.average.model, self.natural.images["validation"], self.preprocess, autocast=self.autocast()
        )
        return float((logits.argmax(1).cpu() == self.natural.labels["validation"]).double().mean())

    def settle(self) -> None:
        """Batch norms take the statistics of images without augmentation, where the accuracy is higher with them."""
        model = self.average.model
        before = {name: value.clone() for name, value in model.state_dict().items()}
        take_statistics(model, self.images, self.preprocess, self.autocast())
        accuracy = self.validate()
        if accuracy > self.accuracy:
            self.accuracy = accuracy
        else:
            model.load_state_dict(before)

    def save(self, path: Path, epoch: int, accuracy: float) -> None:
        """Keep all that :meth:`restore` needs."""
        self.epoch, self.accuracy = epoch, accuracy
        content = io.BytesIO()
        state = {
            "config": self.config.to_dict(),
            "key": self.natural.key,
            "net": self.net.state_dict(),
            "average": self.average.model.state_dict(),
            "average_steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(),
            "epoch": epoch,
            "accuracy": accuracy,
            "seconds": self.seconds,
        }
        torch.save(store.packed(state), content)
        write_whole(path, content.getvalue())

    def restore(self, path: Path) -> str:
        """Go on where an earlier call was stopped; returns what is wrong with a damaged state, of which nothing is taken.

        Raises:
            ConfigError: the state is of another pretraining, or of no pretraining at all.
        """
        if not path.exists():
            return ""
        foreign = ConfigError(f"{path} belongs to another pretraining; name another --out, or delete it")
        try:
            content = read_tensors(path.read_bytes())
            if not isinstance(content, dict) or content.keys() != {"sha256", "bytes"}:
                raise foreign
            state = store.unpacked(content, path)
        except (UnreadableTensorsError, CheckpointError):
            return f"{path} is damaged"
        own = {"config": self.config.to_dict(), "key": self.natural.key}
        if {key: state.get(key) for key in own} != own:
            raise foreign
        try:
            self._take(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:  # of another version
            raise foreign from error
        return ""

    def _take(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.average.model.load_state_dict(state["average"])
        self.average.steps = int(state["average_steps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.accuracy, self.seconds = int(state["epoch"]), float(state["accuracy"]), float(state["seconds"])
