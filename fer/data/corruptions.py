"""What photographs suffer, at five severities, on 48×48 faces.

After Hendrycks & Dietterich 2019 (arXiv:1903.12261), adapted: their kinds that make sense on small grey faces, with
levels from slight to hard to read for a person at 48 pixels, and bars where glasses and masks hide a face. The levels
stand at each corruption, severity 1 first; they are this project's own, so that figures do not compare with theirs.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from fer.errors import ConfigError
from fer.registry import Registry
from fer.types import FACE_SIZE, FloatArray

#: Severities, mildest first.
SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)

#: float32 (N, 48, 48) in 0..255, level, source of randomness → the same shape, any range; the input is not changed.
Apply = Callable[[FloatArray, float, np.random.Generator], FloatArray]

#: Row of the eyes in the mean face of FER-2013, and the columns that glasses cover.
_EYES, _TEMPLES = 17, slice(5, FACE_SIZE - 5)

#: Grey of glasses and of a mask: dark lenses, light cloth.
_DARK, _LIGHT = 20.0, 200.0


@dataclass(frozen=True)
class Corruption:
    """One kind of damage.

    Attributes:
        levels: its strength at severity 1..5.
        unit: what a level counts.
        apply: see :data:`Apply`.
        moves: what it does to places, as a function of maps float32 (N, S, S) and level; None where all stay where they are.
    """

    levels: tuple[float, float, float, float, float]
    unit: str
    apply: Apply
    moves: Callable[[FloatArray, float], FloatArray] | None = None

    def level(self, severity: int) -> float:
        """Strength at a severity; ConfigError outside 1..5."""
        if severity not in SEVERITIES:
            raise ConfigError(f"severity {severity} is unknown; choose 1 (mild) to 5 (strong)")
        return self.levels[severity - 1]


CORRUPTIONS: Registry[Corruption] = Registry("corruption")


def corrupt(images: torch.Tensor, name: str, severity: int, seed: int = 0) -> torch.Tensor:
    """Damaged copies of uint8 (N, 1, 48, 48) faces, on the same device; the same seed gives the same bytes.

    Raises:
        UnknownNameError: no such corruption.
        ConfigError: no such severity.

    >>> corrupt(torch.full((1, 1, 48, 48), 100, dtype=torch.uint8), "darker", 3)[0, 0, 0, 0].item()  # 0.3 of 255 less
    24
    """
    corruption = CORRUPTIONS[name]
    level = corruption.level(severity)
    faces = images[:, 0].cpu().numpy().astype(np.float32)
    if len(faces):
        faces = corruption.apply(faces, level, np.random.default_rng([seed, severity]))
    damaged = faces.round().clip(0, 255).astype(np.uint8)
    return torch.from_numpy(damaged)[:, None].to(images.device)


def _register(
    name: str,
    levels: tuple[float, float, float, float, float],
    unit: str,
    moves: Callable[[FloatArray, float], FloatArray] | None = None,
) -> Callable[[Apply], Apply]:
    def decorate(apply: Apply) -> Apply:
        CORRUPTIONS.add(name, Corruption(levels, unit, apply, moves))
        return apply

    return decorate


@_register("blur", (0.5, 0.75, 1.0, 1.5, 2.0), "σ of a Gaussian in pixels")
def _blur(faces: FloatArray, sigma: float, _: np.random.Generator) -> FloatArray:
    return np.asarray(ndimage.gaussian_filter(faces, sigma, axes=(1, 2), mode="nearest"))


@_register("noise", (0.04, 0.08, 0.12, 0.18, 0.26), "σ of Gaussian noise on pixels of 0..1")
def _noise(faces: FloatArray, sigma: float, rng: np.random.Generator) -> FloatArray:
    return np.asarray(faces + np.float32(255 * sigma) * rng.standard_normal(faces.shape, dtype=np.float32))


@_register("jpeg", (60, 35, 20, 12, 7), "JPEG quality")
def _jpeg(faces: FloatArray, quality: float, _: np.random.Generator) -> FloatArray:
    return np.stack([_through_jpeg(face, int(quality)) for face in faces])


def _through_jpeg(face: npt.NDArray[np.float32], quality: int) -> FloatArray:
    file = io.BytesIO()
    Image.fromarray(face.astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), dtype=np.float32)


@_register("darker", (0.1, 0.2, 0.3, 0.4, 0.5), "taken from every pixel of 0..1")
def _darker(faces: FloatArray, less: float, _: np.random.Generator) -> FloatArray:
    return faces - np.float32(255 * less)


@_register("brighter", (0.1, 0.2, 0.3, 0.4, 0.5), "added to every pixel of 0..1")
def _brighter(faces: FloatArray, more: float, _: np.random.Generator) -> FloatArray:
    return faces + np.float32(255 * more)


@_register("contrast", (0.75, 0.5, 0.3, 0.2, 0.1), "share of the contrast that is left")
def _contrast(faces: FloatArray, left: float, _: np.random.Generator) -> FloatArray:
    middle = faces.mean(axis=(1, 2), keepdims=True)
    return np.asarray(middle + np.float32(left) * (faces - middle))


@_register("resolution", (32, 24, 16, 12, 8), "pixels a side that it is reduced to")
def _resolution(faces: FloatArray, side: float, _: np.random.Generator) -> FloatArray:
    small = F.interpolate(torch.from_numpy(faces)[:, None], size=(int(side),) * 2, mode="area")
    large = F.interpolate(small, size=(FACE_SIZE, FACE_SIZE), mode="bilinear", align_corners=False)
    return np.asarray(large[:, 0].numpy())


def rotated(maps: FloatArray, degrees: float) -> FloatArray:
    """(N, S, S) turned counter-clockwise about the centre, bilinearly; what comes in from outside repeats the border."""
    return np.asarray(ndimage.rotate(maps, degrees, axes=(2, 1), reshape=False, order=1, mode="nearest"))


@_register("rotation", (6, 12, 20, 30, 45), "degrees counter-clockwise", moves=rotated)
def _rotation(faces: FloatArray, degrees: float, _: np.random.Generator) -> FloatArray:
    return rotated(faces, degrees)


@_register("glasses", (4, 6, 8, 10, 12), "rows of a dark bar over the eyes")
def _glasses(faces: FloatArray, height: float, _: np.random.Generator) -> FloatArray:
    worn, top = faces.copy(), _EYES - int(height) // 2
    worn[:, top : top + int(height), _TEMPLES] = _DARK
    return worn


@_register("mask", (8, 12, 16, 20, 24), "rows of a light bar from the chin up")
def _mask(faces: FloatArray, height: float, _: np.random.Generator) -> FloatArray:
    worn = faces.copy()
    worn[:, FACE_SIZE - int(height) :] = _LIGHT
    return worn
