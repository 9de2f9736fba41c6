"""Which number format is faster for which architecture: measured, not guessed.

On a processor without a GPU bfloat16 speeds up plain convolutions and slows down depthwise ones, whose kernels have no
bfloat16 form. The table below is printed by ``python benchmarks/formats.py``.
"""

from fer.environment import best_device, bf16_pays

#: Architectures that train faster in float32 on a CPU that multiplies bfloat16 natively.
FP32_ON_CPU = frozenset({"mobilenet_v3_small", "efficientnet_b0"})


def bf16_is_faster(architecture: str) -> bool:
    """True where this machine trains the architecture faster in bfloat16."""
    return bf16_pays() and (best_device() == "cuda" or architecture not in FP32_ON_CPU)
