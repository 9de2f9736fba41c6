"""``fast_cnn``: made for 8-bit integers on one core: narrow where maps are large, wide where they are small."""

import torch
import torch.nn.functional as F
from torch import nn

from fer.models.blocks import conv_norm, double_conv
from fer.models.entry import Variant, register_model
from fer.types import Preprocess

# Channels in multiples of 32 fill the registers of 8-bit kernels. One convolution alone works at full resolution,
# where a second one would multiply as often as one of the stages' own.
STEM = 32
WIDTHS = (64, 128, 256)


class FastCNN(nn.Module):
    """A stem and three stages of twice Conv-BN-ReLU, each behind max pooling: (N, 1, S, S) → last map S/8 → (N, classes).

    >>> FastCNN(7).eval()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(1, STEM), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(*(double_conv(a, b) for a, b in zip((STEM, *WIDTHS), WIDTHS, strict=False)))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(WIDTHS[-1], classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(self.pool(x))
        logits: torch.Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


register_model(
    "fast_cnn",
    summary="stem 32 and 3 stages of 2 Conv-BN-ReLU 64-128-256",
    reference="Simonyan & Zisserman 2015 (arXiv:1409.1556); Ioffe & Szegedy 2015 (arXiv:1502.03167)",
    small=Variant(FastCNN, Preprocess(), cam_layers=("stages.2",), head="head"),
)
