"""The training loop, on one screen."""

import dataclasses
import time
from collections.abc import Callable

import torch

from fer.config import RunConfig
from fer.data import FaceSet
from fer.data.augment import alternate_flips, augment, cutmix, mixup
from fer.data.preprocess import standardise, to_unit
from fer.evaluation import predict_logits
from fer.schedules import cosine, one_cycle, steps, warmup
from fer.training.fabric import Fabric
from fer.training.freezing import keep_frozen_norms
from fer.training.history import Epoch, History
from fer.training.objective import Objective
from fer.training.optimizers import set_rate
from fer.training.plan import Plan
from fer.training.tally import DivergedError, Tally
from fer.training.trainer import Trainer

OnStep = Callable[[int, int, int], None]

#: On a GPU the host looks for values that are not finite only so often, since looking waits for the device.
CHECK_EVERY = 50
#: Several GPUs ask one another only so often whether to stop, since each answer waits for all of them.
AGREE_EVERY = 10


class StopTraining(Exception):
    """Training ended after a step, or while its epoch was judged, as the caller asked; the trainer stands after that step."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal}")
        self.signal = signal


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a caller does meanwhile: after every step (epoch, step, steps an epoch), after every epoch, and whether to stop."""

    on_step: OnStep
    on_epoch: Callable[[Trainer], None]
    stop: Callable[[], int] = lambda: 0


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What stays the same during a run."""

    fabric: Fabric
    plan: Plan
    objective: Objective
    train: FaceSet
    validation: FaceSet


def fit(job: Job, trainer: Trainer, hooks: Hooks) -> History:
    """Train to the end of the configured epochs, or until early stopping; continues where ``trainer`` stands.

    Raises:
        DivergedError: the loss, a gradient or a weight is no longer finite.
        StopTraining: ``hooks.stop`` returned a signal.
    """
    config, patience = job.plan.config, job.plan.config.early_stopping.patience
    while trainer.epoch <= config.epochs and not (patience and trainer.history.waited() >= patience):
        _train_epoch(job, trainer, hooks)
        trainer.history.epochs.append(_finished_epoch(job, trainer, hooks.stop))
        trainer.tally = Tally.empty(len(config.classes), job.fabric.device)
        trainer.step, trainer.seconds = 0, 0.0
        hooks.on_epoch(trainer)
        stop = agreed(job.fabric, hooks.stop())
        if stop:
            raise StopTraining(stop)
    return trainer.history


def _train_epoch(job: Job, trainer: Trainer, hooks: Hooks) -> None:
    plan, epoch = job.plan, trainer.epoch
    batches = epoch_batches(len(job.train), plan.config, epoch, job.fabric)
    mirrored = None
    if plan.config.augmentation.alternating_flip:
        mirrored = alternate_flips(len(job.train), plan.config.seed, epoch, job.fabric.device)
    plan.freeze(trainer.net, trainer.by_stage, epoch)
    trainer.model.train()
    keep_frozen_norms(trainer.net)
    names = [name for name, p in trainer.net.named_parameters() if p.requires_grad]
    started = time.perf_counter() - trainer.seconds
    for step in range(trainer.step, len(batches)):
        set_rate(trainer.optimizer, rate_at(plan.config, trainer, (epoch - 1 + step / len(batches)) / plan.config.epochs))
        _train_step(job, trainer, batches[step], mirrored)
        trainer.step = step + 1
        if job.fabric.device.type == "cpu" or trainer.step % CHECK_EVERY == 0 or trainer.step == len(batches):
            _check(trainer, names)
        trainer.seconds = time.perf_counter() - started
        hooks.on_step(epoch, trainer.step, len(batches))
        stop = asked_to_stop(job.fabric, hooks, trainer.step)
        if stop and trainer.step < len(batches):
            _check(trainer, names)  # so that a run which has diverged is rolled back first
            raise StopTraining(stop)


def asked_to_stop(fabric: Fabric, hooks: Hooks, step: int) -> int:
    """The signal after which all processes are to end, 0 for none."""
    several_gpus = fabric.world_size > 1 and fabric.device.type != "cpu"
    return 0 if several_gpus and step % AGREE_EVERY else agreed(fabric, hooks.stop())


def _check(trainer: Trainer, names: list[str]) -> None:
    trainer.tally.check(trainer.epoch, names)
    trainer.check()


def _train_step(job: Job, trainer: Trainer, batch: torch.Tensor, mirrored: torch.Tensor | None) -> None:
    fabric, plan, model, optimizer = job.fabric, job.plan, trainer.model, trainer.optimizer
    generator = _seeded(fabric, plan.config.seed, trainer.epoch, trainer.step)
    index = batch[fabric.global_rank :: fabric.world_size]
    strengths = plan.augmentation_at(trainer.epoch)
    labels, targets = job.train.labels[index], job.objective.targets(job.train, index)
    pixels = to_unit(job.train.images.index_select(0, index))  # copies whole faces, where indexing copies byte by byte
    pixels = augment(pixels, strengths, generator, None if mirrored is None else mirrored[index])
    # with both, even steps mix and odd ones cut
    if strengths.mixup and not (strengths.cutmix and trainer.step % 2):
        pixels, targets = mixup(pixels, targets, strengths.mixup, generator)
    elif strengths.cutmix:
        pixels, targets = cutmix(pixels, targets, strengths.cutmix, generator)
    logits = model(standardise(pixels, plan.input_at(trainer.epoch)))
    losses = job.objective.losses(logits, targets, pixels)
    # processes average their gradients: so that the mean is over the whole batch, however it was shared out
    loss = losses.sum() * (fabric.world_size / len(batch))
    optimizer.zero_grad()
    fabric.backward(loss)
    norms = clip_gradients(trainer.net, plan.config.optimizer.grad_clip)
    trainer.tally.inspect(trainer.step, loss.detach(), norms)
    trainer.tally.add(losses.detach(), logits.detach(), labels)
    optimizer.step()
    trainer.average.update(trainer.net)


@torch.no_grad()
def clip_gradients(model: torch.nn.Module, largest: float) -> torch.Tensor:
    """Scale all gradients so that their common norm is at most ``largest`` (0: leave them); their norms before, one each."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norms = torch.stack(torch._foreach_norm(gradients))
    if largest:
        torch._foreach_mul_(gradients, (largest / (norms.norm() + 1e-6)).clamp(max=1.0))
    return norms


def rate_at(config: RunConfig, trainer: Trainer, progress: float) -> float:
    """The learning rate at a point of the run, 0..1 from its first to after its last step."""
    schedule, base = config.schedule, config.optimizer.lr
    if schedule.name == "cosine":
        factor = cosine(progress, schedule.warmup)
    elif schedule.name == "one-cycle":
        factor = one_cycle(progress, schedule.warmup)
    else:
        falling = {"plateau": trainer.plateau.value, "step": steps(trainer.epoch, schedule.step_epochs, schedule.factor)}
        least = min(1.0, schedule.min_lr / base)
        factor = warmup(progress, schedule.warmup) * max(least, falling.get(schedule.name, 1.0))
    return base * factor * trainer.rate_factor


def epoch_batches(n: int, config: RunConfig, epoch: int, fabric: Fabric) -> list[torch.Tensor]:
    """Positions of an epoch's faces in random order, by step; a rest too small for every process joins the last batch."""
    generator = torch.Generator(fabric.device).manual_seed(_number(config.seed, epoch))
    order = torch.randperm(n, generator=generator, device=fabric.device)
    batches = list(torch.split(order, config.batch_size))
    # batch norm needs two faces in every process
    if len(batches) > 1 and len(batches[-1]) < 2 * fabric.world_size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _seeded(fabric: Fabric, seed: int, epoch: int, step: int) -> torch.Generator:
    number = _number(seed, epoch, step + 1, fabric.global_rank)
    _seed_global(fabric.device, number)
    return torch.Generator(fabric.device).manual_seed(number)


def _seed_global(device: torch.device, number: int) -> None:
    """Seed what dropout draws from; ``torch.manual_seed`` asks every kind of device there might be, at every step."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(number)
    elif device.type != "cpu":
        torch.manual_seed(number)


def _number(seed: int, epoch: int, step: int = 0, rank: int = 0) -> int:
    return ((seed * 100_003 + epoch) * 100_003 + step) * 1009 + rank & 0x7FFF_FFFF_FFFF_FFFF


def agreed(fabric: Fabric, number: int) -> int:
    """The largest number of all processes."""
    if fabric.world_size == 1:
        return number
    return int(_reduced(fabric, torch.tensor(float(number), device=fabric.device), "max"))


def _reduced(fabric: Fabric, value: torch.Tensor, operation: str) -> torch.Tensor:
    result = fabric.all_reduce(value.clone(), reduce_op=operation)
    assert isinstance(result, torch.Tensor)  # Fabric reduces mappings and lists, too
    return result


def summed(fabric: Fabric, tally: Tally) -> Tally:
    """The tally of all processes together."""
    if fabric.world_size == 1:
        return tally
    return Tally(_reduced(fabric, tally.loss, "sum"), _reduced(fabric, tally.confusion, "sum"), tally.bad)


def _finished_epoch(job: Job, trainer: Trainer, stop: Callable[[], int]) -> Epoch:
    fabric, started = job.fabric, time.perf_counter()
    trained, validated = summed(fabric, trainer.tally), summed(fabric, validate(job, trainer, stop))
    if not validated.loss.isfinite():
        raise DivergedError(f"the validation loss is not finite after step {trainer.step} of epoch {trainer.epoch}")
    trainer.plateau.update(validated.mean_loss)
    trainer.validated, figures = validated, validated.scores
    return Epoch(
        epoch=trainer.epoch,
        lr=max(group["lr"] for group in trainer.optimizer.param_groups),
        train_loss=trained.mean_loss,
        train_accuracy=trained.scores.accuracy,
        validation_loss=validated.mean_loss,
        validation_accuracy=figures.accuracy,
        seconds=trainer.seconds + time.perf_counter() - started,
        validation_macro_f1=figures.macro_f1,
        validation_precision=figures.macro_precision,
        validation_recall=figures.macro_recall,
        faces_per_second=trained.count / trainer.seconds,
    )


def validate(job: Job, trainer: Trainer, stop: Callable[[], int]) -> Tally:
    """Judge the own share of the validation faces with the averaged network.

    Raises:
        StopTraining: ``stop`` returned a signal before the last batch; several processes do not ask.
    """
    fabric, model = job.fabric, trainer.average.model

    def between_batches(done: int, total: int) -> None:
        # without a word among them, the others would wait for the one that has stopped
        if fabric.world_size == 1 and done < total and (signal := stop()):
            raise StopTraining(signal)

    if fabric.world_size > 1:  # statistics of batch norms differ between processes; one speaks for all
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)
    share = torch.arange(fabric.global_rank, len(job.validation), fabric.world_size, device=fabric.device)
    labels = job.validation.labels[share]
    tally = Tally.empty(len(job.plan.config.classes), fabric.device)
    images, shape = job.validation.images[share], job.plan.preprocess
    logits = predict_logits(model, images, shape, autocast=fabric.autocast(), progress=between_batches)
    tally.add(torch.nn.functional.cross_entropy(logits, labels, reduction="none"), logits, labels)
    return tally
