"""How many faces a second a training step takes: widths of custom_cnn, sizes, number formats, in one run.

    python benchmarks/training_speed.py

Prints a Markdown table; the last column is the ratio to the shipped form (32-128-256, 48 pixels, bfloat16) of the same run.
"""

import itertools
import statistics
import time

import torch

from fer.config import Augmentation
from fer.data.augment import augment
from fer.data.preprocess import standardise, to_unit
from fer.emotions import EMOTIONS
from fer.losses import one_hot, smooth, soft_cross_entropy
from fer.models.custom_cnn import WIDTHS, CustomCNN
from fer.types import Preprocess

BATCH, STEPS = 128, 9
ALL_WIDTHS = ((32, 96, 192), (32, 96, 256), WIDTHS, (48, 128, 256), (64, 128, 256))
SIZES = (48, 36, 32)


def faces_per_second(widths: tuple[int, int, int], size: int, half: bool) -> float:
    """Median over steps of a whole training step: augmentation, forward, backward, update."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = CustomCNN(len(EMOTIONS), widths=widths).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images = torch.randint(0, 256, (BATCH, 1, 48, 48), dtype=torch.uint8)
    targets = smooth(one_hot(torch.randint(0, len(EMOTIONS), (BATCH,)), len(EMOTIONS)), 0.1)
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        inputs = standardise(augment(to_unit(images), Augmentation(), generator), Preprocess(size=size))
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = soft_cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[2:])


def main() -> None:
    """Measure and print."""
    shipped = faces_per_second(WIDTHS, 48, True)
    print(f"| widths | size | format | faces/s ({torch.get_num_threads()} threads) | ratio |\n|---|---|---|---|---|")
    cases = [*itertools.product(ALL_WIDTHS, SIZES, (True,)), (WIDTHS, 48, False), (WIDTHS, 32, False)]
    for widths, size, half in cases:
        rate = faces_per_second(widths, size, half)
        name = "-".join(map(str, widths))
        print(f"| {name} | {size} | {'bf16' if half else 'fp32'} | {rate:.0f} | {rate / shipped:.2f} |", flush=True)


if __name__ == "__main__":
    main()
