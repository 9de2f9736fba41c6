"""Checkpoints in other forms, each with a measured proof of what the conversion changed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.errors import ExportError, OutputError
from fer.export.format import FORMATS, Blueprint, Format
from fer.export.graph import Graph, lacks_maps
from fer.export.proof import Proof, Tolerance, prove
from fer.files import move_whole, workshop
from fer.portable import load
from fer.portable.seal import Seal
from fer.types import ByteArray, Progress

# importing these enters their formats in the registry
from fer.export import onnx, onnx_int8, openvino, torch_export  # noqa: F401  # isort: skip

__all__ = ["DEFAULT_OPSET", "FORMATS", "Evidence", "Format", "Proof", "Tolerance", "calibration_faces", "export"]

#: Version of ONNX's operators; runtimes since 2023 know it.
DEFAULT_OPSET = 18
#: Training faces that scales of integers are read off.
CALIBRATION_FACES = 512


@dataclass(frozen=True, eq=False)
class Evidence:
    """Faces that a conversion is made and judged by.

    Attributes:
        labelled: of the proof, the validation split; where None, random pixels, which give no accuracies.
        calibration: uint8 (N, 1, 48, 48), see :func:`calibration_faces`; for formats that need it.
    """

    labelled: FaceSet | None = None
    calibration: ByteArray | None = None


def export(
    checkpoint: Checkpoint,
    path: Path,
    format: str = "onnx",
    evidence: Evidence = Evidence(),
    *,
    opset: int = DEFAULT_OPSET,
    progress: Progress | None = None,
) -> Seal:
    """Convert a checkpoint, compare the result with it, and keep the file only where it stays within its tolerance.

    Args:
        checkpoint: what to convert.
        path: target; replaced when all has gone well, untouched otherwise.
        format: name in :data:`FORMATS`.
        evidence: faces of the proof, and those that scales are read off.
        opset: version of ONNX's operators.
        progress: told faces done and all of the proof.

    Returns:
        What the file says of itself, the proof included.

    Raises:
        UnknownNameError: no such format.
        ExportError: the format cannot hold the network, or the answers changed more than it may.
        OutputError: the target cannot be written.
    """
    chosen = FORMATS[format]
    if path.suffix != chosen.suffix:
        raise ExportError(f"{path}: {format} is written to files that end in {chosen.suffix}; name one with --out")
    if chosen.calibrates and evidence.calibration is None:
        raise ExportError(f"{format} reads its scales off real faces; name a data set with --calibrate")
    if chosen.calibrates and evidence.labelled is None:
        raise ExportError(f"{format} must show what it loses; name labelled faces with --data")
    other = path.with_suffix(chosen.beside or path.suffix)
    if other.exists() and not path.exists():  # then it is none of an earlier export
        raise OutputError(f"{path} is kept in two files, and {other} is there already; choose another name")
    with workshop(path) as folder:
        lacks = lacks_maps(checkpoint.model, checkpoint.card)
        seal = Seal(checkpoint.card, format, lacks)
        graph = Graph(checkpoint.model, checkpoint.card, maps=not lacks)
        draft = chosen.draft(Blueprint(graph, opset, evidence.calibration))
        made = folder / path.name
        draft(made, seal)
        proof = prove(checkpoint, load(made), evidence.labelled, progress)
        broken = chosen.tolerance.broken_by(proof)
        if broken:
            raise ExportError(f"{format} of {checkpoint.name}: {'; '.join(broken)}; nothing was written")
        seal = replace(seal, proof=proof.to_dict())
        draft(made, seal)
        load(made)  # what is kept can be opened
        for part in sorted(folder.iterdir()):
            move_whole(part, path.parent / part.name)
    return seal


def calibration_faces(faces: FaceSet, count: int = CALIBRATION_FACES) -> ByteArray:
    """uint8 (count, 1, 48, 48) from all over a split, the same ones every time."""
    places = np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)
    return np.ascontiguousarray(faces.images.cpu().numpy()[places])
