"""Which number format is faster for which architecture: measured, not guessed.

``python benchmarks/formats.py`` on two cores of an AMD EPYC with avx512_bf16, torch 2.15, faces a second in channels_last,
float32 against bfloat16: custom_cnn 135 / 250, net 76 / 137, resnet18 27 / 51, senet 64 / 104, vgg8 56 / 95, vgg16 40 / 74,
convnext_tiny 19 / 30, vit 53 / 58; but efficientnet_b0 77 / 62 and mobilenet_v3_small 196 / 116, whose depthwise
convolutions have no bfloat16 kernel. Contiguous memory was slower or equal for all but the baseline.
"""

from fer.environment import best_device, bf16_pays

#: Architectures that train faster in float32 on a CPU that multiplies bfloat16 natively.
FP32_ON_CPU = frozenset({"mobilenet_v3_small", "efficientnet_b0"})


def bf16_is_faster(architecture: str) -> bool:
    """True where this machine trains the architecture faster in bfloat16."""
    return bf16_pays() and (best_device() == "cuda" or architecture not in FP32_ON_CPU)
