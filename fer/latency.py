"""How long a checkpoint takes for a face: measured here and now."""

import statistics
import time
from dataclasses import dataclass

import torch

from fer.checkpoint import Checkpoint
from fer.data.faceset import FACE_SIZE
from fer.evaluation import judge

#: Rounds of which the median is taken.
ROUNDS = 15


@dataclass(frozen=True)
class Latency:
    """Milliseconds a face, alone and in batches of 64, with the threads torch uses; preprocessing included."""

    single: float
    batched: float
    threads: int


def measure(checkpoint: Checkpoint, rounds: int = ROUNDS) -> Latency:
    """Time a checkpoint on faces of random pixels; medians."""
    faces = torch.randint(0, 256, (64, 1, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
    return Latency(
        _milliseconds(checkpoint, faces[:1], rounds), _milliseconds(checkpoint, faces, rounds), torch.get_num_threads()
    )


def _milliseconds(checkpoint: Checkpoint, faces: torch.Tensor, rounds: int) -> float:
    judge(checkpoint, faces).sum().item()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        judge(checkpoint, faces).sum().item()  # a GPU is waited for
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times) / len(faces)
