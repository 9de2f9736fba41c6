"""Which number format and memory layout trains which architecture fastest on this machine, in one run.

    python benchmarks/formats.py [NAME...]

Prints a Markdown table of faces a second (forward, backward, update at the size of the small form); the best of a row is bold.
``fer/training/formats.py`` keeps the table and chooses by it.
"""

import statistics
import sys
import time

import torch
from torch import nn

from fer.emotions import EMOTIONS
from fer.environment import best_device, device_name
from fer.models import MODELS, Variant
from fer.training.formats import FORMATS, Format

#: Every case runs so many steps and so many seconds, so that a pause of the machine decides nothing.
BATCH, STEPS, SECONDS = 32, 5, 2.0


def faces_per_second(spec: Variant, case: Format) -> float:
    """Median over steps; the first two warm up."""
    torch.manual_seed(0)
    device, shape = best_device(), spec.preprocess
    model = spec.build(len(EMOTIONS), 0.2).to(device).to(memory_format=case.memory).train()
    inputs = torch.randn(BATCH, shape.channels, shape.size, shape.size, device=device).to(memory_format=case.memory)
    labels = torch.randint(0, len(EMOTIONS), (BATCH,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    times: list[float] = []
    while len(times) < STEPS + 2 or sum(times) < SECONDS:
        _wait(device)
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=case.bf16):
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
    names = [f"{'bf16' if each.bf16 else 'fp32'} {'channels_last' if each.channels_last else 'contiguous'}" for each in FORMATS]
    print(f"{device_name()}, torch {torch.__version__}, batch {BATCH}, small forms\n")
    print(f"| architecture | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for name in sys.argv[1:] or MODELS:
        spec = MODELS[name].variants["small"]
        rates = [faces_per_second(spec, case) for case in FORMATS]
        cells = [f"**{rate:.0f}**" if rate == max(rates) else f"{rate:.0f}" for rate in rates]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
