"""What the released models trade: accuracy against milliseconds a face and megabytes."""

from typing import Any

import torch

from fer import released
from fer.config import LABELS
from fer.emotions import EMOTIONS
from fer.latency import measure
from fer.metrics import wilson_interval
from fer.portable import Portable
from fer.predict import Model, open_model

#: The nearest peer that can be installed, a mini-Xception in int8; measured elsewhere, on another machine.
PEER = {"name": "mini-Xception, int8 (peer)", "accuracy": 0.6525, "milliseconds": 0.43, "published": True}


def points() -> list[dict[str, Any]]:
    """Accuracy, size and speed of all that is released for all classes, timed here on the CPU; :data:`PEER` comes last.

    Left out are models whose accuracy is another measure, on fewer classes or other labels, or was never taken.
    """
    rows: list[dict[str, Any]] = []
    checkpoint_files = [released.RELEASED / f"{name}.pth" for name in released.released_names()]
    for path in [*checkpoint_files, *released.released_files(".onnx")]:
        loaded = open_model(path, threads=torch.get_num_threads(), device="cpu")
        figures = _figures(loaded)
        if not figures or loaded.card.classes != EMOTIONS or loaded.card.labels != LABELS[0]:
            continue
        latency, is_export = measure(loaded), isinstance(loaded, Portable)
        rows.append(
            {
                "name": path.name if is_export and path.with_suffix(".pth").exists() else path.stem,
                "default": path.stem == released.default_name() and not is_export,
                **figures,
                "milliseconds": latency.batched,
                "milliseconds_single": latency.single,
                "megabytes": path.stat().st_size / 1e6,
            }
        )
    return [*rows, PEER]


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
