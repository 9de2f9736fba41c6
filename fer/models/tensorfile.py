"""Files written by ``torch.save``, read without executing anything in them."""

import io
import pickle
import struct
import warnings
import zipfile
from typing import Any

import torch


class UnreadableTensorsError(ValueError):
    """Bytes that are no file of tensors; the text says what they are instead, for a message to the user."""


# What torch.load raises on foreign bytes, gathered by feeding it random and damaged ones.
_LOADER_ERRORS = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


def read_tensors(data: bytes) -> Any:
    """Tensors and plain values in the bytes of a file, always with ``weights_only``.

    Raises:
        UnreadableTensorsError: damaged, foreign, or holding code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces old pickles and TorchScript, which are refused anyway
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _LOADER_ERRORS as error:
        raise UnreadableTensorsError(_what(data, error)) from error


def is_state(value: object) -> bool:
    """True for a non-empty dict of tensors by name."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items())
    )


def _what(data: bytes, error: Exception) -> str:
    start = data[:512].lstrip().lower()
    if not data:
        return "the file is empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "this is a web page, not a checkpoint: the download link led to a login or error page"
    holds_code = isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(io.BytesIO(data))
    if data[:1] == b"\x80" or holds_code:
        return "a pickle that would run code when opened, which is refused"
    if data[:2] == b"PK":
        return "a damaged or cut-short file"
    return "not a file of tensors"
