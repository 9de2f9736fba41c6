"""Which number format and memory layout trains which architecture fastest on this machine, in one run.

    python benchmarks/formats.py [NAME...]

Prints a Markdown table of faces a second (forward, backward, update at the size of the small form); the best of a row is bold.
``fer/training/formats.py`` keeps what follows from it.
"""

import itertools
import statistics
import sys
import time

import torch
from torch import nn

from fer.emotions import EMOTIONS
from fer.environment import best_device, device_name
from fer.models import MODELS, Variant

BATCH, STEPS = 32, 5
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def faces_per_second(spec: Variant, dtype: torch.dtype, layout: torch.memory_format) -> float:
    """Median over steps; the first two warm up."""
    torch.manual_seed(0)
    device, shape = best_device(), spec.preprocess
    model = spec.build(len(EMOTIONS), 0.2).to(device).to(memory_format=layout).train()
    inputs = torch.randn(BATCH, shape.channels, shape.size, shape.size, device=device).to(memory_format=layout)
    labels = torch.randint(0, len(EMOTIONS), (BATCH,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    times = []
    for _ in range(STEPS + 2):
        _wait(device)
        start = time.perf_counter()
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        _wait(device)
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[2:])


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print."""
    cases = list(itertools.product(FORMATS, LAYOUTS))
    print(f"{device_name()}, torch {torch.__version__}, batch {BATCH}, small forms\n")
    print(
        "| architecture | "
        + " | ".join(f"{dtype} {layout}" for dtype, layout in cases)
        + " |\n|---"
        + "|---" * len(cases)
        + "|"
    )
    for name in sys.argv[1:] or MODELS:
        spec = MODELS[name].variants["small"]
        rates = [faces_per_second(spec, FORMATS[dtype], LAYOUTS[layout]) for dtype, layout in cases]
        cells = [f"**{rate:.0f}**" if rate == max(rates) else f"{rate:.0f}" for rate in rates]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
