"""From 48×48 grey bytes to a network's input: one way for training, evaluation, prediction and explanation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from fer.data.enlarge import enlarge_standardised
from fer.images import grey_batch
from fer.types import Face, Preprocess


def face_batch(faces: Sequence[Face]) -> torch.Tensor:
    """Faces of any size → uint8 (N, 1, 48, 48) grey, the form of a :class:`~fer.data.faceset.FaceSet`."""
    return torch.from_numpy(grey_batch(faces))


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 → float32 0..1, same shape."""
    return images.float().div_(255)


def standardise(pixels: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """float32 (N, 1, H, W) in 0..1 → standardised float32 (N, C, S, S)."""
    size = preprocess.size
    if pixels.shape[-2:] != (size, size):
        smaller = size < pixels.shape[-1]  # enlarging needs no antialiasing, whose kernel is slow
        by_hand = pixels.device.type == "cpu" and not pixels.requires_grad and not torch.compiler.is_exporting()
        if not smaller and by_hand:
            return enlarge_standardised(pixels, size, preprocess.mean, preprocess.std)
        pixels = F.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=smaller)
    # numbers, not tensors of them: those would be copied to a GPU at every step
    channels = [pixels.sub(m).div_(s) for m, s in zip(preprocess.mean, preprocess.std, strict=True)]
    return channels[0] if len(channels) == 1 else torch.cat(channels, dim=1)


def model_input(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 (N, 1, 48, 48) → standardised float32 (N, C, S, S) on the same device."""
    return standardise(to_unit(images), preprocess)
