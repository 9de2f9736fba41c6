"""``efficientnet_b0``: scaled depthwise net; 240 pixels with ImageNet weights, two halvings fewer for 48-pixel faces."""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from fer.models.blocks import grey_stem
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import EfficientNet


def build_stock(classes: int, dropout: float = 0.2) -> "EfficientNet":
    """torchvision's EfficientNet-B0 with a new head: (N, 3, 240, 240) → (N, classes)."""
    from torchvision.models import efficientnet_b0

    net = efficientnet_b0(weights=None, dropout=dropout)
    net.classifier[1] = nn.Linear(net.classifier[1].in_features, classes)
    return net


def build_small(classes: int, dropout: float = 0.2) -> "EfficientNet":
    """The same for grey faces, with a stem and a sixth stage that do not halve: (N, 1, 48, 48) → 6×6 → (N, classes)."""
    net = build_stock(classes, dropout)
    net.features[0][0] = grey_stem(net.features[0][0])
    net.features[6][0].block[1][0].stride = (1, 1)
    return net


register_model(
    "efficientnet_b0",
    summary="depthwise net scaled in depth, width and size, 4 M weights",
    reference="Tan & Le 2019 (arXiv:1905.11946)",
    small=Variant(build_small, Preprocess(), cam_layers=("features.8",), head="classifier"),
    imagenet=Variant(
        build_stock,
        dataclasses.replace(IMAGENET, size=240),
        cam_layers=("features.8",),
        head="classifier",
        weights=partial(imagenet_weights, "EfficientNet_B0_Weights"),
    ),
)
