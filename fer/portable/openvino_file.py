"""``.xml`` files with their ``.bin``, run by OpenVINO; card and checksum stand in the model's runtime information."""

import hashlib
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer.errors import CheckpointError
from fer.portable.model import RUNTIMES, Engine, Runtime, damaged, foreign, parse_seal
from fer.portable.seal import KEY, NO_SUM, SUM_KEY, Seal
from fer.types import ByteArray, FloatArray

# as OpenVINO writes an entry of the runtime information
_SUM = re.compile(f'<{SUM_KEY} value="([0-9a-f]{{64}})"'.encode())

_cores: list[Any] = []
_first = threading.Lock()


def with_checksum(content: bytes, weights: bytes) -> bytes:
    """An .xml with the sum of itself, zeros in the place of the sum, and of its .bin."""
    return _SUM.sub(lambda found: found[0].replace(found[1], _checksum(content, weights).encode()), content, count=1)


def _checksum(content: bytes, weights: bytes) -> str:
    plain = _SUM.sub(lambda found: found[0].replace(found[1], NO_SUM.encode()), content, count=1)
    return hashlib.sha256(plain + weights).hexdigest()


def _check(path: Path) -> None:
    """CheckpointError where a file has no sum or another one, or its weights are missing."""
    content = path.read_bytes()
    found = _SUM.search(content)
    if found is None:
        raise foreign(path)
    if not path.with_suffix(".bin").is_file():
        raise CheckpointError(f"{path}: its weights {path.with_suffix('.bin').name} are missing; keep both files together")
    if _checksum(content, path.with_suffix(".bin").read_bytes()) != found[1].decode():
        raise damaged(path, "its sha256 is another")


class OpenVinoEngine:
    """A model compiled by OpenVINO for the CPU, for several threads, one at a time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._turn = threading.Lock()  # every call writes into the same request: two at once would get each other's answers

    def __call__(self, faces: ByteArray, wanted: Sequence[str]) -> list[FloatArray]:
        """Outputs of uint8 (N, 1, 48, 48); all are computed whatever is wanted."""
        with self._turn:
            answers = self._compiled(faces)
        return [answers[name] for name in wanted]


def runtime_of(path: Path) -> Any:
    """OpenVINO itself; CheckpointError where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise CheckpointError(f"{path}: OpenVINO is not installed; pip install 'ferscope[openvino]'") from error
    return openvino


def _core(openvino: Any) -> Any:
    """The one core of this process, kept until it ends.

    The first model that a core compiles gives the thread another stack for signals; a core that goes takes that stack
    away and puts back the one it found, which may be that of a core gone before: the next signal then ends the process.
    """
    with _first:
        if not _cores:
            _cores.append(openvino.Core())
        return _cores[0]


def compiled(openvino: Any, model: Any, threads: int) -> Any:
    """The model for this processor, in float32 whatever else it could multiply faster."""
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return _core(openvino).compile_model(model, "CPU", settings | ({"INFERENCE_NUM_THREADS": threads} if threads else {}))


def open_openvino(path: Path, threads: int = 0) -> tuple[Engine, Seal]:
    """Open a file and its weights; CheckpointError where it is foreign or damaged."""
    _check(path)
    openvino = runtime_of(path)
    try:
        model = _core(openvino).read_model(path)
    except RuntimeError as error:
        raise damaged(path, error) from error
    if not model.has_rt_info([KEY, "seal"]):
        raise foreign(path)
    return OpenVinoEngine(compiled(openvino, model, threads)), parse_seal(model.get_rt_info([KEY, "seal"]).astype(str), path)


RUNTIMES.add("openvino", Runtime(open_openvino, ".xml"))
