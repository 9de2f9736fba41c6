"""Grad-CAM by the head's gradient alone beside the grad-cam package: milliseconds a map, medians, ratios in one run.

    python benchmarks/explaining.py [--architecture resnet18] [--variant small] [--rounds 7] [--plain] [--out FILE.json]

Both sides explain the same faces of 48 pixels with the same network in float32, in turns; the faces' standardised inputs are
ready before the clock starts. The package is used as its README says: one object, called with the batch. Ours runs as in
:func:`analysis.explain.explain`, on the form of the network that a loaded checkpoint answers with; making it is not counted
but shown. ``--plain`` takes the network itself, so that the gain of the form and that of the method can be told apart.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from analysis.explain.method import METHODS, Layers, untouched
from fer.aim import Aim
from fer.data.preprocess import standardise
from fer.emotions import EMOTIONS
from fer.environment import device_name
from fer.models import MODELS
from fer.models.packed import packed
from fer.types import Preprocess

PACKAGE: dict[str, type[BaseCAM]] = {"gradcam": GradCAM, "layercam": LayerCAM, "hirescam": HiResCAM}
BATCHES = (1, 32)


def milliseconds(run: Callable[[], object], faces: int, repeats: int) -> float:
    """Time a map."""
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return 1000 * (time.perf_counter() - started) / (faces * repeats)


@dataclass(frozen=True)
class Network:
    """What answers, and where its maps are read."""

    model: nn.Module
    layers: Layers


def side_by_side(own: Network, plain: Network, inputs: torch.Tensor, method: str, rounds: int) -> tuple[float, float]:
    """Milliseconds a map by the head's gradient and by the package, medians over rounds in turns; the first is not counted."""
    batch = len(inputs)
    repeats = max(1, 32 // batch)
    aim, targets, run = Aim((3,) * batch), [ClassifierOutputTarget(3)] * batch, METHODS[method].run
    times: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        with untouched(own.model):
            ours = milliseconds(lambda: run(own.model, inputs, own.layers, aim), batch, repeats)
        with PACKAGE[method](plain.model, list(plain.layers.modules), plain.layers.reshape) as cam:
            package = milliseconds(lambda: cam(inputs, targets), batch, repeats)
        times.append((ours, package))
    ours, package = (statistics.median(side) for side in zip(*times[1:], strict=True))
    return ours, package


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--variant", default="small")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    spec = MODELS[options.architecture].variants[options.variant]
    model = spec.build(len(EMOTIONS), 0.0).eval()
    preprocess = Preprocess(48, spec.preprocess.channels, spec.preprocess.mean, spec.preprocess.std)
    started = time.perf_counter()
    form = model if options.plain else packed(model, standardise(torch.rand(1, 1, 48, 48), preprocess), spec.cam_layers)
    packing = 1000 * (time.perf_counter() - started)
    own, plain = (Network(net, Layers.of(net, spec)) for net in (form, model))
    print(f"packing: {packing:.0f} ms, once")
    rows = []
    for method in PACKAGE:
        for batch in BATCHES:
            inputs = standardise(torch.rand(batch, 1, 48, 48), preprocess)
            ours, package = side_by_side(own, plain, inputs, method, options.rounds)
            rows.append({"method": method, "batch": batch, "ours_ms": ours, "package_ms": package, "ratio": package / ours})
            print(f"{method:9} batch {batch:3}: {ours:6.2f} ms ours, {package:6.2f} ms package, {package / ours:.1f} times")
    result = {
        "architecture": options.architecture,
        "variant": options.variant,
        "device": device_name("cpu"),
        "packing_ms": packing,
        "threads": torch.get_num_threads(),
        "rows": rows,
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
