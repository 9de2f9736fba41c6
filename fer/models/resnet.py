"""``resnet18``: torchvision's residual network, stock for ImageNet weights, small-stemmed for 48-pixel faces."""

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from fer.models.blocks import grey_stem
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import ResNet


def build_stock(classes: int, dropout: float = 0.2) -> "ResNet":
    """torchvision's ResNet-18 with a new head: (N, 3, 224, 224) → (N, classes)."""
    from torchvision.models import resnet18

    net = resnet18(weights=None)
    net.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(net.fc.in_features, classes))
    return net


def build_small(classes: int, dropout: float = 0.2) -> "ResNet":
    """ResNet-18 with a 3×3 stride-1 stem and no max pooling: (N, 1, 48, 48) → last map 6×6 → (N, classes)."""
    net = build_stock(classes, dropout)
    net.conv1 = grey_stem(net.conv1)
    net.maxpool = nn.Identity()
    return net


register_model(
    "resnet18",
    summary="residual net, 18 layers; 3×3 stem from scratch, stock with ImageNet weights",
    reference="He et al. 2016 (arXiv:1512.03385)",
    small=Variant(build_small, Preprocess(), cam_layers=("layer4",), head="fc"),
    imagenet=Variant(
        build_stock, IMAGENET, cam_layers=("layer4",), head="fc", weights=partial(imagenet_weights, "ResNet18_Weights")
    ),
)
