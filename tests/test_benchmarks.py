"""Every benchmark can be started, and its head says how; what they measure is no matter of tests."""

import json
import runpy

import pytest

from tests.conftest import ROOT

BENCHMARKS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name not in ("__init__.py", "student.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_is_loaded_and_says_its_command(path):
    names = runpy.run_path(str(path), run_name="loaded")
    assert f"python benchmarks/{path.name}" in names["__doc__"]
    assert callable(names["main"])


def test_what_is_measured_on_the_cpu_says_so_and_runs_there(monkeypatch, tmp_path):
    """ "meta" stands for a GPU, and cannot answer."""
    monkeypatch.setattr("fer.checkpoint.best_device", lambda: "meta")
    monkeypatch.setattr("fer.environment.best_device", lambda: "cuda")
    live = runpy.run_path(str(ROOT / "benchmarks" / "live.py"), run_name="loaded")
    assert live["eager"]("baseline")(next(live["frames"](1))).device.type == "cpu"
    explaining = runpy.run_path(str(ROOT / "benchmarks" / "explaining.py"), run_name="loaded")
    words = ["explaining.py", "--architecture", "baseline", "--plain", "--rounds", "1", "--out", str(tmp_path / "found.json")]
    monkeypatch.setattr("sys.argv", words)
    explaining["main"]()
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["device"].startswith("CPU ")
