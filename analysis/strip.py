"""One face under all corruptions, and what the model says of each: the embedded portrait, so that it may be shown anywhere."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from fer.checkpoint import Checkpoint
from fer.data.corruptions import SEVERITIES, corrupt
from fer.data.preprocess import face_batch
from fer.evaluation import judge
from fer.predict import Predictor
from fer.samples import sample_path
from fer.types import ByteArray, softmax


@dataclass(frozen=True, eq=False)
class Tile:
    """A face uint8 (48, 48) at one severity (0: as it is), with the model's answer and how sure it is, 0..1."""

    severity: int
    label: str
    confidence: float
    face: ByteArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the pixels."""
        return {key: value for key, value in asdict(self).items() if key != "face"}


def portrait(checkpoint: Checkpoint) -> torch.Tensor:
    """uint8 (1, 1, 48, 48): the face of the embedded sample picture."""
    return face_batch(Predictor(checkpoint).faces(sample_path())[:1])


def strips(checkpoint: Checkpoint, face: torch.Tensor, corruptions: Sequence[str], seed: int = 0) -> dict[str, list[Tile]]:
    """Corruption → six tiles: the face uint8 (1, 1, 48, 48) as it is, then at every severity."""
    images = [torch.cat([face, *(corrupt(face, name, s, seed) for s in SEVERITIES)]) for name in corruptions]
    probs = softmax(judge(checkpoint, torch.cat(images)).cpu().numpy()).reshape(len(images), 1 + len(SEVERITIES), -1)
    classes = checkpoint.card.classes
    return {
        name: [
            Tile(severity, classes[int(np.argmax(p))], float(p.max()), image.numpy())
            for severity, p, image in zip((0, *SEVERITIES), rows, batch[:, 0].cpu(), strict=True)
        ]
        for name, rows, batch in zip(corruptions, probs, images, strict=True)
    }
