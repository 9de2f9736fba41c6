"""The decoder of strangers' pictures: every kind gives the right RGB values, every bad one a single line of advice."""

import os
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from fer import images
from fer.errors import ImageError
from fer.images import FORMATS, decode_grey, grey_square, is_picture, read
from tests.fer.strange import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, huge_on_paper, huge_png, noise, png, saved

ORIENTATION = 0x0112


def on_white(colour, alpha):
    """The definition of compositing, in float: α·colour + (1 - α)·white."""
    share = alpha[..., None] / 255
    return share * colour + (1 - share) * 255


# every kind of picture


def test_an_rgb_png_keeps_every_pixel():
    pixels = noise()
    assert np.array_equal(read(png(pixels, RGB)), pixels)


def test_a_grey_png_is_repeated_over_three_channels():
    pixels = noise(channels=1)
    assert np.array_equal(read(png(pixels, GREY)), np.stack([pixels] * 3, axis=-1))


def test_alpha_is_laid_on_white():
    pixels = noise(channels=4)
    expected = on_white(pixels[..., :3].astype(float), pixels[..., 3])
    np.testing.assert_allclose(read(png(pixels, RGB_ALPHA)), expected, atol=1)


def test_grey_with_alpha_is_laid_on_white():
    pixels = noise(channels=2)
    expected = on_white(np.stack([pixels[..., 0]] * 3, axis=-1).astype(float), pixels[..., 1])
    np.testing.assert_allclose(read(png(pixels, GREY_ALPHA)), expected, atol=1)


def test_invisible_pixels_are_white_whatever_colour_hides_there():
    pixels = np.zeros((3, 4, 4), np.uint8)
    assert (read(png(pixels, RGB_ALPHA)) == 255).all()


def test_a_palette_is_looked_up():
    palette = noise(1, 256)[0]
    index = noise(channels=1)
    assert np.array_equal(read(png(index, PALETTE, extra=((b"PLTE", palette.tobytes()),))), palette[index])


def test_a_palette_with_transparency_is_looked_up_and_laid_on_white():
    palette, alpha = noise(1, 256)[0], noise(1, 256, 1, seed=1)[0]
    index = noise(channels=1)
    data = png(index, PALETTE, extra=((b"PLTE", palette.tobytes()), (b"tRNS", alpha.tobytes())))
    np.testing.assert_allclose(read(data), on_white(palette[index].astype(float), alpha[index]), atol=1)


@pytest.mark.parametrize("top", [65535, 4000, 200], ids=["bright", "dark", "almost black"])
def test_sixteen_bit_grey_is_scaled_by_its_full_range(top):
    values = np.random.default_rng(0).integers(0, top + 1, (40, 50))
    expected = np.stack([values / 257] * 3, axis=-1)  # 65535 / 257 = 255
    np.testing.assert_allclose(read(png(values, GREY, 16)), expected, atol=0.51)


def test_sixteen_bit_colour_is_scaled_by_its_full_range():
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 3))
    np.testing.assert_allclose(read(png(values, RGB, 16)), values / 257, atol=1)


def test_sixteen_bit_colour_with_alpha_is_laid_on_white():
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 4))
    expected = on_white(values[..., :3] / 257, values[..., 3] / 257)
    np.testing.assert_allclose(read(png(values, RGB_ALPHA, 16)), expected, atol=3)


def test_a_sixteen_bit_tiff_is_scaled_by_its_full_range():
    values = np.random.default_rng(0).integers(0, 65536, (40, 50)).astype(np.uint16)
    expected = np.stack([values / 257] * 3, axis=-1)
    np.testing.assert_allclose(read(saved(Image.fromarray(values), "TIFF")), expected, atol=0.51)


@pytest.mark.parametrize("kind", ["16 bit", "32 bit", "float"])
def test_a_large_picture_of_many_bits_is_scaled_as_one_in_little_memory(kind, tmp_path):
    rng = np.random.default_rng(3)
    if kind == "16 bit":
        values = rng.integers(0, 65536, (900, 1000)).astype(np.uint16)
    else:
        values = rng.integers(0, 70000, (900, 1000)).astype(np.int32 if kind == "32 bit" else np.float32)
    values[-1, -1] = values.max()
    path = tmp_path / "many.tif"
    Image.fromarray(values).save(path)
    tracemalloc.start()
    shown = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    top = 65535 if kind == "16 bit" else values.max()
    expected = np.floor(values.astype(np.float64) / top * 255 + 0.5)
    assert np.array_equal(shown, np.repeat(expected[..., None], 3, axis=2))
    assert peak < 14 * values.size  # the file, its pixels, 3 bytes a pixel of the result; 8 more would be as float64


def test_float_values_in_0_to_1_are_scaled():
    values = np.linspace(0, 1, 2000, dtype=np.float32).reshape(40, 50)
    expected = np.stack([values * 255] * 3, axis=-1)
    np.testing.assert_allclose(read(saved(Image.fromarray(values), "TIFF")), expected, atol=0.51)


def test_missing_values_of_a_float_picture_are_read_without_a_warning():
    values = np.array([[0.5, np.nan], [1.0, 0.0]], np.float32)
    assert read(saved(Image.fromarray(values), "TIFF")).shape == (2, 2, 3)


def test_a_one_bit_picture_is_black_and_white():
    bits = noise(channels=1) > 127
    data = saved(Image.fromarray(bits), "PNG")
    assert np.array_equal(read(data), np.stack([bits * 255] * 3, axis=-1))


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 200, 100, 50), (0, 0, 0, 255), (30, 60, 90, 120)])
def test_a_cmyk_jpeg_has_the_colours_of_its_inks(inks):
    picture = Image.new("CMYK", (32, 32), inks)
    cyan, magenta, yellow, black = np.array(inks) / 255
    expected = 255 * (1 - black) * (1 - np.array([cyan, magenta, yellow]))
    np.testing.assert_allclose(read(saved(picture, "JPEG", quality=100)).reshape(-1, 3).mean(axis=0), expected, atol=3)


#: What the file stores when the picture that is to be seen is ``u``: EXIF 2.3, figure 5, "0th row / 0th column is at".
STORED = {
    1: lambda u: u,  # top / left
    2: lambda u: u[:, ::-1],  # top / right
    3: lambda u: u[::-1, ::-1],  # bottom / right
    4: lambda u: u[::-1],  # bottom / left
    5: lambda u: u.swapaxes(0, 1),  # left / top
    6: lambda u: u[:, ::-1].swapaxes(0, 1),  # right / top
    7: lambda u: u[::-1, ::-1].swapaxes(0, 1),  # right / bottom
    8: lambda u: u[::-1].swapaxes(0, 1),  # left / bottom
}


def turned(upright, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))), exif.tobytes()


@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_upright_by_its_exif_tag(orientation):
    upright = noise()
    picture, exif = turned(upright, orientation)
    assert np.array_equal(read(saved(picture, "PNG", exif=exif)), upright)


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_upright_by_its_exif_tag(orientation):
    upright = np.kron(noise(2, 3), np.ones((16, 16, 1), np.uint8))  # flat blocks survive JPEG
    picture, exif = turned(upright, orientation)
    data = saved(picture, "JPEG", exif=exif, quality=100, subsampling=0)
    np.testing.assert_allclose(read(data).astype(int), upright, atol=4)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_grey_face_of_the_right_size_is_turned_upright_too(orientation):
    upright = noise(48, 48, 1)
    picture, exif = turned(upright, orientation)
    assert np.array_equal(decode_grey(saved(picture, "PNG", exif=exif), "face.png", 48), upright)


@pytest.mark.parametrize("size", [48, 60])
def test_a_grey_face_whose_darkest_value_is_transparent_is_laid_on_white(size):
    """tRNS of a grey PNG names one value that is not there; both ways of reading agree."""
    grey = noise(size, size, 1)
    data = png(grey, GREY, extra=((b"tRNS", b"\0" + bytes([grey.min()])),))
    laid = np.where(grey == grey.min(), 255, grey).reshape(size, size)
    assert np.array_equal(read(data)[..., 0], laid)
    assert np.array_equal(decode_grey(data, "face.png", size), laid)


@pytest.mark.parametrize("tail", [b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\x7f", b"no exif at all"])
def test_damaged_exif_does_not_spoil_a_good_picture(tail):
    data = saved(Image.fromarray(noise()), "PNG", exif=b"Exif\0\0" + tail)
    assert np.array_equal(read(data), noise())


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(read(saved(Image.fromarray(noise()), kind, **options)), noise())


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read(data) == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", [str, bytes, Image.fromarray, np.asarray], ids=["path", "bytes", "PIL", "array"])
def test_all_inputs_of_one_picture_give_the_same_pixels(kind, tmp_path):
    path = tmp_path / "face.png"
    path.write_bytes(png(noise(), RGB))
    source = {str: str(path), bytes: path.read_bytes()}.get(kind) or kind(noise())
    assert np.array_equal(read(source), noise())


def test_an_array_with_alpha_is_laid_on_white():
    pixels = noise(channels=4)
    np.testing.assert_allclose(read(pixels), on_white(pixels[..., :3].astype(float), pixels[..., 3]), atol=1)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)],
    ids=["floats", "two channels", "empty", "one dimension"],
)
def test_arrays_that_are_no_picture_are_refused(array):
    with pytest.raises(ImageError, match="give"):
        read(array)


# grey and small


def test_grey_is_the_luma_of_itu_r_601():
    pixels = noise(48, 48)
    expected = pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey_square(pixels, 48), expected, atol=1)


def test_a_larger_face_is_reduced_by_averaging():
    pixels = np.stack([noise(96, 96, 1)] * 3, axis=-1)
    expected = pixels[..., 0].astype(float).reshape(48, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(grey_square(pixels, 48), expected, atol=1)


# bad pictures

NOT_PICTURES = {
    "text": b"dear reader, this is no picture",
    "web page": b"<!doctype html><html><body>404</body></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04 and more",
    "zeros": bytes(1000),
    "signature alone": b"\x89PNG\r\n\x1a\n",
    "jpeg start alone": b"\xff\xd8\xff\xe0",
    "tiff start alone": b"II*\0",
    "tiff header alone": b"II*\0\x08\0\0\0\x05\0\0\x01",
}


@pytest.mark.parametrize("name", NOT_PICTURES)
def test_what_is_no_picture_is_said_to_be_none(name, tmp_path):
    path = tmp_path / "face.jpg"
    path.write_bytes(NOT_PICTURES[name])
    with pytest.raises(ImageError) as error:
        read(path)
    assert str(path) in str(error.value) and "JPEG, PNG" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind, part):
    data = saved(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(ImageError, match=r"holiday\.img: .*(give|save|download)"):
        images.decode(data[: int(len(data) * part)], "holiday.img")


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "face.png"
    path.touch()
    with pytest.raises(ImageError, match=r"face\.png: .*empty"):
        read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        read(tmp_path / "nowhere.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match="folder"):
        read(tmp_path)


@contextmanager
def little_memory(most=5_000_000):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# 8001² is just over the project's own limit; Pillow warns from 89 million pixels on and refuses from 179 million on
@pytest.mark.parametrize("side", [8001, 10000, 14000, 30000, 2**31 - 1])
def test_too_many_pixels_are_refused_from_the_header(side):
    data = huge_on_paper(side)
    with little_memory(), pytest.raises(ImageError, match="megapixels"):
        read(data)


def test_a_whole_picture_of_30000_by_30000_is_refused_without_being_decoded():
    data = huge_png(30_000)
    assert len(data) < 1_000_000
    with little_memory(), pytest.raises(ImageError, match="megapixels"):
        read(data)


def test_an_array_may_not_be_larger_than_a_file(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="50×40"):
        read(noise())


def test_a_file_larger_than_the_cap_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    path = tmp_path / "face.png"
    path.write_bytes(png(noise(), RGB))
    with pytest.raises(ImageError, match=r"face\.png: larger than"):
        read(path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    program = "import sys; from fer.images import read\ntry: read(sys.argv[1])\nexcept Exception as error: print(error)"
    command = [sys.executable, "-c", program, str(tmp_path / "pipe.png")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "pipe.png: " in answer.stdout


def test_a_float_picture_from_0_to_1_may_go_a_little_beyond_white():
    values = np.full((40, 50), 0.5, np.float32)
    values[0, 0] = 1.001
    assert np.unique(read(Image.fromarray(values, mode="F"))).tolist() == [128, 255]


def test_names_of_pictures_end_as_pillow_knows_them():
    Image.init()
    theirs = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert {ending for endings in FORMATS.values() for ending in endings} == theirs
    assert all(is_picture(f"a.b{ending}") and is_picture(f"A{ending.upper()}") for ending in theirs)
    assert not any(map(is_picture, ("jpg", "a.svg", "a.jpg.txt", "")))
