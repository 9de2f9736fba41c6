"""Pictures that travel inside the page's own messages: none of them is written to the disk."""

import base64
import io
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from PIL import Image

from fer.types import ByteArray

#: A picture is shown and downloaded with at most so many pixels a side.
LARGEST = 1600
_QUALITY = 92


def jpeg(image: ByteArray) -> bytes:
    """A picture uint8 (H, W, 3) as JPEG, reduced where a side has more than 1,600 pixels."""
    picture, file = Image.fromarray(np.ascontiguousarray(image)), io.BytesIO()
    picture.thumbnail((LARGEST, LARGEST))
    picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()


def data_url(content: bytes, kind: str = "image/jpeg") -> str:
    """A picture, or content of another kind, as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def shown(image: gr.Image) -> gr.Image:
    """An image component that is given JPEGs; by itself Gradio would write each into a file."""
    image.postprocess = _given  # type: ignore[method-assign,assignment]
    return image


def uploaded(image: gr.Image) -> gr.Image:
    """An image component that hands on where an upload lies, and takes nothing else.

    Gradio itself would open it, and die on a bad one silently; would fetch an address; and looks where a file lies only where
    the question marks it as one (Gradio 6.31): without the mark any picture of this machine would be judged.
    """

    def own(path: str | Path | None) -> str | None:
        return _uploaded(str(path), Path(image.GRADIO_CACHE)) if path else None

    async def moved(path: str | Path | None) -> str | None:
        return own(path)

    def given(payload: Any) -> str | None:
        return own(payload.path) if payload else None

    image.preprocess = given  # type: ignore[method-assign]
    image.async_move_resource_to_block_cache = moved  # type: ignore[method-assign,assignment]
    return image


def _uploaded(path: str, uploads: Path) -> str:
    """The same path, where it is an upload that is still there; whether other files are there is not told."""
    if "://" in path or not Path(path).resolve().is_relative_to(uploads.resolve()):
        raise gr.Error("upload the picture itself, not an address or a path", print_exception=False)
    if not Path(path).is_file():
        raise gr.Error("pictures are deleted after a minute, this one, too: give it again", print_exception=False)
    return path


def _given(picture: bytes | None) -> ImageData | None:
    return None if picture is None else ImageData(url=data_url(picture), mime_type="image/jpeg")
