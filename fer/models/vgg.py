"""``vgg8`` for 40 to 48 pixels, and ``vgg16`` with batch norm: stock for ImageNet weights, one halving fewer for faces."""

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from fer.models.blocks import double_conv, grey_stem
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import VGG

WIDTHS = (64, 128, 256, 512)
HIDDEN = 4096


class VGG8(nn.Module):
    """Eight convolutions and three dense layers: (N, 1, S, S), S 40 to 48, → (N, classes).

    >>> VGG8(7).eval()(torch.zeros(2, 1, 40, 40)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(double_conv(a, b) for a, b in zip((1, *WIDTHS), WIDTHS, strict=False)))
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Sequential(
            nn.AdaptiveAvgPool2d(3),  # 48 pixels arrive as 3×3, 40 as 2×2
            nn.Flatten(),
            nn.Linear(WIDTHS[-1] * 9, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(HIDDEN, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        for block in self.blocks:
            x = self.pool(block(x))
        logits: torch.Tensor = self.head(self.hidden(x))
        return logits


def build_stock(classes: int, dropout: float = 0.5) -> "VGG":
    """torchvision's VGG-16 with batch norm and a new last layer: (N, 3, 224, 224) → (N, classes)."""
    from torchvision.models import vgg16_bn

    net = vgg16_bn(weights=None, dropout=dropout)
    net.classifier[6] = nn.Linear(HIDDEN, classes)
    return net


def build_small(classes: int, dropout: float = 0.5) -> "VGG":
    """VGG-16's convolutions over grey faces, halved three times before the last five: (N, 1, 48, 48) → (N, classes).

    Average pooling and one linear layer replace the dense layers that ImageNet's 7×7 maps need.
    """
    from torchvision.models import vgg16_bn

    net = vgg16_bn(weights=None, dropout=dropout)
    net.features[0] = grey_stem(net.features[0])
    pools = [index for index, layer in enumerate(net.features) if isinstance(layer, nn.MaxPool2d)]
    net.features[pools[-2]] = nn.Identity()
    net.avgpool = nn.AdaptiveAvgPool2d(1)
    net.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(WIDTHS[-1], classes))
    return net


_REFERENCE = "Simonyan & Zisserman 2015 (arXiv:1409.1556)"
# the ReLU after the thirteenth convolution, before the last pooling
_LAST_MAP = ("features.42",)

register_model(
    "vgg8",
    summary="8 convolutions 64-128-256-512, dense layers 4096-4096",
    reference="Khaireddin & Chen 2021 (arXiv:2105.03588)",
    small=Variant(VGG8, Preprocess(), cam_layers=("blocks.3",), head="head"),
)
register_model(
    "vgg16",
    summary="13 convolutions with batch norm; average pooling from scratch, dense layers with ImageNet weights",
    reference=_REFERENCE,
    small=Variant(build_small, Preprocess(), cam_layers=_LAST_MAP, head="classifier"),
    imagenet=Variant(
        build_stock,
        IMAGENET,
        cam_layers=_LAST_MAP,
        head="classifier.6",
        weights=partial(imagenet_weights, "VGG16_BN_Weights"),
    ),
)
