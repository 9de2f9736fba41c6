"""Memory over a long film."""

import subprocess
import sys


def test_memory_is_flat_over_ten_thousand_frames(tmp_path):
    """With a face that comes and goes, boxes, table and events; resident memory after 1,000 frames and after 10,000."""
    program = """
import resource, sys, os
from pathlib import Path
import numpy as np
from contextlib import ExitStack
from analysis.figures.scene import draw_scene
from fer.predict import Predictor
from fer.video import Recogniser
from fer.video.events import EventLog, Watch
from fer.video.rows import write_rows
from tests.video import films
out = Path(sys.argv[1])
pictures = list(films.frames(50, (films.head(), films.still))) + list(films.frames(50))
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
recogniser, watch, faces = Recogniser(Predictor("fast_cnn-int8", "haar")), Watch(), 0
with write_rows(out / "faces.csv") as rows, EventLog(out / "events") as log:
    for number in range(10_000):
        image = pictures[number % 100]
        scene = recogniser.see(image, number / 25)
        draw_scene(image, scene)
        rows.write(number, scene)
        log.write(watch.see(scene))
        faces += len(scene.faces)
        if number == 1000:
            before = resident()
print(resident() - before, faces)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    grown, faces = map(int, done.stdout.split())
    assert faces > 4000
    assert grown < 8e6
