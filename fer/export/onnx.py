"""``onnx``: the network in ONNX's operators, float32."""

from pathlib import Path
from typing import Any

import torch

from fer.errors import ExportError
from fer.export.format import FORMATS, Blueprint, Draft, Format
from fer.export.onnx_graph import maps_on_request
from fer.export.proof import Tolerance
from fer.files import write_whole
from fer.portable.model import OUTPUTS
from fer.portable.onnx_file import with_checksum
from fer.portable.seal import KEY, NO_SUM, SUM_KEY, Seal
from fer.quiet import quiet
from fer.types import FACE_SIZE

#: What is asked of float32: rounding, and nothing else.
FLOAT32 = Tolerance(logits=1e-4, points=0.0, map_correlation=0.999)


def model_proto(blueprint: Blueprint) -> Any:
    """The network as an ``onnx.ModelProto`` that takes batches of every size.

    Raises:
        ExportError: the network uses what ONNX has not, or the opset is unknown.
    """
    faces = torch.randint(0, 256, (3, 1, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
    names = list(OUTPUTS if blueprint.graph.maps else OUTPUTS[:1])
    with quiet():
        try:
            program = torch.onnx.export(
                blueprint.graph.eval(), (faces,), dynamo=True, verbose=False, external_data=False,
                opset_version=blueprint.opset, input_names=["faces"], output_names=names,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
        except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, NotImplementedError) as error:
            raise ExportError(f"the network cannot be written in ONNX: {' '.join(str(error).split())[:200]}") from error
    assert program is not None
    proto = program.model_proto
    found = {entry.domain: entry.version for entry in proto.opset_import}.get("")
    if found != blueprint.opset:
        raise ExportError(f"opset {blueprint.opset}: the exporter writes {found} here; use --opset {found}")
    return proto


def write_proto(proto: Any, path: Path, seal: Seal) -> None:
    """Write a model with its seal and checksum; OutputError where that is not possible."""
    del proto.metadata_props[:]
    for key, value in ((KEY, seal.to_json()), (SUM_KEY, NO_SUM)):
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    write_whole(path, with_checksum(proto.SerializeToString()))


def draft(blueprint: Blueprint) -> Draft:
    """Convert once."""
    proto = maps_on_request(model_proto(blueprint))
    return lambda path, seal: write_proto(proto, path, seal)


FORMATS.add("onnx", Format(draft, ".onnx", FLOAT32))
