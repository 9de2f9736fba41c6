"""Which number format and memory layout trains which architecture fastest: measured, not guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from fer.environment import bf16_pays


@dataclass(frozen=True)
class Format:
    """How numbers are multiplied, and how images lie in memory, while a network learns."""

    bf16: bool
    channels_last: bool

    @property
    def precision(self) -> Literal["bf16-mixed", "32-true"]:
        """Fabric's name of the number format."""
        return "bf16-mixed" if self.bf16 else "32-true"

    @property
    def memory(self) -> torch.memory_format:
        """torch's name of the layout."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


#: The formats in the order of the columns of :data:`FACES_PER_SECOND`.
FORMATS = (Format(False, False), Format(False, True), Format(True, False), Format(True, True))

#: ``python benchmarks/formats.py`` on two cores of an AMD EPYC with avx512_bf16, torch 2.15: faces a second of a whole step.
#: The two nets of small depthwise convolutions, which have no bfloat16 kernel, are faster in float32. On two cores of an Intel
#: Xeon with amx_bf16 the same format wins in every row but convnext_tiny's, whose two bfloat16 rates are within 3 %.
FACES_PER_SECOND: Mapping[str, tuple[int, int, int, int]] = {
    "baseline": (576, 677, 942, 1371),
    "convnext_tiny": (19, 19, 31, 32),
    "custom_cnn": (117, 134, 212, 242),
    "efficientnet_b0": (54, 72, 60, 57),
    "ensemble": (95, 112, 163, 182),
    "fast_cnn": (251, 301, 409, 517),
    "mobilenet_v3_small": (118, 173, 106, 97),
    "net": (62, 71, 115, 133),
    "resnet18": (23, 27, 46, 50),
    "senet": (56, 58, 96, 98),
    "vgg8": (50, 55, 78, 85),
    "vgg16": (32, 30, 64, 73),
    "vit": (50, 49, 54, 53),
}


def fastest_format(architecture: str, precision: str, device: str) -> Format:
    """The format in which an architecture learns fastest on a kind of device.

    Args:
        architecture: one that was not measured gets the format of plain convolutions.
        precision: ``fp32`` or ``bf16`` to have the number format fixed, or ``auto``.
        device: ``cpu``, or ``cuda``, where nothing was measured: channels_last, and bfloat16 where it is native.
    """
    native = bf16_pays(device)
    if device != "cpu" or architecture not in FACES_PER_SECOND:
        return Format(bf16=native if precision == "auto" else precision == "bf16", channels_last=True)
    rates = dict(zip(FORMATS, FACES_PER_SECOND[architecture], strict=True))
    allowed = {"fp32": (False,), "bf16": (True,), "auto": (False, True) if native else (False,)}[precision]
    return max((each for each in FORMATS if each.bf16 in allowed), key=lambda each: rates[each])
