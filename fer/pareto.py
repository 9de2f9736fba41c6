"""What the released models trade: accuracy against milliseconds a face and megabytes."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fer import released
from fer.config import LABELS
from fer.emotions import EMOTIONS
from fer.latency import Latency, measure
from fer.metrics import wilson_interval
from fer.portable import Portable
from fer.predict import Model, open_model
from fer.types import Progress

#: The nearest peer that can be installed, a mini-Xception in int8; measured elsewhere, on another machine.
PEER = {"name": "mini-Xception, int8 (peer)", "accuracy": 0.6525, "milliseconds": 0.43, "published": True}

#: How often every model is timed; others come between, so that a while in which the machine is slow hits all of them.
PASSES = 5


def points(progress: Progress | None = None) -> list[dict[str, Any]]:
    """Accuracy, size and speed of all that is released for all classes, timed here on the CPU; :data:`PEER` comes last.

    Left out are models whose accuracy is another measure, on fewer classes or other labels, or was never taken.
    ``progress`` hears of every timing.
    """
    checkpoint_files = [released.RELEASED / f"{name}.pth" for name in released.released_names()]
    opened = {
        path: open_model(path, threads=torch.get_num_threads(), device="cpu")
        for path in [*checkpoint_files, *released.released_files(".onnx")]
    }
    compared = {path: model for path, model in opened.items() if _figures(model) and _is_of_the_task(model)}
    times: dict[Path, list[Latency]] = {path: [] for path in compared}
    for done, (path, model) in enumerate(PASSES * [*compared.items()], 1):
        times[path].append(measure(model))
        if progress:
            progress(done, PASSES * len(compared))
    return [*(_point(path, model, times[path]) for path, model in compared.items()), PEER]


def _is_of_the_task(model: Model) -> bool:
    return model.card.classes == EMOTIONS and model.card.labels == LABELS[0]


def _point(path: Path, model: Model, times: Sequence[Latency]) -> dict[str, Any]:
    is_export = isinstance(model, Portable)
    return {
        "name": path.name if is_export and path.with_suffix(".pth").exists() else path.stem,
        "default": path.stem == released.default_name() and not is_export,
        **_figures(model),
        "milliseconds": statistics.median(time.batched for time in times),
        "milliseconds_single": statistics.median(time.single for time in times),
        "megabytes": path.stat().st_size / 1e6,
    }


def _figures(model: Model) -> dict[str, Any]:
    """Validation accuracy with its interval: from the card, or of an exported model from its proof; empty without."""
    if not isinstance(model, Portable):
        measured = model.card.metrics.get("validation", {})
        return {key: measured[key] for key in ("accuracy", "ci95") if key in measured}
    proof = model.seal.proof
    if not proof["accuracy"]:
        return {}
    accuracy = proof["accuracy"][1]
    return {"accuracy": accuracy, "ci95": wilson_interval(round(accuracy * proof["n"]), proof["n"])}
