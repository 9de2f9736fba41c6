"""``net``: four stages of twice Conv-BN-ReLU and max pooling, the plain deep net of many FER projects."""

import torch
import torch.nn.functional as F
from torch import nn

from fer.models.blocks import double_conv
from fer.models.entry import Variant, register_model
from fer.types import Preprocess

WIDTHS = (64, 128, 256, 512)


class Net(nn.Module):
    """Four stages, each halved by max pooling: (N, 1, S, S) → (N, classes).

    >>> Net(7).eval()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.stages = nn.Sequential(*(double_conv(a, b) for a, b in zip((1, *WIDTHS), WIDTHS, strict=False)))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(WIDTHS[-1], classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        for stage in self.stages:
            x = self.pool(stage(x))
        logits: torch.Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


register_model(
    "net",
    summary="4 stages of 2 Conv-BN-ReLU 64-128-256-512, max pooling",
    reference="Simonyan & Zisserman 2015 (arXiv:1409.1556); Ioffe & Szegedy 2015 (arXiv:1502.03167)",
    small=Variant(Net, Preprocess(), cam_layers=("stages.3",), head="head"),
)
