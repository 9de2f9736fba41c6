"""How results come to the disk."""

import os
import stat
import sys

import pytest

from fer.files import whole_folder, workshop, write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")


@pytest.fixture(params=[0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_and_folders_have_the_rights_that_the_user_gives(umask, tmp_path):
    write_whole(tmp_path / "file", b"x")
    with whole_folder(tmp_path / "folder") as folder:
        (folder / "inside").write_bytes(b"x")
    with workshop(tmp_path / "made") as shop:
        assert rights(shop) == 0o777 & ~umask
    assert rights(tmp_path / "file") == 0o666 & ~umask
    assert rights(tmp_path / "folder") == 0o777 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_rights(mode, tmp_path):
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_whole(path, b"new")
    assert (path.read_bytes(), rights(path)) == (b"new", mode)
    assert list(tmp_path.iterdir()) == [path]
