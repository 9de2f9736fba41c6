"""Seconds an epoch of our loop takes, how busy the GPU is meanwhile, and whether a step waits for it.

    python benchmarks/epoch.py [--model resnet18] [--epochs 4] [--set key=value ...] [--data PATH]

Without data the set is random bytes of FER-2013's size. On a GPU it also prints the busy share from torch's profiler and how
often a step waits for the device (a check every so many steps does, and nothing else should).
"""

import argparse
import math
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from fer.cli.train import resolve
from fer.config import RunConfig
from fer.data import FaceSet, load
from fer.environment import device_name
from fer.training.fit import Hooks, Job, fit
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import make_model, make_plan
from fer.training.trainer import Trainer, make_trainer

TRAIN, VALIDATION = 28_709, 3_589
#: Calls of the CUDA runtime that make the host wait.
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def random_faces(n: int, split: str) -> FaceSet:
    """A set of noise as large as the real one."""
    images = torch.randint(0, 256, (n, 1, 48, 48), dtype=torch.uint8)
    return FaceSet(images, torch.arange(n) % 7, tuple(str(i) for i in range(n)), split)


def prepared(config: RunConfig, train: FaceSet, validation: FaceSet) -> tuple[Job, Trainer]:
    """Everything a run needs, on the device."""
    plan = make_plan(config, train)
    fabric = make_fabric(Hardware(), plan)
    train = train.to(fabric.device)
    job = Job(fabric, plan, make_objective(plan, fabric, train), train, validation.to(fabric.device))
    return job, make_trainer(fabric, make_model(plan), plan)


def busy_and_waits(job: Job, trainer: Trainer) -> tuple[float, int]:
    """Share of an epoch's time in which the GPU computes, and how often the host waited for it."""
    trainer.history.epochs.pop()  # the last epoch once more, under the profiler
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        fit(job, trainer, Hooks(lambda *_: None, lambda _: None))
    events = seen.key_averages()
    # operators and annotations carry the time of their kernels once more
    kernels = [e for e in events if e.device_type.name == "CUDA" and not e.is_user_annotation]
    busy = sum(event.self_device_time_total for event in kernels) / 1e6
    return busy / trainer.history.epochs[-1].seconds, sum(event.count for event in events if event.key in WAITS)


def waits_a_step(job: Job, trainer: Trainer, waits: int) -> float:
    """Waits of steps alone: an epoch of half the faces ends alike, so that the difference is that of its steps."""
    half = replace(job, train=job.train.select(torch.arange(len(job.train) // 2, device=job.train.images.device)))
    steps = [math.ceil(len(each.train) / job.plan.config.batch_size) for each in (job, half)]
    return (waits - busy_and_waits(half, trainer)[1]) / (steps[0] - steps[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    config = resolve(options.model, None, options.assignments, {"epochs": options.epochs})
    if options.data:
        train, validation = load(options.data).for_training()
    else:
        train, validation = random_faces(TRAIN, "train"), random_faces(VALIDATION, "validation")
    job, trainer = prepared(config, train, validation)
    seconds: list[float] = []

    def on_epoch(trainer: Trainer) -> None:
        last = trainer.history.epochs[-1]
        seconds.append(last.seconds)
        print(f"epoch {last.epoch}: {last.seconds:.2f} s, {last.faces_per_second:,.0f} faces/s in training", flush=True)

    fit(job, trainer, Hooks(lambda *_: None, on_epoch))
    device = job.fabric.device.type
    steady = statistics.median(seconds[1:] or seconds)
    precision = job.plan.format_on(device).precision
    print(f"{config.model}, batch {config.batch_size}, {precision}, {device_name(device)}: {steady:.2f} s an epoch")
    if device == "cuda":
        busy, waits = busy_and_waits(job, trainer)
        each = waits_a_step(job, trainer, waits)
        memory = torch.cuda.max_memory_allocated() / 2**30
        print(f"GPU busy {busy:.0%} of the profiled epoch, peak memory {memory:.2f} GiB, waits: {waits}, {each:.2f} a step")


if __name__ == "__main__":
    main()
