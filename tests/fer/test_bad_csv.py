"""Bad lines and columns of fer2013.csv are named as an editor counts them."""

import pytest

from fer.data import load
from fer.errors import DataError
from tests.fer.strange import csv_file, zipped

pytestmark = pytest.mark.usefixtures("cache")

PIXELS = " ".join(["100"] * 2304)


GOOD = f"3,{PIXELS},Training"


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (f"3,{PIXELS[:-4]},Training", "2303 pixels instead of 2304"),
        (f"3,{PIXELS} 100,Training", "2305 pixels instead of 2304"),
        ("3,,Training", "0 pixels"),
        (f"3,{PIXELS[:-3]}256,Training", "0..255"),
        (f"3,{PIXELS[:-3]}-1,Training", "0..255"),
        (f"3,{PIXELS[:-3]}1.5,Training", "whole number"),
        (f"3,{PIXELS[:-3]}abc,Training", "whole number"),
        (f"3,{PIXELS[:-3]}99999999999999999999,Training", "pixels"),
        (f"7,{PIXELS},Training", "emotion '7' is not 0..6"),
        (f"-1,{PIXELS},Training", "emotion '-1'"),
        (f"1.0,{PIXELS},Training", "emotion '1.0'"),
        (f"happy,{PIXELS},Training", "emotion 'happy'"),
        (f",{PIXELS},Training", "emotion ''"),
        (f"²,{PIXELS},Training", "emotion"),
        (f"3,{PIXELS},train", "Usage 'train' is none of Training, PublicTest, PrivateTest"),
        (f"3,{PIXELS},", "Usage ''"),
        (f"3,{PIXELS}", "Usage ''"),
        ("3", "pixels"),
    ],
)
def test_a_bad_line_is_named_by_its_number(row, what, refused, tmp_path):
    line = refused(csv_file(tmp_path, GOOD, GOOD, row, GOOD))
    assert "line 4: " in line and what in line and "more" not in line and "correct or remove" in line


def test_blank_lines_count_as_lines(refused, tmp_path):
    assert "line 5: " in refused(csv_file(tmp_path, GOOD, "", "", f"9,{PIXELS},Training"))


def test_lines_are_counted_as_an_editor_counts_them(refused, tmp_path):
    over_two_lines = f'3,"{PIXELS[:400]}\n{PIXELS[400:]}",Training'
    assert "line 4: " in refused(csv_file(tmp_path, over_two_lines, f"9,{PIXELS},Training"))


@pytest.mark.parametrize(("bad", "more"), [(3, None), (4, "1 more"), (40, "37 more")])
def test_the_first_three_bad_lines_are_shown_and_the_rest_counted(bad, more, refused, tmp_path):
    line = refused(csv_file(tmp_path, GOOD, *[f"8,{PIXELS},Training"] * bad))
    assert all(f"line {number}: " in line for number in (3, 4, 5)) and "line 6: " not in line
    assert more in line if more else "more" not in line


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"emotion,pixels,Usage\n",
        b"label,image\n1,2\n",
        b"emotion,pixels\n3,1 2 3\n",
        b"\xff\xfe\x00\x01 binary",
        b"<!doctype html>\n<title>sign in</title>\n",
        b"emotion,pixels,Usage\n3," + b"1" * 200_000 + b",Training\n",
        b"emotion,pixels,Usage\n3,\0,Training\n",
    ],
    ids=["empty", "header alone", "other columns", "no Usage", "binary", "web page", "one huge field", "zero byte"],
)
def test_a_file_that_is_no_fer_csv(content, refused, tmp_path):
    (tmp_path / "fer2013.csv").write_bytes(content)
    assert refused(tmp_path / "fer2013.csv")


def test_a_bad_csv_inside_a_zip_is_named(refused, tmp_path):
    path = zipped(tmp_path / "archive.zip", ("fer2013/fer2013.csv", f"emotion,pixels,Usage\n9,{PIXELS},Training\n".encode()))
    line = refused(path)
    assert "fer2013/fer2013.csv" in line and "line 2: " in line


def test_errors_carry_the_advice_to_python_callers_too(tmp_path):
    with pytest.raises(DataError, match=r"fer2013\.csv: line 2: emotion '9'.*correct or remove"):
        load(csv_file(tmp_path, f"9,{PIXELS},Training"))
