"""A server that trains: a GPU's torch, and neither OpenCV, platformdirs nor ONNX Runtime."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MISSING = ("cv2", "platformdirs", "onnxruntime", "gradio", "pytorch_grad_cam", "captum")
HIDE = f"import sys; sys.modules |= dict.fromkeys({MISSING})"  # what import finds where it is not installed


def run(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Python there, with nothing said of caches."""
    kept = {key: value for key, value in os.environ.items() if key not in ("FER_CACHE", "XDG_CACHE_HOME")}
    command = [sys.executable, "-c", f"{HIDE}; {code}"]
    env = kept | {"HOME": str(home)}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=env, timeout=300)


@pytest.mark.parametrize("module", ["fer.zoo", "fer.release", "fer.cli.train", "fer.training.run", "analysis.explain"])
def test_what_trains_and_draws_its_maps_is_there(module, tmp_path):
    found = run(f"import {module}", tmp_path)
    assert (found.returncode, found.stderr) == (0, "")


def test_data_are_kept_in_the_users_cache(tmp_path):
    found = run("from fer.files import cache_folder; print(cache_folder())", tmp_path)
    assert (found.stdout, found.stderr) == (f"{tmp_path / '.cache' / 'ferscope'}\n", "")


def test_the_tables_of_releases_are_written(tmp_path):
    """From what is inside exported models, which cannot be run there."""
    found = run("from fer.release import exports_table; print(exports_table())", tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout in (ROOT / "checkpoints" / "README.md").read_text(encoding="utf-8")
    assert "fast_cnn-int8.onnx" in found.stdout
