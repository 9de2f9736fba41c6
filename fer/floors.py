"""What is asked of released models, set before any was trained: least accuracies on the validation split, in percent."""

from collections.abc import Mapping
from dataclasses import dataclass

from fer.registry import Registry


@dataclass(frozen=True)
class Floor:
    """Least accuracies in percent.

    Attributes:
        alone: without test-time augmentation; None where only the other is asked for.
        averaged: with the best of the measured test-time augmentations.
    """

    alone: float | None
    averaged: float

    def lacks(self, alone: float, averaged: Mapping[str, float]) -> list[str]:
        """What accuracies in percent lack, in words; nothing where they reach the floor.

        Args:
            alone: without test-time augmentation.
            averaged: by test-time augmentation.

        >>> Floor(64.0, 65.0).lacks(66.0, {"flip": 64.5, "tencrop": 64.2})
        ['64.50 % with --tta flip, floor 65.0 %']
        """
        way, best = max(averaged.items(), key=lambda pair: pair[1])
        asked = ((alone, self.alone, "none"), (best, self.averaged, way))
        return [f"{value:.2f} % with --tta {tta}, floor {floor} %" for value, floor, tta in asked if floor and value < floor]

    def __str__(self) -> str:
        """Both figures as they stand in tables."""
        return f"{'–' if self.alone is None else self.alone} ({self.averaged})"


#: Most expected calibration error of a release, on the faces that it was not calibrated on.
MOST_ECE = 0.03

#: Floors by the name of the release.
FLOORS: Registry[Floor] = Registry("floor")
FLOORS.add("baseline", Floor(64.0, 65.0))
FLOORS.add("custom_cnn", Floor(68.5, 69.5))
FLOORS.add("custom_cnn-distilled", Floor(68.5, 69.5))
FLOORS.add("mobilenet_v3_small", Floor(69.0, 70.0))
FLOORS.add("mobilenet_v3_small-distilled", Floor(69.0, 70.0))
FLOORS.add("senet", Floor(70.5, 71.5))
FLOORS.add("net", Floor(70.5, 71.5))
FLOORS.add("net-distilled", Floor(70.5, 71.5))
FLOORS.add("efficientnet_b0", Floor(71.0, 72.0))
FLOORS.add("resnet18", Floor(72.0, 73.0))
FLOORS.add("vgg16", Floor(71.5, 72.5))
FLOORS.add("vgg8", Floor(71.5, 72.5))
FLOORS.add("resnet18-distilled", Floor(72.7, 73.5))
FLOORS.add("ensemble", Floor(None, 74.5))
FLOORS.add("fast_cnn-ferplus", Floor(85.0, 85.0))
FLOORS.add("resnet18-ferplus", Floor(85.0, 85.0))
FLOORS.add("fast_cnn-four", Floor(83.0, 84.0))
