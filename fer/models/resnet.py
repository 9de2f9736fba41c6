"""``resnet18``: torchvision's residual network, stock for ImageNet weights, small-stemmed for 48-pixel faces."""

from torch import nn
from torchvision.models import ResNet, ResNet18_Weights, WeightsEnum, resnet18

from fer.models.entry import Variant, register_model
from fer.types import Preprocess

_IMAGENET = Preprocess(size=224, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def build_stock(classes: int, dropout: float = 0.2) -> ResNet:
    """torchvision's ResNet-18 with a new head: (N, 3, 224, 224) → (N, classes)."""
    net = resnet18(weights=None)
    net.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(net.fc.in_features, classes))
    return net


def build_small(classes: int, dropout: float = 0.2) -> ResNet:
    """ResNet-18 with a 3×3 stride-1 stem and no max pooling: (N, 1, 48, 48) → last map 6×6 → (N, classes)."""
    net = build_stock(classes, dropout)
    net.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = nn.Identity()
    return net


def imagenet_weights() -> WeightsEnum:
    """torchvision's ImageNet weights for this network."""
    return ResNet18_Weights.IMAGENET1K_V1


register_model(
    "resnet18",
    summary="residual net, 18 layers; 3×3 stem from scratch, stock with ImageNet weights",
    reference="He et al. 2016 (arXiv:1512.03385)",
    small=Variant(build_small, Preprocess(), cam_layer="layer4", head="fc"),
    imagenet=Variant(build_stock, _IMAGENET, cam_layer="layer4", head="fc", weights=imagenet_weights),
)
