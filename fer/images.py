"""The only decoder of strangers' files: path, bytes, PIL image or array → RGB uint8 (H, W, 3).

EXIF rotation is applied; transparency is laid on white; 16-bit, palette, grey and CMYK pictures are converted.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fer.errors import ImageError
from fer.types import FACE_SIZE, ByteArray, Face

#: Formats read, with the endings of their files' names; everything else is refused before a decoder sees it.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "MPO": (".mpo",),
}
_ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)

#: Larger pictures are refused from their header, before memory is spent (64 megapixels: 192 MB as RGB).
MAX_PIXELS = 64_000_000

#: Larger files are refused before they are read.
MAX_BYTES = 100_000_000

# Floats up to here are of pictures from 0 to 1: resampling sharpens edges beyond white, which is clipped.
_ABOVE_WHITE = 2.0

# Pixels that are brought to eight bits at once.
_BAND = 65_536

ImageInput = str | Path | bytes | Image.Image | npt.NDArray[np.generic]


def is_picture(name: str) -> bool:
    """True where a name ends as those of pictures do.

    >>> is_picture("face.JPG"), is_picture("notes.txt")
    (True, False)
    """
    return name[name.rfind(".") :].lower() in _ENDINGS  # Path would be slow for millions


def read(source: ImageInput) -> ByteArray:
    """Decode any supported picture.

    Args:
        source: path, encoded bytes, PIL image, or array uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: not there, not a picture, damaged, or too large.

    >>> read(np.zeros((4, 5), np.uint8)).shape
    (4, 5, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _to_rgb(source, "the picture")
    if isinstance(source, bytes):
        return decode(source, "the picture")
    return decode(_file_bytes(Path(source)), str(source))


def decode(data: bytes, name: str, most: int = MAX_PIXELS) -> ByteArray:
    """Encoded bytes → uint8 (H, W, 3), RGB; ``name`` stands for the picture in errors, ``most`` is how many pixels it may have.

    Raises:
        ImageError: no picture, damaged, or too large.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; give a {_FORMAT_TEXT} picture")
    with _open(data, name, most) as picture:
        return _to_rgb(picture, name)


def decode_grey(data: bytes, name: str, size: int) -> ByteArray:
    """Encoded bytes → uint8 (size, size) grey: the form in which FER-2013 faces are kept.

    Raises:
        ImageError: no picture, damaged, or too large.
    """
    return decode_face(data, name, size)[0]


def decode_face(data: bytes, name: str, size: int) -> tuple[ByteArray, tuple[int, int]]:
    """The same, and the width and height that the picture was brought from."""
    if not data:
        raise ImageError(f"{name}: the file is empty; delete it or replace it")
    with _open(data, name) as picture:
        if picture.mode != "L" or picture.size != (size, size) or "exif" in picture.info or picture.has_transparency_data:
            return grey_square(_to_rgb(picture, name), size), picture.size
        try:
            return np.asarray(picture), picture.size
        except _DECODER_ERRORS as error:
            raise _damaged(name, error) from error


def grey_square(image: ByteArray, size: int) -> ByteArray:
    """RGB uint8 (H, W, 3) → grey uint8 (size, size), ITU-R 601 luma, reduced by area averaging."""
    grey = Image.fromarray(image).convert("L")
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BOX if min(grey.size) >= size else Image.Resampling.BILINEAR)
    return np.asarray(grey)


_FORMAT_TEXT = "JPEG, PNG, WebP, BMP, GIF or TIFF"

# What Pillow's decoders raise on damaged input, gathered from its own fuzzing tests.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def grey_batch(faces: Sequence[Face]) -> ByteArray:
    """Faces of any size → uint8 (N, 1, 48, 48) grey, the form in which every model is given them."""
    return np.stack([grey_square(face.image, FACE_SIZE) for face in faces])[:, None]


def _file_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ImageError(f"{path}: this is a folder; give a picture, or use --data for a data set")
        if path.exists() and not path.is_file():
            raise ImageError(f"{path}: this is no regular file; give a picture")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; reduce the picture first")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _open(data: bytes, name: str, most: int = MAX_PIXELS) -> Image.Image:
    try:
        with _quiet():
            picture = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
    except Image.DecompressionBombError as error:
        raise _too_large(name, "more pixels than any decoder here accepts", most) from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name}: not a picture this program reads; give a {_FORMAT_TEXT} file") from error
    if picture.width * picture.height > most:
        raise _too_large(name, f"{picture.width}×{picture.height} pixels", most)
    return picture


def _to_rgb(picture: Image.Image, name: str) -> ByteArray:
    try:
        with _quiet():
            return _converted(_upright(picture))
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of what is an error here, or of no interest to a person: stderr is for our one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except _DECODER_ERRORS:  # broken camera data does not make a broken picture; broken pixels fail again below
        return picture


def _converted(picture: Image.Image) -> ByteArray:
    if picture.mode.startswith(("I", "F")):
        return _from_array(_to_8_bit(np.asarray(picture)))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(picture.convert("RGB"))


def _to_8_bit(values: npt.NDArray[np.generic]) -> ByteArray:
    """16-bit, 32-bit or float grey → uint8; Pillow itself would clip at 255 instead of scaling."""
    bands = np.array_split(values.reshape(-1), max(1, values.size // _BAND))
    if values.dtype in (np.uint16, np.dtype(">u2"), np.dtype("<u2")):
        top = 65535.0
    else:
        largest = max(float(_wide(band).max()) for band in bands)
        top = 255.0 if largest <= 255 else 65535.0 if largest <= 65535 else largest
        if largest <= _ABOVE_WHITE and np.issubdtype(values.dtype, np.floating):
            top = 1.0
    scaled = [np.clip(_wide(band) / top * 255 + 0.5, 0, 255).astype(np.uint8) for band in bands]
    return np.concatenate(scaled).reshape(values.shape)


def _wide(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """float64 without what is not finite: eight bytes a pixel, so that it is asked of a band at a time."""
    return np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)


def _from_array(array: npt.NDArray[np.generic]) -> ByteArray:
    if array.dtype != np.uint8:
        raise ImageError(f"array of {array.dtype}; give uint8 values 0..255")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(f"array of shape {array.shape}; give (H, W), (H, W, 3) or (H, W, 4)")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large("the array", f"{array.shape[1]}×{array.shape[0]} pixels")
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(array.astype(np.uint8), "RGBA"), "the array")
    return np.array(np.broadcast_to(array, (*array.shape[:2], 3)), dtype=np.uint8, order="C")  # one copy, of its own


def _too_large(name: str, what: str, most: int = MAX_PIXELS) -> ImageError:
    return ImageError(f"{name}: {what}, at most {most / 1e6:g} megapixels are read; reduce the picture first")


def _damaged(name: str, error: Exception) -> ImageError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"{name}: the picture is damaged or cut short ({reason}); save or download it again")
