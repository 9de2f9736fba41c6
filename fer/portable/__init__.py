"""Exported models: they answer and explain without torch, one runtime a file."""

from fer.portable import onnx_file, openvino_file, torch_file  # noqa: F401  (importing enters them in the registry)
from fer.portable.model import RUNTIMES, Portable, is_portable, load
from fer.portable.onnx_file import read_seal

__all__ = ["RUNTIMES", "Portable", "is_portable", "load", "read_seal"]
