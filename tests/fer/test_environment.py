"""What the process asks of its machine."""

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from fer.environment import versions
from tests.conftest import ROOT


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked for it")
def test_freed_memory_stays_mapped_so_that_a_second_allocation_faults_no_page():
    script = """
import resource, sys
import torch
from fer.environment import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
for _ in range(10):  # the first ones find their place
    torch.ones(16_000_000)  # 64 MB, more than glibc ever keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16_000_000)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

    def run(word: str) -> tuple[str, int]:
        command = [sys.executable, "-c", script, word]
        kept, faults = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return kept, int(faults)

    kept, faults = run("keep")
    assert kept == "True" and faults < 1000
    assert run("leave")[1] > 5 * faults


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no threads")
@pytest.mark.skipif(Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists(), reason="left alone where there is a GPU")
@pytest.mark.parametrize(
    ("variables", "others", "bound"),
    [
        ({}, 0, "True true"),
        ({}, 1, "False None"),
        ({"OMP_NUM_THREADS": "1"}, 0, "False None"),
        ({"OMP_PROC_BIND": "false"}, 0, "False false"),
    ],
    ids=["free", "some of the cores", "some of the threads", "chosen by the user"],
)
def test_threads_are_bound_where_the_process_has_the_machine_to_itself(variables, others, bound):
    """Of a machine that has so many cores beside those that are given to the tests."""
    script = f"import os; os.cpu_count = lambda: len(os.sched_getaffinity(0)) + {others}; "
    script += "from fer.environment import bind_threads; print(bind_threads(), os.environ.get('OMP_PROC_BIND'))"
    assert _run(script, variables) == bound


def test_threads_are_left_alone_once_torch_is_imported():
    assert _run("import torch; from fer.environment import bind_threads; print(bind_threads())", {}) == "False"


def _run(script: str, variables: dict[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if "OMP_" not in name and "KMP_" not in name}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True).stdout.strip()


def test_info_names_another_project_that_has_put_its_files_among_ours(tmp_path):
    (tmp_path / "fer-22.5.1.dist-info").mkdir()
    (tmp_path / "fer-22.5.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fer\nVersion: 22.5.1\n")
    script = "from fer.environment import problems; print([problem.what for problem in problems()])"
    assert _run(script, {}).count("fer 22.5.1") == 0
    assert "fer 22.5.1 of another project is installed, too" in _run(script, {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"})


def test_info_says_what_is_wrong_where_torch_cannot_be_loaded():
    script = """
import sys
sys.modules["torch"] = None  # importing it fails, as where it is not installed
from fer import environment
environment.versions = lambda *_: {"python": "3", "torch": "missing"}
environment._opencv_pair = lambda: None
from fer.cli import main
sys.exit(main(["info", "--json"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["device"], facts["bf16"]) == ("unknown", "unknown")
    assert "package torch is not installed" in [problem["what"] for problem in facts["problems"]]


def test_a_package_that_comes_in_another_distribution_is_found_there(monkeypatch):
    """Bare training machines have lightning, with lightning-fabric inside."""
    installed = {"lightning": "2.6.5", "numpy": "2.3"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    found = versions(("lightning-fabric", "numpy", "torch"))
    assert found == {"python": platform.python_version(), "lightning-fabric": "2.6.5", "numpy": "2.3", "torch": "missing"}
    installed["lightning-fabric"] = "2.5.0"
    assert versions(("lightning-fabric",))["lightning-fabric"] == "2.5.0"
