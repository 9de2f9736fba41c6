"""Files as strangers send them: pictures and checkpoints made by hand, byte by byte where a library would refuse."""

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types of the PNG specification, table 11.1


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: np.ndarray, colour: int, depth: int = 8, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG of (H, W) or (H, W, channels) samples, 8 or 16 bits deep; ``extra`` chunks stand before the data."""
    samples = rows.astype(">u2" if depth == 16 else np.uint8).reshape(len(rows), -1)
    data = b"".join(b"\0" + row.tobytes() for row in samples)
    head = png_head(rows.shape[1], rows.shape[0], colour, depth, extra)
    return head + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")


def png_head(width: int, height: int, colour: int = RGB, depth: int = 8, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Signature, header and ``extra`` chunks of a PNG."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(_chunk(kind, data) for kind, data in extra)


def huge_on_paper(side: int) -> bytes:
    """A PNG whose header promises side × side pixels and which holds none."""
    return png_head(side, side) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def huge_png(side: int) -> bytes:
    """A whole white PNG of side × side bits, written row by row: a small file, a bomb once decoded to RGB."""
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png_head(side, side, GREY, 1) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes Pillow writes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int = 40, width: int = 50, channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, channels), or (height, width) for one channel."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class RunsCode:
    """Unpickled, it makes a file: whoever opens it carelessly is found out."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _make_mark, (str(self.mark),)


def _make_mark(path: str) -> None:
    Path(path).write_text("code was run", encoding="utf-8")


def evil_pickle(mark: Path, protocol: int = 4) -> bytes:
    """A plain pickle that makes ``mark`` when it is opened."""
    return pickle.dumps({"state_dict": RunsCode(mark)}, protocol=protocol)


def torch_saved(content: object, **options: object) -> bytes:
    """The bytes ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def zipped(path, *entries):
    """A zip of (name, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in entries:
            target.writestr(name, data)
    return path


def csv_file(folder, *rows, header="emotion,pixels,Usage"):
    """The challenge's csv with these rows."""
    path = folder / "fer2013.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path
