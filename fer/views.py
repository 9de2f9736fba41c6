"""Test-time augmentation: the same face seen several times, its probabilities averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer.registry import Registry
from fer.types import FACE_SIZE

if TYPE_CHECKING:
    import torch

#: Pixels that a crop keeps of 48, as in training with ``crop: 44``.
CROP = 44


@dataclass(frozen=True)
class View:
    """A square part of a face, in pixels of 48, mirrored or not."""

    top: int = 0
    left: int = 0
    side: int = FACE_SIZE
    mirrored: bool = False

    def of(self, pixels: torch.Tensor) -> torch.Tensor:
        """The part of (N, 1, 48, 48) faces, enlarged bilinearly to 48 pixels again."""
        if self.side != FACE_SIZE:
            import torch.nn.functional as F

            part = pixels[..., self.top : self.top + self.side, self.left : self.left + self.side]
            pixels = F.interpolate(part, size=(FACE_SIZE, FACE_SIZE), mode="bilinear", align_corners=False)
        return pixels.flip(-1) if self.mirrored else pixels


def _both_ways(*views: View) -> tuple[View, ...]:
    return tuple(View(v.top, v.left, v.side, mirrored) for v in views for mirrored in (False, True))


_MIDDLE, _END = (FACE_SIZE - CROP) // 2, FACE_SIZE - CROP
_FIVE = tuple(View(top, left, CROP) for top, left in ((0, 0), (0, _END), (_END, 0), (_END, _END), (_MIDDLE, _MIDDLE)))
_NINE = tuple(View(top, left, CROP) for top in (0, _MIDDLE, _END) for left in (0, _MIDDLE, _END))

#: Name → views; their number is the cost in passes of the network.
TTA: Registry[tuple[View, ...]] = Registry("test-time augmentation")
TTA.add("none", (View(),))
TTA.add("flip", _both_ways(View()))
#: Four corners and the centre, both ways round (Krizhevsky et al. 2012).
TTA.add("tencrop", _both_ways(*_FIVE))
#: The whole face and nine crops, both ways round.
TTA.add("multicrop", _both_ways(View(), *_NINE))
