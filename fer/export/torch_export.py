"""``torch-export``: the traced program, for torch without this package."""

import io
from pathlib import Path

import torch

from fer.errors import ExportError
from fer.export.format import FORMATS, Blueprint, Draft, Format
from fer.export.onnx import FLOAT32
from fer.files import write_whole
from fer.portable.seal import KEY, Seal
from fer.portable.torch_file import with_comment
from fer.portable.trust import remember
from fer.quiet import quiet
from fer.types import FACE_SIZE


def draft(blueprint: Blueprint) -> Draft:
    """Trace once; ExportError where the network cannot be traced."""
    faces = torch.randint(0, 256, (3, 1, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
    try:
        with quiet():
            program = torch.export.export(
                blueprint.graph.eval(), (faces,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
            )
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ExportError(f"torch cannot trace the network: {' '.join(str(error).split())[:200]}") from error

    def write(path: Path, seal: Seal) -> None:
        buffer = io.BytesIO()
        with quiet():
            torch.export.save(program, buffer, extra_files={KEY: seal.to_json()})
        content = with_comment(buffer.getvalue())
        write_whole(path, content)
        remember(content)

    return write


FORMATS.add("torch-export", Format(draft, ".pt2", FLOAT32, has_opset=False))
