"""Class weights against the imbalance of FER-2013 (436 disgusted, 7,215 happy faces)."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from fer.config import Loss
from fer.emotions import canonical
from fer.errors import ConfigError, DataError, UnknownNameError
from fer.files import expanded

#: Weights beyond these are mistakes: in float32 the loss would lose its digits.
SMALLEST, LARGEST = 1e-6, 1e6


def balanced_class_weights(counts: Mapping[str, int]) -> tuple[float, ...]:
    """Weights wᵢ = N / (C·nᵢ), in the order of ``counts``; every class then counts alike in a mean loss.

    Raises:
        DataError: a class has no image.

    >>> balanced_class_weights({"happy": 1, "sad": 4})
    (2.5, 0.625)
    """
    empty = [name for name, count in counts.items() if count <= 0]
    if empty:
        raise DataError(
            f"no image of {', '.join(empty)}: balanced class weights need every class; choose others with --classes, "
            "or --set classes=..."
        )
    total = sum(counts.values())
    return tuple(round(total / (len(counts) * count), 6) for count in counts.values())


def class_weights(config: Loss, counts: Mapping[str, int]) -> tuple[float, ...]:
    """The weights a configuration means, for the classes of ``counts`` and in their order.

    Raises:
        ConfigError: a file without every class, or weights beyond all measure, or too far apart.
    """
    if config.class_weights == "none":
        return (1.0,) * len(counts)
    if config.class_weights == "balanced":
        weights = dict(zip(counts, balanced_class_weights(counts), strict=True))
    else:
        weights = _read(expanded(config.class_weights), counts)
    bad = [f"{name} {weight}" for name, weight in weights.items() if not SMALLEST <= weight <= LARGEST]
    if bad:
        raise ConfigError(
            f"class weights must be finite and positive, from {SMALLEST:g} to {LARGEST:g}, these are not: {', '.join(bad)}"
        )
    ratio = max(weights.values()) / min(weights.values())
    if ratio > config.max_weight_ratio:
        raise ConfigError(
            f"the largest class weight is {ratio:.0f} times the smallest, {config.max_weight_ratio:g} is allowed, "
            "since such weights make training diverge; change the weights, or raise --set loss.max_weight_ratio"
        )
    return tuple(weights[name] for name in counts)


def as_tensor(weights: tuple[float, ...], device: torch.device) -> torch.Tensor | None:
    """float32 (C,), or None where all are 1."""
    return None if set(weights) == {1.0} else torch.tensor(weights, device=device)


def _read(path: Path, counts: Mapping[str, int]) -> dict[str, float]:
    advice = 'give a JSON object such as {"angry": 1.0, ...}, or none, or balanced'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        weights = {canonical(name): float(weight) for name, weight in content.items()}
    except OSError as error:
        raise ConfigError(f"class weights {path}: {error.strerror}; {advice}") from error
    except (ValueError, OverflowError, RecursionError, TypeError, AttributeError, UnknownNameError) as error:
        raise ConfigError(f"class weights {path}: {error}; {advice}") from error
    missing = [name for name in counts if name not in weights]
    if missing:
        raise ConfigError(f"class weights {path}: none for {', '.join(missing)}; {advice}")
    return {name: weights[name] for name in counts}
