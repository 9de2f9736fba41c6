"""``vit``: a vision transformer, small over 48-pixel faces, ViT-B/16 for ImageNet weights."""

import math
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from fer.models.blocks import tokens_to_map
from fer.models.entry import IMAGENET, Variant, register_model
from fer.models.weights import imagenet_weights
from fer.types import Preprocess

if TYPE_CHECKING:
    from torchvision.models import VisionTransformer

# 64 places of 6×6 pixels; about 4 M weights, as much as 28,709 faces can be asked to fit from scratch
PATCH, LAYERS, HEADS, WIDTH = 6, 9, 3, 192


def build_stock(classes: int, dropout: float = 0.0) -> "VisionTransformer":
    """torchvision's ViT-B/16 with a new head: (N, 3, 224, 224) → (N, classes)."""
    from torchvision.models import vit_b_16

    return _with_head(vit_b_16(weights=None, dropout=dropout), classes, dropout)


def build_small(classes: int, dropout: float = 0.1) -> "VisionTransformer":
    """A small transformer over grey faces: (N, 1, 48, 48) → 8×8 places → (N, classes)."""
    from torchvision.models import VisionTransformer

    net = VisionTransformer(48, PATCH, LAYERS, HEADS, WIDTH, 4 * WIDTH, dropout=dropout)
    net.conv_proj = nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
    nn.init.trunc_normal_(net.conv_proj.weight, std=1 / math.sqrt(PATCH * PATCH))
    nn.init.zeros_(net.conv_proj.bias)
    return _with_head(net, classes, dropout)


def _with_head(net: "VisionTransformer", classes: int, dropout: float) -> "VisionTransformer":
    net.heads = nn.Sequential(nn.Dropout(dropout), nn.Linear(net.hidden_dim, classes))
    return net


def _cam_layer(layers: int) -> tuple[str, ...]:
    # after the last block's attention only the class token counts, so that other places have no gradient there
    return (f"encoder.layers.encoder_layer_{layers - 1}.ln_1",)


register_model(
    "vit",
    summary="transformer over patches: 9 layers of 192 from scratch, ViT-B/16 with ImageNet weights",
    reference="Dosovitskiy et al. 2021 (arXiv:2010.11929)",
    small=Variant(build_small, Preprocess(), _cam_layer(LAYERS), head="heads", fixed_size=True, reshape=tokens_to_map),
    imagenet=Variant(
        build_stock,
        IMAGENET,
        _cam_layer(12),
        head="heads",
        fixed_size=True,
        weights=partial(imagenet_weights, "ViT_B_16_Weights"),
        reshape=tokens_to_map,
    ),
)
