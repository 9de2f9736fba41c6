"""``custom_cnn``: a small VGG-like net with batch norm and global average pooling, made for two CPU cores."""

import torch
import torch.nn.functional as F
from torch import nn

from fer.models.blocks import double_conv
from fer.models.entry import Variant, register_model
from fer.types import Preprocess

# The first block works at full resolution, where a channel costs most: narrow there, wide later.
# docs/training.md has the speeds of other widths.
WIDTHS = (32, 128, 256)


class CustomCNN(nn.Module):
    """Three blocks of twice Conv-BN-ReLU, each halved by max pooling: (N, 1, S, S) → (N, classes).

    >>> CustomCNN(7).eval()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.3, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        first, second, third = widths
        self.block1, self.block2, self.block3 = double_conv(1, first), double_conv(first, second), double_conv(second, third)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(third, third, bias=False),
            nn.BatchNorm1d(third),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(third, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        for block in (self.block1, self.block2, self.block3):
            x = self.pool(block(x))
        logits: torch.Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


register_model(
    "custom_cnn",
    summary="3 blocks of 2 Conv-BN-ReLU 32-128-256, average pooling",
    reference="Simonyan & Zisserman 2015 (arXiv:1409.1556); Ioffe & Szegedy 2015 (arXiv:1502.03167)",
    small=Variant(CustomCNN, Preprocess(), cam_layers=("block3",), head="head"),
)
