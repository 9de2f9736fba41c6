"""How bright, how sharp and how usual faces are, one number a face; all take uint8 (N, 1, 48, 48) and give float32 (N,)."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from fer import clarity
from fer.types import FloatArray

#: Robust z-score of :func:`oddness` from which a face is a candidate for no face at all.
ODD = 4.0
#: A split is blurred where its median sharpness is below this share of the sharpest split's.
BLURRED_SPLIT = 0.7

#: Fewer different faces have no usual look.
_LEAST_FACES = 200
_SIDE, _COMPONENTS = 24, 60
_BLOCK = 2048


def brightness(images: torch.Tensor) -> FloatArray:
    """Mean grey value, 0..255."""
    return _in_blocks(lambda faces: faces.float().flatten(1).mean(dim=1), images)


def contrast(images: torch.Tensor) -> FloatArray:
    """Standard deviation of the grey values, 0..127.5; 0 for a blank image, and for no other."""
    return _in_blocks(lambda faces: faces.double().flatten(1).std(dim=1, correction=0), images)


def sharpness(images: torch.Tensor) -> FloatArray:
    """As :func:`fer.clarity.sharpness`."""
    return np.array([clarity.sharpness(face) for face in images.cpu().numpy()[:, 0]], dtype=np.float32)


def oddness(images: torch.Tensor) -> FloatArray:
    """How badly the set's own principal components describe a face, as a robust z-score: placards, drawings, wrong crops.

    Faces of 24×24 pixels, mean 0 and length 1, are rebuilt from 60 components, or from a fiftieth of the number of faces
    (eigenfaces, Turk and Pentland 1991); the length of what is left over is compared with its median in units of 1.4826 times
    the median absolute deviation. Blank images count 0, as do all where fewer than 200 others are there to learn from.
    """
    from sklearn.decomposition import PCA

    seen = contrast(images) > 0
    scores = np.zeros(len(images), dtype=np.float32)
    if seen.sum() < _LEAST_FACES:
        return scores
    small = _standardised(F.interpolate(images[torch.from_numpy(seen)].float(), size=(_SIDE, _SIDE), mode="area").flatten(1))
    usual = PCA(min(_COMPONENTS, len(small) // 50), svd_solver="covariance_eigh").fit(small)
    rest = np.linalg.norm(small - usual.inverse_transform(usual.transform(small)), axis=1)
    middle = np.median(rest)
    deviation = 1.4826 * np.median(np.abs(rest - middle))
    scores[seen] = (rest - middle) / max(float(deviation), 1e-9)
    return scores


def _standardised(vectors: torch.Tensor) -> FloatArray:
    centred = vectors - vectors.mean(dim=1, keepdim=True)
    return _numpy(centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-9))


def _in_blocks(of: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> FloatArray:
    """A figure of every face, without ever holding all of them as floats."""
    return np.concatenate([_numpy(of(block)) for block in torch.split(images.cpu(), _BLOCK)])


def _numpy(values: torch.Tensor) -> FloatArray:
    return np.asarray(values.cpu().numpy(), dtype=np.float32)
