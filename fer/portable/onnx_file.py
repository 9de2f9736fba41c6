"""``.onnx`` files, run by ONNX Runtime: card and checksum stand in the model's own metadata."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer.errors import CheckpointError
from fer.portable.model import LOGITS, RUNTIMES, Engine, Runtime, damaged, foreign, parse_seal
from fer.portable.seal import KEY, NO_SUM, SUM_KEY, Seal
from fer.types import ByteArray, FloatArray

#: Optional input: true where maps are wanted; without it they are empty and cost nothing.
EXPLAIN = "explain"

# entries of the metadata as protobuf writes them: key is field 1, value field 2; sizes come seven bits a byte, the lowest first
_SUM = re.compile(SUM_KEY.encode() + rb"\x12\x40([0-9a-f]{64})")
_SEAL = re.compile(rb"\x0a" + bytes([len(KEY)]) + KEY.encode() + rb"\x12([\x80-\xff]*[\x00-\x7f])", re.DOTALL)


class OnnxEngine:
    """An ONNX Runtime session on the CPU.

    Raises:
        CheckpointError: ONNX Runtime is not installed or does not take the model.
    """

    def __init__(self, content: bytes, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise CheckpointError(f"{path}: ONNX Runtime is not installed; pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong is said by our own errors
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise CheckpointError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} does not take it ({' '.join(str(error).split())[:200]}); "
                "export it again with a lower --opset"
            ) from error

    def __call__(self, faces: ByteArray, wanted: Sequence[str]) -> list[FloatArray]:
        """Outputs of uint8 (N, 1, 48, 48)."""
        asked = {EXPLAIN: np.array(True)} if set(wanted) - {LOGITS} else {}
        answers: list[FloatArray] = self._session.run(list(wanted), {"faces": faces, **asked})
        return answers


def open_onnx(path: Path, threads: int = 0) -> tuple[Engine, Seal]:
    """Check and open a file; CheckpointError where it is foreign or damaged."""
    content = _checked(path)
    seal = _seal(content, path)
    return OnnxEngine(content, path, threads), seal


def read_seal(path: Path) -> Seal:
    """What a file says of itself, without a runtime; CheckpointError where it is foreign or damaged."""
    return _seal(_checked(path), path)


def _checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    found = _SUM.search(content)
    if found is None:
        raise foreign(path)
    if checksum(content) != found[1].decode():
        raise damaged(path, "its sha256 is another")
    return content


def _seal(content: bytes, path: Path) -> Seal:
    found = _SEAL.search(content)
    if found is None:
        raise foreign(path)
    size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(found[1]))
    return parse_seal(content[found.end() : found.end() + size].decode("utf-8", errors="replace"), path)


def checksum(content: bytes) -> str:
    """Hex sha256 of a file's bytes, with zeros where the sum itself stands."""
    return hashlib.sha256(_SUM.sub(lambda found: found[0][:-64] + NO_SUM.encode(), content, count=1)).hexdigest()


def with_checksum(content: bytes) -> bytes:
    """The same file with its sum filled in; ValueError where there is no place for one."""
    if _SUM.search(content) is None:
        raise ValueError(f"the metadata have no {SUM_KEY}")
    total = checksum(content).encode()
    return _SUM.sub(lambda found: found[0][:-64] + total, content, count=1)


RUNTIMES.add("onnxruntime", Runtime(open_onnx, ".onnx"))
