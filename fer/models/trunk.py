"""Weights pretrained by this program: a trunk, the form of its architecture, and what is known of its training."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fer.errors import WeightsError
from fer.files import write_whole
from fer.models.weights import State, read_content

_FORMAT = "fer trunk"


def save_trunk(path: Path, state: State, architecture: str, variant: str, about: Mapping[str, Any]) -> None:
    """Write weights in half precision, with plain values ``about`` their training.

    Raises:
        OutputError: the folder is missing or not writable.
    """
    stored = {name: value.cpu().half() if value.is_floating_point() else value.cpu() for name, value in state.items()}
    content = io.BytesIO()
    form = {"format": _FORMAT, "architecture": architecture, "variant": variant, "about": dict(about)}
    torch.save({**form, "state_dict": stored}, content)
    write_whole(path, content.getvalue())


@dataclass(frozen=True)
class Trunk:
    """What a file of :func:`save_trunk` says beside its weights."""

    architecture: str
    variant: str
    about: Mapping[str, Any]


def read_trunk(path: Path) -> Trunk | None:
    """What a file of starting weights says of itself; None where :func:`save_trunk` has not written it.

    Raises:
        WeightsError: cannot be read.
    """
    content = read_content(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return None
    try:
        return Trunk(str(content["architecture"]), str(content["variant"]), dict(content["about"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: damaged ({error}); make it anew with fer pretrain") from error
