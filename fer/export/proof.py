"""What a conversion changed: the exported model beside the checkpoint, on the same faces."""

import copy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import model_input
from fer.evaluation import judge, make_table
from fer.export.graph import gradients
from fer.metrics import evaluate_table, pearson
from fer.portable import Portable
from fer.portable.maps import class_maps
from fer.portable.model import BATCH, OUTPUTS
from fer.types import FACE_SIZE, ByteArray, FloatArray, IntArray, Progress

#: Faces whose heatmaps are compared.
MAPS = 256
#: Faces of random pixels that stand in where no data set is given.
RANDOM_FACES = 64


@dataclass(frozen=True)
class Proof:
    """Measurements of an exported model beside its checkpoint; accuracies and errors are None without labelled faces.

    Attributes:
        faces: what was judged: a split's name, or ``random pixels``.
        n: how many.
        logits: largest difference of a logit.
        agreement: share of faces that both give the same class.
        accuracy: of the checkpoint and of the exported model, 0..1.
        calibration_error: expected calibration error of both.
        maps: faces whose heatmaps were compared, those that have a pattern by the checkpoint; 0 where the model gives none.
        map_correlation: mean Pearson correlation of these; None where there are none.
        data: fingerprint of the faces; empty for random pixels.
    """

    faces: str
    n: int
    logits: float
    agreement: float
    accuracy: tuple[float, float] | None = None
    calibration_error: tuple[float, float] | None = None
    maps: int = 0
    map_correlation: float | None = None
    data: str = ""

    @property
    def lost(self) -> float | None:
        """Accuracy lost, in points; negative where it was won; None where it was not measured."""
        return None if self.accuracy is None else 100 * (self.accuracy[0] - self.accuracy[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Tolerance:
    """What a format may change; None where nothing is asked.

    Attributes:
        logits: largest difference of a logit.
        points: largest loss of accuracy, in points.
        map_correlation: smallest mean correlation of the heatmaps.
    """

    logits: float | None = None
    points: float | None = None
    map_correlation: float | None = None

    def broken_by(self, proof: Proof) -> list[str]:
        """What went beyond it, in words.

        >>> Tolerance(logits=1e-4).broken_by(Proof("random pixels", 64, logits=0.02, agreement=1.0))
        ['a logit differs by 0.02, at most 0.0001 is allowed']
        """
        found = []
        if self.logits is not None and not proof.logits <= self.logits:
            found.append(f"a logit differs by {proof.logits:.2g}, at most {self.logits:g} is allowed")
        if self.points is not None and proof.lost is not None and not proof.lost <= self.points:
            found.append(f"accuracy falls by {proof.lost:.2f} points, at most {self.points:g} are allowed")
        low = self.map_correlation
        if low is not None and proof.map_correlation is not None and not proof.map_correlation >= low:
            found.append(f"heatmaps correlate by {proof.map_correlation:.4f}, at least {low:g} is asked")
        return found


def prove(checkpoint: Checkpoint, exported: Portable, faces: FaceSet | None, progress: Progress | None = None) -> Proof:
    """Judge the same faces by both, and compare.

    Args:
        checkpoint: the original.
        exported: what was made of it, opened from its file.
        faces: labelled faces; None for random pixels, which tell of logits and maps alone.
        progress: told faces done and all.
    """
    faces = faces.only(checkpoint.card.classes) if faces else None
    pixels = faces.images.cpu().numpy() if faces else _random_faces()
    before = judge(checkpoint, torch.from_numpy(pixels), progress=progress).cpu().numpy()
    after = exported.answer(pixels)
    maps, correlation = _maps_compared(checkpoint, exported, pixels[:MAPS], before[:MAPS])
    proof = Proof(
        faces.split if faces else "random pixels",
        len(pixels),
        logits=float(np.abs(before - after).max()),
        agreement=float((before.argmax(1) == after.argmax(1)).mean()),
        maps=maps,
        map_correlation=correlation,
    )
    if faces is None:
        return proof
    old, new = (evaluate_table(make_table(checkpoint, faces, torch.from_numpy(logits))) for logits in (before, after))
    return replace(
        proof,
        accuracy=(old["accuracy"], new["accuracy"]),
        calibration_error=(old["ece"], new["ece"]),
        data=faces.fingerprint,
    )


def _random_faces() -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, (RANDOM_FACES, 1, FACE_SIZE, FACE_SIZE), dtype=np.uint8)


def _maps_compared(
    checkpoint: Checkpoint, exported: Portable, pixels: ByteArray, logits: FloatArray
) -> tuple[int, float | None]:
    """Faces whose maps have a pattern by torch's own gradients, and their mean correlation with those of the exported model."""
    if exported.seal.lacks_maps:
        return 0, None
    card, classes = checkpoint.card, logits.argmax(1)
    model = copy.deepcopy(checkpoint.model).cpu()
    found = []
    for start in range(0, len(pixels), BATCH):
        part, own = pixels[start : start + BATCH], classes[start : start + BATCH]
        inputs = model_input(torch.from_numpy(part), card.preprocess)
        features, weights = gradients(model, card.spec.cam_layers[0], inputs)
        before = _maps(features.numpy(), weights.numpy(), own, card.preprocess.size)
        _, features_after, weights_after = exported.engine(part, OUTPUTS)
        found.append(map_agreement(before, _maps(features_after, weights_after, own, card.preprocess.size)))
    patterned = np.concatenate(found)
    return len(patterned), float(patterned.mean()) if len(patterned) else None


def map_agreement(before: FloatArray, after: FloatArray) -> npt.NDArray[np.float64]:
    """Correlation of each pair of maps (N, S, S); pairs that were flat before are left out, what became flat has 0.

    >>> before, after = [[[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 1.0]]]
    >>> map_agreement(np.array(before), np.array(after))
    array([1., 0.])
    """
    patterned = np.ptp(before, axis=(1, 2)) > 0
    return np.nan_to_num(pearson(before[patterned], after[patterned]))


def _maps(features: FloatArray, weights: FloatArray, classes: IntArray, size: int) -> FloatArray:
    return class_maps(features, weights[np.arange(len(classes)), classes], size)[0]
