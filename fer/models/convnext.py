"""``convnext_tiny``: a convolutional net built like a transformer; patches of 2 instead of 4 pixels for 48-pixel faces."""

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from fer.models.blocks import grey_stem
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import ConvNeXt


def build_stock(classes: int, dropout: float = 0.1) -> "ConvNeXt":
    """torchvision's ConvNeXt-T with a new head: (N, 3, 224, 224) → (N, classes)."""
    from torchvision.models import convnext_tiny

    net = convnext_tiny(weights=None)
    norm, flatten, linear = net.classifier
    net.classifier = nn.Sequential(norm, flatten, nn.Dropout(dropout), nn.Linear(linear.in_features, classes))
    return net


def build_small(classes: int, dropout: float = 0.1) -> "ConvNeXt":
    """The same for grey faces; the last downsampling keeps the size: (N, 1, 48, 48) → 6×6 → (N, classes)."""
    net = build_stock(classes, dropout)
    net.features[0][0] = grey_stem(net.features[0][0], stride=2, kernel=2)
    last = net.features[6][1]
    net.features[6][1] = nn.Conv2d(last.in_channels, last.out_channels, kernel_size=1)
    return net


register_model(
    "convnext_tiny",
    summary="large depthwise kernels and layer norm, 28 M weights",
    reference="Liu et al. 2022 (arXiv:2201.03545)",
    small=Variant(build_small, Preprocess(), cam_layers=("features.7",), head="classifier"),
    imagenet=Variant(
        build_stock,
        IMAGENET,
        cam_layers=("features.7",),
        head="classifier",
        weights=partial(imagenet_weights, "ConvNeXt_Tiny_Weights"),
    ),
)
