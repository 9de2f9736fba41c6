"""The loop that most student projects train with against ours, in one run: data, steps, epochs, memory.

    python benchmarks/student_loop.py [--data PATH] [--faces N] [--steps N]

The peer: ImageFolder, PIL transforms, a DataLoader with two workers, ResNet-18 in float32, ``loss.item()`` at every step.
Ours: the whole set as one uint8 tensor, augmented a batch at a time, bfloat16 where it pays, channels_last.
Prints a Markdown table. Each side has a process of its own; they take turns; every figure is a median over the rounds.
"""

import argparse
import itertools
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.student import StudentLoop
from fer.config import Augmentation, RunConfig
from fer.data import FaceSet, load
from fer.data.archive import open_tree
from fer.data.augment import alternate_flips, augment, cutmix, mixup
from fer.data.preprocess import standardise, to_unit
from fer.data.source import locate
from fer.emotions import EMOTIONS
from fer.environment import best_device, bf16_pays, device_name, keep_freed_memory
from fer.losses import one_hot, smooth, soft_cross_entropy
from fer.models import MODELS
from fer.models.blocks import double_conv
from fer.models.entry import IMAGENET
from fer.models.resnet import build_small
from fer.overrides import read_recipe, with_values
from fer.released import default_name
from fer.training.ema import Average
from fer.types import Preprocess
from tests import fakes

PRODUCT = 2048  # rows and columns of the matrices whose product shows how fast the device multiplies
BATCH, ROUNDS = 128, 5  # of five rounds one or two may fall into a slow phase of the machine
STOCK_BATCH = BATCH if best_device() == "cuda" else 32  # the stock net takes 10 s for 128 faces on two cores
TRAINING_FACES = 28_709
FACES = Preprocess()
Answer = TypeVar("Answer")
CONFIG = with_values(RunConfig(), read_recipe(RunConfig().model), "the recipe of the default architecture")
EVERYTHING = Augmentation(alternating_flip=True, crop=44, erase=0.5, mixup=0.2, cutmix=1.0)
SHIPPED = with_values(RunConfig(), read_recipe(default_name()), "the recipe of the default checkpoint")


class OurLoop:
    """One tensor, one warp a batch, then the net; with gradient clipping and averaged weights as in :mod:`fer.training`."""

    def __init__(self, faces: FaceSet, shape: Preprocess, net: nn.Module | None = None) -> None:
        keep_freed_memory()
        self.device = best_device()
        self.faces, self.shape = faces.to(self.device), shape
        self.generator = torch.Generator(self.device).manual_seed(0)
        self.indices = self._indices()
        self.mirrored = alternate_flips(len(faces), 0, 1, torch.device(self.device))  # once an epoch
        if net:
            self.net = net.to(self.device).to(memory_format=torch.channels_last).train()
            self.average = Average(self.net, CONFIG.optimizer.ema)
            self.optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def _indices(self) -> Iterator[torch.Tensor]:
        while True:
            order = torch.randperm(len(self.faces), generator=self.generator, device=self.device)
            yield from torch.split(order, BATCH)[: max(1, len(order) // BATCH)]

    def batch(self, strengths: Augmentation | None = CONFIG.augmentation) -> tuple[torch.Tensor, torch.Tensor]:
        """The next standardised faces and float32 (N, C), what their labels ask for."""
        index = next(self.indices)
        pixels = to_unit(self.faces.images.index_select(0, index))
        targets = smooth(one_hot(self.faces.labels[index], len(EMOTIONS)), CONFIG.loss.label_smoothing)
        if strengths:
            pixels = augment(pixels, strengths, self.generator, self.mirrored[index] if strengths.alternating_flip else None)
            if strengths.mixup:
                pixels, targets = mixup(pixels, targets, strengths.mixup, self.generator)
            if strengths.cutmix:
                pixels, targets = cutmix(pixels, targets, strengths.cutmix, self.generator)
        return standardise(pixels, self.shape), targets

    def step(self, strengths: Augmentation | None = CONFIG.augmentation) -> None:
        """Augment, forward, backward, update, average; nothing waits for the loss."""
        images, targets = self.batch(strengths)
        with torch.autocast(self.device, torch.bfloat16, enabled=bf16_pays()):
            logits = self.net(images)
        loss = soft_cross_entropy(logits, targets).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.net.parameters(), CONFIG.optimizer.grad_clip)
        self.optimizer.step()
        self.average.update(self.net)


def seconds(work: Callable[[], object], times: int) -> float:
    """Mean of ``times`` calls in a row, the device's work included."""
    wait()
    start = time.perf_counter()
    for _ in range(times):
        work()
    wait()
    return (time.perf_counter() - start) / times


def wait() -> None:
    """Let a GPU finish."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass(frozen=True)
class Side:
    """One side of a comparison: which loop over which input, with which net (none: data alone), and how it is measured."""

    loop: str
    shape: Preprocess
    net: str = ""
    images: int = BATCH
    calls: int = 3
    warm: int = 1

    def rate(self) -> float:
        """Images a second, freshly made, so that no worker of an earlier round still runs."""
        net = NETS[self.net]() if self.net else None
        loop = StudentLoop(_given.folder, self.shape, net, self.images) if self.loop == "student" else _ours(self.shape, net)
        work = loop.step if self.net else loop.batch
        for _ in range(self.warm):
            work()
        return self.images / seconds(work, self.calls)


@dataclass
class Given:
    """What the processes of both sides work on."""

    data: Path = Path()
    folder: Path = Path()
    faces: FaceSet | None = None


_given = Given()


def take(data: Path, folder: Path) -> None:
    """First thing in a side's process."""
    _given.data, _given.folder = data, folder
    torch.manual_seed(0)


def _ours(shape: Preprocess, net: nn.Module | None) -> OurLoop:
    _given.faces = _given.faces or load(_given.data).split("train")
    return OurLoop(_given.faces, shape, net)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    os.environ.update(values)
    yield
    for name in values:
        del os.environ[name]


class Contest:
    """Each side in a process of its own, which it sets up its own way; they take turns."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder

    def __enter__(self) -> Self:
        spawn = torch.multiprocessing.get_context("spawn")
        given = (self.data, self.folder)
        self.processes: dict[str, ProcessPoolExecutor] = {}
        for name, own in (("student", {}), ("ours", {"OMP_PROC_BIND": "true"} if best_device() == "cpu" else {})):
            self.processes[name] = ProcessPoolExecutor(1, spawn, initializer=take, initargs=given)
            with environment(own):  # as fer train binds its threads
                self.ask(name, int)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.shutdown()

    def rates(self, *sides: Side) -> list[float]:
        """Images a second of each side, median of the rounds."""
        rounds = [[self.ask(side.loop, side.rate) for side in sides] for _ in range(ROUNDS)]
        return [statistics.median(column) for column in zip(*rounds, strict=True)]

    def ask(self, loop: str, work: Callable[..., Answer], *values: object) -> Answer:
        """What a function returns in the process of a side."""
        return self.processes[loop].submit(work, *values).result()


def augmentation_share(strengths: Augmentation, repeats: int) -> tuple[float, float]:
    """Share of a step that augmentation takes, and images a second with it; with and without alternate step by step."""
    loop = _ours(FACES, net_of(CONFIG))
    ways = (lambda: loop.step(None), lambda: loop.step(strengths))
    pairs = [tuple(seconds(way, 1) for way in ways) for _ in range(repeats + 2)][2:]
    full = statistics.median(both for _, both in pairs)
    return statistics.median(both - net for net, both in pairs) / full, BATCH / full


def most_images(net: str) -> float:
    """Images a second if a step were nothing but the net's multiplications, at the rate of a large matrix product.

    Not an upper bound in theory (Winograd's convolutions multiply less), but what oneDNN's bfloat16 kernels can be held to.
    """
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(NETS[net]()(torch.zeros(2, FACES.channels, FACES.size, FACES.size)).sum())
    format_ = torch.bfloat16 if bf16_pays() else torch.float32
    square = torch.randn(PRODUCT, PRODUCT, dtype=format_, device=best_device())
    torch.mm(square, square)
    fastest = min(seconds(lambda: torch.mm(square, square), 1) for _ in range(2 * ROUNDS))
    return float(2 * PRODUCT**3 / fastest / (counter.get_total_flops() / 2))


def peak_gigabytes(data: Path) -> float:
    """Largest memory of a process that reads the set and trains the default recipe a few steps."""
    loop = OurLoop(load(data).split("train"), FACES, net_of(CONFIG))
    seconds(loop.step, 5)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def start_seconds(data: Path, folder: Path) -> float:
    """From the start of ``fer train`` to the end of its first step, the data set decoded before; median of the rounds."""
    script = """
import os, sys
from dataclasses import replace
from fer.cli import main
import fer.training.run as run
fit = run.fit
run.fit = lambda job, trainer, hooks: fit(job, trainer, replace(hooks, on_step=lambda *_: os._exit(0)))
main(["train", sys.argv[3], "--data", sys.argv[1], "--runs", sys.argv[2]])
"""
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        words = [sys.executable, "-c", script, str(data), str(folder / str(number)), CONFIG.model]
        subprocess.run(words, check=True, capture_output=True)  # what it says of its run is no part of the table
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def net_of(config: RunConfig) -> nn.Module:
    """The architecture of a recipe."""
    return MODELS[config.model].variants["small"].build(len(EMOTIONS), config.dropout)


def deep_net() -> nn.Module:
    """Four blocks of twice Conv-BN-ReLU and max pooling, 32-64-128-256."""
    pairs = itertools.pairwise((1, 32, 64, 128, 256))
    blocks = [layer for a, b in pairs for layer in (double_conv(a, b), nn.MaxPool2d(2))]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, len(EMOTIONS)))


NETS: dict[str, Callable[[], nn.Module]] = {
    **{config.model: partial(net_of, config) for config in (CONFIG, SHIPPED)},
    "32-64-128-256": deep_net,
    "resnet18 for 48 px": lambda: build_small(len(EMOTIONS)),
    "stock resnet18": lambda: resnet18(num_classes=len(EMOTIONS)),
}


def print_head() -> None:
    """The machine and the head of the table."""
    print(f"{device_name()}, torch {torch.__version__}, {torch.get_num_threads()} threads, bf16 {bf16_pays()}\n")
    print("| what | peer images/s | ours images/s | ratio | target | reached |\n|---|---|---|---|---|---|")


def print_ratio(what: str, rates: Sequence[float], least: float) -> None:
    """A comparison of both sides, the peer first."""
    peer, ours = rates
    reached = "yes" if ours / peer >= least else "no"
    print(f"| {what} | {peer:.1f} | {ours:,.0f} | {ours / peer:.1f}× | ≥ {least:g}× | {reached} |", flush=True)


def print_own(what: str, rate: str, value: str, target: str, reached: bool) -> None:
    """A figure of ours alone."""
    print(f"| {what} | – | {rate} | {value} | {target} | {'yes' if reached else 'no'} |", flush=True)


def compare_data(contest: Contest, pictures: int) -> None:
    """From stored images to a normalised batch, at both sizes; the two workers' first batches come at once and warm up."""
    calls = max(1, pictures // BATCH - 2)
    for shape, least, ours in ((FACES, 30, 400), (IMAGENET, 20, 25)):
        peer, our = Side("student", shape, calls=calls, warm=2), Side("ours", shape, calls=ours, warm=5)
        what = f"data pipeline, {shape.size} px {'grey' if shape.channels == 1 else 'RGB'}"
        print_ratio(what, contest.rates(peer, our), least)


def compare_steps(contest: Contest, steps: int) -> str:
    """Whole training steps: the same net on both sides, then each side's usual set-up; what an epoch of it takes."""
    both = [Side(loop, FACES, "resnet18 for 48 px", calls=steps) for loop in ("student", "ours")]
    print_ratio("training step, ResNet-18 with 3×3 stem, 48 px", contest.rates(*both), 2.5)
    epochs: dict[str, float] = {}
    for config in (SHIPPED, CONFIG):
        stock, large_rate, small_rate = contest.rates(
            Side("student", IMAGENET, "stock resnet18", images=STOCK_BATCH, calls=steps),
            Side("ours", FACES, config.model, calls=4 * steps, warm=2),
            Side("ours", replace(FACES, size=config.small_size), config.model, calls=8 * steps, warm=2),
        )
        small, large = config.small_epochs, config.epochs - config.small_epochs
        rate = config.epochs / (small / small_rate + large / large_rate)
        what = f"{config.model}, {small} epochs at {config.small_size} px and {large} at 48 px"
        print_ratio(f"epoch: stock ResNet-18, 224 px, fp32 / {what}", (stock, rate), 25)
        epochs |= {"stock set-up": TRAINING_FACES / stock, config.model: TRAINING_FACES / rate}
    listed = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in epochs.items())
    return f"An epoch of {TRAINING_FACES:,} images, extrapolated from the images/s of this run: {listed}."


def measure_ours(contest: Contest, steps: int) -> None:
    """What ours costs by itself."""
    for name, strengths in (("its recipe's", CONFIG.augmentation), ("all there are", EVERYTHING)):
        share, rate = contest.ask("ours", augmentation_share, strengths, 10 * steps)
        what = f"augmentation's share of a step, {CONFIG.model}, 48 px, {name}"
        print_own(what, f"{rate:,.0f}", f"{share:.1%}", "≤ 10 %", share <= 0.1)
    (rate,) = contest.rates(Side("ours", FACES, "32-64-128-256", calls=2 * steps, warm=2))
    most = contest.ask("ours", most_images, "32-64-128-256")
    of_most = f"{rate / most:.0%} of {most:,.0f}"
    print_own("training step, 32-64-128-256, 48 px", f"{rate:,.0f}", of_most, "≥ 600 images/s", rate >= 600)


def write_files(data: Path, faces: FaceSet, folder: Path, count: int) -> Path:
    """Some training pictures as the files that ImageFolder wants, as they are in the data set; from a csv, as JPEGs."""
    members = () if data.suffix == ".csv" else open_tree(data).members
    pictures = [m for m in members if "train" in m.path.parts and m.path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    for name in EMOTIONS:
        (folder / name).mkdir(parents=True)
    for member in random.Random(0).sample(pictures, min(count, len(pictures))):
        (folder / member.path.parent.name / member.path.name).write_bytes(member.read())
    for number in [] if pictures else random.Random(0).sample(range(len(faces)), min(count, len(faces))):
        Image.fromarray(faces.images[number, 0].numpy()).save(folder / EMOTIONS[int(faces.labels[number])] / f"{number}.jpg")
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("FER_DATA"), help="zip, folder or csv; default: generated pictures")
    parser.add_argument("--faces", type=int, default=2048, help="pictures that the peer gets as files")
    parser.add_argument("--steps", type=int, default=3, help="training steps a measurement")
    options = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("FER_CACHE", f"{temporary}/cache")
        data = locate(options.data or fakes.write_folder(Path(temporary, "fakes"), train=options.faces // len(EMOTIONS)))
        with Contest(data, Path()) as contest:  # a process of its own, whose peak is its own
            memory = contest.ask("ours", peak_gigabytes, data)
        folder = write_files(data, load(data).split("train"), Path(temporary, "files"), options.faces)
        print_head()
        with Contest(data, folder) as contest:
            compare_data(contest, options.faces)
            epoch = compare_steps(contest, options.steps)
            measure_ours(contest, options.steps)
        start = start_seconds(data, Path(temporary))
        print_own("start of the process to the end of its first step", "–", f"{start:.1f} s", "≤ 6 s", start <= 6)
        print_own("peak memory of our loop, data set included", "–", f"{memory:.2f} GB", "≤ 2 GB", memory <= 2)
    print(f"\n{epoch}")


if __name__ == "__main__":
    main()
