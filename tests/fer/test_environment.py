"""What the process asks of its machine."""

import platform
import subprocess
import sys

import pytest


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
