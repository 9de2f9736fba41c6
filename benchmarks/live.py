"""Frames a second and place of the boxes on a film, beside the way of most programs: a full search in every frame, torch eager.

    python benchmarks/live.py [--model fast_cnn-int8] [--checkpoint fast_cnn] [--frames 300]

Run it on one core with ``taskset -c 0``. The film is made here: the sample's face moving and growing at 640×480 on a blurred
background with noise. Both ways see the same frames from memory, take turns in rounds, and do all but reading and drawing; a
third line has reading, drawing and writing of MP4 in it. IoU is that of tracked boxes with those of a full search of the same
frame, where both are there. Prints a Markdown table.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from analysis.figures.scene import draw_scene
from fer.checkpoint import load
from fer.faces import Find, Search
from fer.images import grey_batch, read
from fer.predict import Predictor, open_model
from fer.samples import sample_path
from fer.types import Box, ByteArray, Face
from fer.video import Recogniser, Tracker, open_source
from fer.video.film import write_film

WIDTH, HEIGHT, FPS = 640, 480, 30.0
PART = 60


def frames(count: int) -> Iterator[ByteArray]:
    """A face that moves and changes its size."""
    rng = np.random.default_rng(0)
    coarse = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8), (0, 0), 1.5)
    background = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    head = read(sample_path())[40:240, 120:330]
    for t in range(count):
        scale = 1 + 0.3 * np.sin(t / 40)
        face = cv2.resize(head, None, fx=scale, fy=scale)
        height, width = face.shape[:2]
        x = int((WIDTH - width) / 2 * (1 + 0.9 * np.sin(t / 25)))
        y = int((HEIGHT - height) / 2 * (1 + 0.8 * np.cos(t / 33)))
        picture = background.copy()
        picture[y : y + height, x : x + width] = face
        yield (picture + rng.integers(-6, 7, picture.shape)).clip(0, 255).astype(np.uint8)


def eager(name: str) -> Callable[[ByteArray], object]:
    """The way of most programs: the detector on the whole frame, a torch module on every face."""
    detector, checkpoint = Search("haar").open(), load(name, "cpu")
    net, p = checkpoint.model.eval(), checkpoint.card.preprocess

    def judge(image: ByteArray) -> object:
        cut = []
        for find in detector.find(image):
            x1, y1, x2, y2 = (max(0, round(value)) for value in (find.x1, find.y1, find.x2, find.y2))
            pixels = np.ascontiguousarray(image[y1:y2, x1:x2])
            cut.append(Face(pixels, Box(x1, y1, x1 + pixels.shape[1], y1 + pixels.shape[0]), 1.0, "haar"))
        if not cut:
            return None
        with torch.no_grad():
            batch = torch.from_numpy(grey_batch(cut)).float() / 255
            return net((batch - p.mean[0]) / p.std[0]).softmax(1)

    return judge


def timed(work: Callable[[ByteArray], object], pictures: list[ByteArray]) -> float:
    """Seconds to go through some frames."""
    start = time.perf_counter()
    for picture in pictures:
        work(picture)
    return time.perf_counter() - start


def boxes_agree(pictures: list[ByteArray]) -> tuple[float, int]:
    """Mean IoU of followed with searched boxes, and in how many frames both are there."""
    detector = Search("haar").open()
    tracker, found = Tracker(detector), []
    for number, picture in enumerate(pictures):
        tracks, full = tracker.update(picture, number / FPS), detector.find(picture)
        if tracks and full:
            found.append(max(iou(tracks[0].find, find) for find in full))
    return float(np.mean(found)), len(found)


def iou(a: Find, b: Find) -> float:
    """Intersection over union of two boxes, worked out apart from the tracker's own."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = ((f.x1, f.y1, f.x2, f.y2) for f in (a, b))
    common = max(0, min(ax2, bx2) - max(ax1, bx1)) * max(0, min(ay2, by2) - max(ay1, by1))
    return float(common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common))


def whole(model: str, film: Path, out: Path) -> float:
    """Frames a second from a film to an annotated one."""
    recogniser, count, start = Recogniser(Predictor(open_model(model, threads=1), "haar")), 0, time.perf_counter()
    with open_source(str(film)) as source, write_film(out, source.size, source.fps) as written:
        for frame in source:
            written.write(draw_scene(frame.image, recogniser.see(frame.image, frame.seconds)), frame.seconds)
            count += 1
    return count / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast_cnn-int8")
    parser.add_argument("--checkpoint", default="fast_cnn")
    parser.add_argument("--frames", type=int, default=300)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    pictures = list(frames(arguments.frames))
    recogniser, number = Recogniser(Predictor(open_model(arguments.model, threads=1), "haar")), iter(range(10**9))
    ways: dict[str, Callable[[ByteArray], object]] = {
        "followed, exported model": lambda picture: recogniser.see(picture, next(number) / FPS),
        "full search in every frame, torch eager": eager(arguments.checkpoint),
    }
    spent = dict.fromkeys(ways, 0.0)
    for start in range(0, len(pictures), PART):
        for name, work in ways.items():
            spent[name] += timed(work, pictures[start : start + PART])
    with tempfile.TemporaryDirectory() as folder:
        film, out = Path(folder) / "film.mp4", Path(folder) / "out.mp4"
        with write_film(film, (WIDTH, HEIGHT), FPS) as written:
            for place, picture in enumerate(pictures):
                written.write(picture, place / FPS)
        from_film = whole(arguments.model, film, out)
    slow = len(pictures) / spent["full search in every frame, torch eager"]
    print(f"| way, {WIDTH}×{HEIGHT}, one face, {len(pictures)} frames | frames a second | times |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {len(pictures) / seconds:.0f} | {len(pictures) / seconds / slow:.1f} |")
    print(f"| followed, from MP4 to MP4 with boxes | {from_film:.0f} | {from_film / slow:.1f} |")
    mean, count = boxes_agree(pictures)
    print(f"\nmean IoU with the full search: {mean:.3f} ({count} frames)")


if __name__ == "__main__":
    main()
