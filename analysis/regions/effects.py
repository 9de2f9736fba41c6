"""What a region is worth to a model: how much surer it is of a class while the region is to be seen."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from analysis.perturbation import GREY, Scores, blurred
from analysis.regions.face_template import REGIONS
from fer.registry import Registry
from fer.types import Progress

Values = npt.NDArray[np.float64]
#: Faces float32 (N, 1, 48, 48) in 0..1 → the same shape, from which covered pixels are taken.
Cover = Callable[[torch.Tensor], torch.Tensor]

COVERS: Registry[Cover] = Registry("cover")


@COVERS.register("grey")
def _grey(pixels: torch.Tensor) -> torch.Tensor:
    return torch.full_like(pixels, GREY)


COVERS.add("blurred", blurred)


def occlusion_effects(
    scores: Scores,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    labels: npt.NDArray[np.int8],
    cover: str = "grey",
    progress: Progress | None = None,
) -> Values:
    """Drop of each face's calibrated probability of its target when exactly one region is covered.

    Zeiler and Fergus 2014 (arXiv:1311.2901) with regions of the face in place of a sliding square.

    Args:
        scores: of a checkpoint.
        pixels: float32 (N, 1, 48, 48), 0..1.
        targets: int64 (N,), the class asked about of each face.
        labels: int8 (48, 48), or (N, 48, 48) for faces with regions of their own.
        cover: name in :data:`COVERS`: mean grey, or the same face blurred.
        progress: told regions done and all.

    Returns:
        float64 (N, 8), −1..1, > 0 where the region speaks for the target; 0 where a face has no pixel of the region.

    Raises:
        UnknownNameError: no such cover.
    """
    hidden = COVERS[cover](pixels)
    before = scores.of(pixels, targets)
    where = torch.from_numpy(np.array(labels)).expand(len(pixels), -1, -1)[:, None]
    effects = []
    for region in range(len(REGIONS)):
        effects.append(before - scores.of(torch.where(where == region, hidden, pixels), targets))
        if progress:
            progress(region + 1, len(REGIONS))
    return torch.stack(effects, dim=1).double().numpy()
