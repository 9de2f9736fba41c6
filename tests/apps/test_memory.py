"""The page's memory: threads share their pools, as the C library itself tells."""

import subprocess
import sys

import pytest

from apps.memory import ARENAS
from tests.conftest import ROOT

# Counts the heaps that malloc_info(3) lists once 16 threads hold memory at the same time.
COUNTS = """
import ctypes, re, sys, tempfile, threading
from pathlib import Path
from apps.memory import share_arenas

libc = ctypes.CDLL(None)
done = share_arenas() if sys.argv[1] == "shared" else None
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
meet = threading.Barrier(16)

def hold():
    libc.malloc(ctypes.c_size_t(10_000))
    meet.wait()

threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(done, len(re.findall("<heap nr=", Path(file.name).read_text())))
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_info is glibc's")


def heaps(how, **environment):
    words = [sys.executable, "-c", COUNTS, how]
    told = subprocess.run(words, cwd=ROOT, env={"PATH": "", **environment}, capture_output=True, text=True, check=True)
    done, count = told.stdout.split()
    return done, int(count)


def test_threads_share_pools_that_they_would_not_share_by_themselves():
    assert heaps("own")[1] > ARENAS
    done, count = heaps("shared")
    assert done == "True" and count <= ARENAS


def test_another_wish_is_respected():
    done, count = heaps("shared", MALLOC_ARENA_MAX="5")
    assert done == "False" and ARENAS < count <= 5
