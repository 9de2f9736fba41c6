"""``.xml`` files with their ``.bin``, run by OpenVINO; the card stands in the model's runtime information."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer.errors import CheckpointError
from fer.portable.model import RUNTIMES, Engine, Runtime, damaged, foreign, parse_seal
from fer.portable.seal import KEY, Seal
from fer.types import ByteArray, FloatArray


class OpenVinoEngine:
    """A model compiled by OpenVINO for the CPU."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __call__(self, faces: ByteArray, wanted: Sequence[str]) -> list[FloatArray]:
        """Outputs of uint8 (N, 1, 48, 48); all are computed whatever is wanted."""
        answers = self._compiled(faces)
        return [answers[name] for name in wanted]


def runtime_of(path: Path) -> Any:
    """OpenVINO itself; CheckpointError where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise CheckpointError(f"{path}: OpenVINO is not installed; pip install ferscope[openvino]") from error
    return openvino


def compiled(openvino: Any, model: Any, threads: int) -> Any:
    """The model for this processor, in float32 whatever else it could multiply faster."""
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(model, "CPU", settings | ({"INFERENCE_NUM_THREADS": threads} if threads else {}))


def open_openvino(path: Path, threads: int = 0) -> tuple[Engine, Seal]:
    """Open a file and its weights; CheckpointError where it is foreign or damaged."""
    openvino = runtime_of(path)
    if not path.with_suffix(".bin").is_file():
        raise CheckpointError(f"{path}: its weights {path.with_suffix('.bin').name} are missing; keep both files together")
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        raise damaged(path, error) from error
    if not model.has_rt_info([KEY, "seal"]):
        raise foreign(path)
    return OpenVinoEngine(compiled(openvino, model, threads)), parse_seal(model.get_rt_info([KEY, "seal"]).astype(str), path)


RUNTIMES.add("openvino", Runtime(open_openvino, ".xml", "OpenVINO"))
