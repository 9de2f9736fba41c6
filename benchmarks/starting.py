"""How long a command takes from the shell to its answer about one picture, beside what its imports alone would take.

    python benchmarks/starting.py [TIMES]

Every case is a process of its own, all of them in turn, TIMES rounds (5 unless told); medians of seconds on the clock and on
the processor. The first row is what every program on torch pays, the second what one pays that imports torchvision and the
grad-cam package before it reads its arguments.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fer.samples import sample_path

_PICTURE = str(sample_path())


def cases(folder: str) -> dict[str, list[str]]:
    """What is timed: name → arguments of the interpreter."""
    return {
        "import torch": ["-c", "import torch"],
        "import torch, torchvision, pytorch_grad_cam": ["-c", "import torch, torchvision, pytorch_grad_cam"],
        "import fer.training.run": ["-c", "import fer.training.run"],
        "fer --help": ["-m", "fer", "--help"],
        "fer predict PICTURE": ["-m", "fer", "predict", _PICTURE],
        "fer explain PICTURE": ["-m", "fer", "explain", _PICTURE, "--out", folder],
        "fer predict PICTURE -c fast_cnn": ["-m", "fer", "predict", _PICTURE, "-c", "fast_cnn"],
        "fer explain PICTURE -c fast_cnn": ["-m", "fer", "explain", _PICTURE, "-c", "fast_cnn", "--out", folder],
        "fer explain PICTURE --method gradcam++": ["-m", "fer", "explain", _PICTURE, "--method", "gradcam++", "--out", folder],
    }


def seconds(arguments: list[str]) -> tuple[float, float]:
    """Seconds on the clock and on the processor, of the process and its children."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    clock, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, spent


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        named = cases(str(Path(folder) / "maps"))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in named}
        for arguments in named.values():  # once unmeasured: files come from the disk only then
            seconds(arguments)
        for _ in range(rounds):
            for name, arguments in named.items():
                taken[name].append(seconds(arguments))
    medians = {name: [statistics.median(part) for part in zip(*times, strict=True)] for name, times in taken.items()}
    ground = medians["import torch"][1]
    print("| | seconds | on the processor | of `import torch` |\n|---|---|---|---|")
    for name, (clock, spent) in medians.items():
        print(f"| `{name}` | {clock:.2f} | {spent:.2f} | {spent / ground:.2f} × |")


if __name__ == "__main__":
    main()
