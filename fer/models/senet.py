"""``senet``: residual stages whose channels are weighed by squeeze-and-excitation."""

import torch
import torch.nn.functional as F
from torch import nn

from fer.models.blocks import conv_norm
from fer.models.entry import Variant, register_model
from fer.types import Preprocess

STEM = 32
WIDTHS = (64, 128, 256, 512)
# The stem keeps all 48 pixels; the last stage does not halve, so that the last map stays 6×6.
STRIDES = (2, 2, 2, 1)
BLOCKS_A_STAGE = 2
_REDUCTION = 16


class SEBlock(nn.Module):
    """Two convolutions, a gate over channels, and the shortcut around them: (N, B, h, w) → (N, A, h/stride, w/stride)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        from torchvision.ops import SqueezeExcitation

        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(before, after, stride=stride),
            nn.ReLU(inplace=True),
            *conv_norm(after, after),
            SqueezeExcitation(after, after // _REDUCTION),
        )
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_norm(before, after, stride=stride, kernel=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The gated sum of both ways."""
        return F.relu(self.body(x) + self.shortcut(x))


class SENet(nn.Module):
    """Stem and four stages of two :class:`SEBlock`: (N, 1, S, S) → last map S/8 → (N, classes).

    >>> SENet(7).eval()(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 7])
    """

    def __init__(self, classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(1, STEM), nn.ReLU(inplace=True))
        stages, before = [], STEM
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            more = (SEBlock(width, width) for _ in range(BLOCKS_A_STAGE - 1))
            stages.append(nn.Sequential(SEBlock(before, width, stride), *more))
            before = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(before, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        maps = self.stages(self.stem(x))
        logits: torch.Tensor = self.head(F.adaptive_avg_pool2d(maps, 1).flatten(1))
        return logits


register_model(
    "senet",
    summary="residual stages 64-128-256-512 with squeeze-and-excitation",
    reference="Hu et al. 2018, Squeeze-and-Excitation Networks (arXiv:1709.01507)",
    small=Variant(SENet, Preprocess(), cam_layers=("stages.3",), head="head"),
)
