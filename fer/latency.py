"""How long a model takes for a face: measured here and now."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fer.checkpoint import Checkpoint
from fer.evaluation import judge
from fer.portable import Portable
from fer.predict import Model, open_model
from fer.released import bytes_on_disk, find
from fer.types import FACE_SIZE

#: Rounds of which the median is taken.
ROUNDS = 15
#: Faces of a batch.
BATCH = 64


@dataclass(frozen=True)
class Latency:
    """Milliseconds a face, alone and in batches of 64, with the threads that were used; preprocessing included."""

    single: float
    batched: float
    threads: int


@dataclass(frozen=True)
class Result:
    """What a race found of a model."""

    name: str
    runtime: str
    megabytes: float
    latency: Latency


def measure(model: Checkpoint | Portable, rounds: int = ROUNDS) -> Latency:
    """Time a checkpoint where its weights are, or an exported model, on faces of random pixels; medians."""
    return _raced([model], rounds)[0]


def race(names: Sequence[str | None], threads: int, rounds: int = ROUNDS) -> tuple[Result, ...]:
    """Time several models in turns on the CPU, where exported ones run, each with so many threads.

    Raises:
        CheckpointError: a model cannot be used.
    """
    models = [open_model(name, threads=threads, device="cpu") for name in names]
    sizes = [bytes_on_disk(find(name)) for name in names]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = _raced(models, rounds)
    finally:
        torch.set_num_threads(before)
    return tuple(
        Result(model.name, _runtime(model), size / 1e6, latency)
        for model, size, latency in zip(models, sizes, found, strict=True)
    )


def _runtime(model: Model) -> str:
    return model.seal.format if isinstance(model, Portable) else f"torch {torch.__version__}"


def _raced(models: Sequence[Model], rounds: int) -> list[Latency]:
    faces = torch.randint(0, 256, (BATCH, 1, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
    sizes = (1, BATCH)
    for model in models:
        for size in sizes:
            judge(model, faces[:size])
    times: dict[tuple[int, int], list[float]] = {(place, size): [] for place in range(len(models)) for size in sizes}
    for size in sizes:
        for _ in range(rounds):
            for place, model in enumerate(models):
                start = time.perf_counter()
                judge(model, faces[:size]).sum().item()  # a GPU is waited for
                times[place, size].append(1000 * (time.perf_counter() - start) / size)
    medians = {key: statistics.median(found) for key, found in times.items()}
    return [Latency(medians[place, 1], medians[place, BATCH], torch.get_num_threads()) for place in range(len(models))]
