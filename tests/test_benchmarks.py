"""Every benchmark can be started, and its head says how; what they measure is no matter of tests."""

import runpy

import pytest

from tests.conftest import ROOT

BENCHMARKS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name not in ("__init__.py", "student.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_is_loaded_and_says_its_command(path):
    names = runpy.run_path(str(path), run_name="loaded")
    assert f"python benchmarks/{path.name}" in names["__doc__"]
    assert callable(names["main"])
