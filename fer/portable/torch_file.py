"""``.pt2`` files, run by torch alone: no code of this program is needed to load one.

They are zip archives; the sha256 of all that stands before it is the end of the archive's comment.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from fer.errors import CheckpointError
from fer.portable.model import OUTPUTS, RUNTIMES, Engine, Runtime, damaged, foreign, parse_seal
from fer.portable.seal import KEY, NO_SUM, Seal
from fer.portable.trust import check_trusted
from fer.quiet import quiet
from fer.types import ByteArray, FloatArray

_MARK = b"fer_sha256:"


def with_comment(content: bytes) -> bytes:
    """An archive with its sum as its comment."""
    archive = io.BytesIO(content)
    with ZipFile(archive, "a") as file:
        file.comment = _MARK + NO_SUM.encode()
    before = archive.getvalue()[: -len(NO_SUM)]
    return before + hashlib.sha256(before).hexdigest().encode()


def _checked(path: Path) -> bytes:
    """A file's content; CheckpointError where it has no sum or another one, or is of an unknown writer."""
    content = path.read_bytes()
    before, total = content[: -len(NO_SUM)], content[-len(NO_SUM) :]
    if not before.endswith(_MARK):
        raise foreign(path)
    if hashlib.sha256(before).hexdigest().encode() != total:
        raise damaged(path, "its sha256 is another")
    check_trusted(path, content)
    return content


class TorchEngine:
    """A program that ``torch.export`` has written."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __call__(self, faces: ByteArray, wanted: Sequence[str]) -> list[FloatArray]:
        """Outputs of uint8 (N, 1, 48, 48); all are computed whatever is wanted."""
        import torch

        with torch.no_grad():
            answers = dict(zip(OUTPUTS, self._module(torch.from_numpy(faces)), strict=False))
        return [answers[name].numpy() for name in wanted]


def open_torch(path: Path, threads: int = 0) -> tuple[Engine, Seal]:
    """Open a file; CheckpointError where it is foreign, damaged or not to be trusted. Threads are torch's own."""
    content = _checked(path)
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(f"{path}: torch is not installed; use an .onnx, or pip install torch") from error
    if threads:
        torch.set_num_threads(threads)
    texts = {KEY: ""}
    try:
        with quiet():
            program = torch.export.load(io.BytesIO(content), extra_files=texts)  # what was checked, whatever lies there by now
    except (RuntimeError, ValueError, KeyError, OSError, BadZipFile) as error:
        raise damaged(path, error) from error
    if not texts[KEY]:
        raise foreign(path)
    return TorchEngine(program.module()), parse_seal(texts[KEY], path)


RUNTIMES.add("torch", Runtime(open_torch, ".pt2"))
