"""A lack of memory, said as what to try."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fer.config import RunConfig
from fer.errors import TrainingError

# How a plain RuntimeError says it: torch on a CPU, a GPU that others fill, cuBLAS, cuDNN.
_NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@contextmanager
def memory_advice(config: RunConfig, *, sizes: bool = False, resumed: bool = False) -> Iterator[None]:
    """Translate a lack of memory into what to try: a batch size, and an input size where the network takes several ``sizes``.

    A ``resumed`` run cannot be changed, so that another one has to be begun.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(sign in str(error) for sign in _NO_MEMORY):
            raise
        smaller = [f"--set batch_size={max(2, config.batch_size // 2)}"] if config.batch_size > 2 else []
        smaller += ["a smaller --set input_size"] if sizes else []
        advice = ", or ".join(smaller) or "a smaller architecture"
        run = "a new run" if resumed else "a run"
        raise TrainingError(f"out of memory at batch_size={config.batch_size}; start {run} with {advice}") from error
