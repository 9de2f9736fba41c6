"""A lack of memory, said as the batch size to try."""

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
def memory_advice(config: RunConfig) -> Iterator[None]:
    """Translate a lack of memory into the batch size to try."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(sign in str(error) for sign in _NO_MEMORY):
            raise
        smaller = f"--set batch_size={max(2, config.batch_size // 2)}, or " if config.batch_size > 2 else ""
        raise TrainingError(
            f"out of memory at batch_size={config.batch_size}; start a run with {smaller}a smaller --set input_size"
        ) from error
