"""How many faces a second two processes go through: decoding, judging, and both, by every runtime in one run.

    python benchmarks/bulk.py MODEL... [--pictures 8192] [--processes 2]

Models are checkpoints and exported models; the first is what the ratios refer to. Pictures are 48×48 JPEGs made here, faces
already cut out. Prints a Markdown table; figures of judging leave decoding out, those of the whole have everything from the
first to the last finished part, the table's rows included.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fer.bulk import Bulk, predict_files
from fer.images import grey_batch, read
from fer.predict import model_logits, open_model
from fer.samples import sample_path
from fer.types import Box, Face

BATCH, BATCHES, ROUNDS, DISTINCT = 64, 24, 5, 512


def write_pictures(folder: Path, count: int) -> None:
    """48×48 grey JPEGs: the sample's face with noise, a few hundred different ones under many names."""
    face = Image.open(sample_path()).crop((177, 67, 272, 162)).convert("L").resize((48, 48))
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number < DISTINCT:
            noisy = np.asarray(face) + rng.normal(0, 12, (48, 48))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        else:
            os.link(folder / f"{number % DISTINCT:06d}.jpg", path)


def decode(paths: list[str]) -> float:
    """Seconds to bring files to grey faces."""
    start = time.perf_counter()
    for path in paths:
        image = read(path)
        grey_batch([Face(image, Box(0, 0, image.shape[1], image.shape[0]), 0.0, "whole image")])
    return time.perf_counter() - start


def judge(name: str) -> list[float]:
    """Seconds of each round of batches, after two to warm up, on one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model, faces = open_model(name, threads=1), np.random.default_rng(0).integers(0, 256, (BATCH, 1, 48, 48), dtype=np.uint8)
    times = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        for _ in range(BATCHES):
            model_logits(model, faces)
        times.append(time.perf_counter() - start)
    return times[2:]


def whole(folder: Path, name: str, processes: int) -> float:
    """Pictures a second from the first finished part to the last."""
    told: list[tuple[float, int]] = []
    predict_files(
        [folder], folder.parent / "faces.parquet", Bulk(name, "none", processes=processes),
        lambda done, _: told.append((time.perf_counter(), done)),
    )  # fmt: skip
    (start, first), (end, last) = told[0], told[-1]
    return (last - first) / (end - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--pictures", type=int, default=8192)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(options.processes, context) as pool:
        folder = Path(place) / "pictures"
        folder.mkdir()
        write_pictures(folder, options.pictures)
        files = sorted(map(str, folder.iterdir()))
        list(pool.map(decode, [files[:64]] * options.processes))
        seconds = list(pool.map(decode, [files[n :: options.processes] for n in range(options.processes)]))
        print(f"{options.processes} processes, a thread each; decoding alone: {len(files) / max(seconds):,.0f} pictures/s\n")
        print("| model | judging, faces/s | ratio | decoding and judging, pictures/s | ratio |\n|---|---|---|---|---|")
        first: tuple[float, float] | None = None
        for name in options.models:
            rounds = zip(*pool.map(judge, [name] * options.processes), strict=True)
            rate = BATCH * BATCHES * options.processes / statistics.median(max(times) for times in rounds)
            both = whole(folder, name, options.processes)
            first = first or (rate, both)
            print(
                f"| {Path(name).name} | {rate:,.0f} | {rate / first[0]:.1f} | {both:,.0f} | {both / first[1]:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
