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

# an entry of the metadata as protobuf writes it: the value is field 2 with 64 bytes
_SUM = re.compile(SUM_KEY.encode() + rb"\x12\x40([0-9a-f]{64})")


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

    def seal_text(self) -> str | None:
        """What the model's metadata hold for this program."""
        text: str | None = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        return text


def open_onnx(path: Path, threads: int = 0) -> tuple[Engine, Seal]:
    """Check and open a file; CheckpointError where it is foreign or damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    found = _SUM.search(content)
    if found is None:
        raise foreign(path)
    if checksum(content) != found[1].decode():
        raise damaged(path, "its sha256 is another")
    engine = OnnxEngine(content, path, threads)
    text = engine.seal_text()
    if text is None:
        raise foreign(path)
    return engine, parse_seal(text, path)


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
