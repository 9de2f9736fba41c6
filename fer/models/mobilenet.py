"""``mobilenet_v3_small``: depthwise convolutions for phones; its first two halvings are dropped for 48-pixel faces."""

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from fer.models.blocks import grey_stem
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import MobileNetV3


def build_stock(classes: int, dropout: float = 0.2) -> "MobileNetV3":
    """torchvision's MobileNetV3-small with a new last layer: (N, 3, 224, 224) → (N, classes)."""
    from torchvision.models import mobilenet_v3_small

    net = mobilenet_v3_small(weights=None, dropout=dropout)
    net.classifier[3] = nn.Linear(net.classifier[3].in_features, classes)
    return net


def build_small(classes: int, dropout: float = 0.2) -> "MobileNetV3":
    """The same for grey faces, 8 instead of 32 pixels to a place of the last map: (N, 1, 48, 48) → 6×6 → (N, classes)."""
    net = build_stock(classes, dropout)
    net.features[0][0] = grey_stem(net.features[0][0])
    net.features[1].block[0][0].stride = (1, 1)
    return net


register_model(
    "mobilenet_v3_small",
    summary="depthwise convolutions with squeeze-and-excitation, 1.5 M weights",
    reference="Howard et al. 2019 (arXiv:1905.02244)",
    small=Variant(build_small, Preprocess(), cam_layers=("features.12",), head="classifier"),
    imagenet=Variant(
        build_stock,
        IMAGENET,
        cam_layers=("features.12",),
        head="classifier.3",
        weights=partial(imagenet_weights, "MobileNet_V3_Small_Weights"),
    ),
)
