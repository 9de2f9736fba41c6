"""What an export format is, and the registry of all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fer.export.graph import Graph
from fer.export.proof import Tolerance
from fer.portable.seal import Seal
from fer.registry import Registry
from fer.types import ByteArray

#: A converted model, not yet in a file: writes it with what it says of itself.
Draft = Callable[[Path, Seal], None]


@dataclass(frozen=True, eq=False)
class Blueprint:
    """What a format is given.

    Attributes:
        graph: the network.
        opset: version of ONNX's operators.
        faces: uint8 (N, 1, 48, 48) of the training split, whose activations say how integers are scaled; None without.
    """

    graph: Graph
    opset: int
    faces: ByteArray | None = None


@dataclass(frozen=True)
class Format:
    """A kind of file that a checkpoint can become.

    Attributes:
        draft: converts; raises ExportError where that is not possible.
        suffix: of the file.
        tolerance: what the conversion may change.
        calibrates: True where it needs faces.
        has_opset: False where it is not written in ONNX's operators.
        beside: suffix of a second file of the same name, where there is one.
    """

    draft: Callable[[Blueprint], Draft]
    suffix: str
    tolerance: Tolerance
    calibrates: bool = False
    has_opset: bool = True
    beside: str = ""


FORMATS: Registry[Format] = Registry("export format")
