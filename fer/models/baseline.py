"""``baseline``: three convolutions and two dense layers, the net of most FER tutorials."""

import torch
from torch import nn

from fer.models.entry import Variant, register_model
from fer.types import Preprocess


class Baseline(nn.Module):
    """LeNet-like network for 48×48 grey faces: (N, 1, 48, 48) → (N, classes).

    >>> Baseline(7)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU()) for before, after in ((1, 32), (32, 64), (64, 128))
        )
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(128 * 6 * 6, 512), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(512, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.pool(conv(x))
        logits: torch.Tensor = self.head(self.hidden(x))
        return logits


register_model(
    "baseline",
    summary="3 convolutions 32-64-128, 2 dense layers",
    reference="LeCun et al. 1998, Gradient-based learning applied to document recognition",
    small=Variant(Baseline, Preprocess(), cam_layers=("conv3",), head="head", fixed_size=True),
)
