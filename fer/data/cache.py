"""Decoded data kept between runs: a full, read-only or damaged cache costs time, never the run."""

import io
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fer.errors import OutputError
from fer.files import DAMAGED_NPZ, cache_folder, make_folder, write_whole

_log = logging.getLogger(__name__)


def write_arrays(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Keep arrays under a name that says what they were made from."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **dict(arrays))
    try:
        make_folder(cache_folder())
        write_whole(cache_folder() / f"{name}.npz", content.getvalue())
    except OutputError as error:
        _log.warning("%s is not cached: %s", name, error)


def read_arrays(name: str) -> dict[str, npt.NDArray[Any]] | None:
    """What :func:`write_arrays` kept; None where there is nothing, or it is damaged."""
    path = cache_folder() / f"{name}.npz"
    try:
        if not path.exists():
            return None
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return dict(arrays)
    except DAMAGED_NPZ as error:
        _log.warning("a damaged cache is ignored: %s", error)
        return None
