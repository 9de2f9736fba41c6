"""``onnx-int8``: convolutions and dense layers in 8-bit integers, their scales read off real faces.

Activations are unsigned, weights signed with a scale a channel: the pair that x86's VNNI multiplies in one step
(Jacob et al. 2018, arXiv:1712.05877).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer.errors import ExportError
from fer.export.format import FORMATS, Blueprint, Draft, Format
from fer.export.onnx import model_proto, write_proto
from fer.export.onnx_graph import beside_the_logits, maps_on_request
from fer.export.proof import Tolerance
from fer.quiet import quiet
from fer.types import ByteArray

INT8 = Tolerance(points=0.3, map_correlation=0.9)

#: Faces given to the calibration at once.
_BATCH = 64


class _Faces:
    """Hands faces to ONNX Runtime's calibration, a batch at a time."""

    def __init__(self, faces: ByteArray) -> None:
        self._batches: Iterator[ByteArray] = iter(np.array_split(faces, max(1, len(faces) // _BATCH)))

    def get_next(self) -> dict[str, ByteArray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"faces": batch}


def draft(blueprint: Blueprint) -> Draft:
    """Convert, quantise, once; ExportError where no layer can be quantised."""
    proto = maps_on_request(quantised(model_proto(blueprint), blueprint.faces))
    return lambda path, seal: write_proto(proto, path, seal)


def quantised(proto: Any, faces: ByteArray | None) -> Any:
    """The same model with 8-bit integers where layers multiply.

    Raises:
        ExportError: there are no faces to calibrate on, or no layer that can be quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    if faces is None or not len(faces):
        raise ExportError("8-bit scales are read off real faces; name a data set with --calibrate")
    with quiet(), tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                proto, str(target), _Faces(faces), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_exclude=[node.name for node in beside_the_logits(proto.graph)],
            )  # fmt: skip
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot quantise the network: {' '.join(str(error).split())[:200]}") from error
        answer = onnx.load(target)
    if not any(node.op_type == "QuantizeLinear" for node in answer.graph.node):
        raise ExportError("the network has no layer that can be quantised; use --format onnx")
    return answer


FORMATS.add("onnx-int8", Format(draft, ".onnx", INT8, calibrates=True))
