"""Kill training at random moments and look whether anything was lost: ``python tests/kill_runs.py --kills 100``.

Every run is a process of its own, forked after the slow imports. It is killed by SIGKILL, resumed, killed again, and so
on to its end, then a new one starts. Half the moments are drawn over the duration of a run, half lie a few milliseconds
after it has opened, renamed or removed a file. After every kill there must be

- a state that can be read, holding every epoch that was announced (else it counts as unreadable or lost),
- a best checkpoint that can be read, of the best epoch so far,
- a history with every epoch that was announced;

and a run that was killed often must end with the weights and the history of an undisturbed one, nothing half-written left.
"""

import argparse
import os
import random
import re
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402

from analysis import board  # noqa: E402, F401 (imported here once, not in every process)
from fer import checkpoint as checkpoints  # noqa: E402
from fer import run_files  # noqa: E402
from fer.cli import evaluate, live, main, train  # noqa: E402, F401
from fer.errors import FerError  # noqa: E402
from fer.training import run, store  # noqa: E402
from fer.training.history import Epoch, History  # noqa: E402
from tests import fakes  # noqa: E402

SETTINGS = ("precision=fp32", "batch_size=9", "lr=0.01", "ema=0.9", "dropout=0.3", "mixup=0.2", "alternating_flip=true")
EPOCHS = 5
#: A run that takes longer hangs.
LONGEST = 300.0
#: Within so many seconds after it has touched a file.
NEAR = 0.06


@dataclass
class Process:
    """A training in a process of its own; a byte comes through the pipe whenever it touches a file."""

    arguments: list[str]
    log: Path
    touched: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.pipe, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            self._train(writing)
        os.close(writing)

    def _train(self, pipe: int) -> None:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        run.QUICK_SAVE = LONGEST  # on a slow disk not every epoch is saved, which is meant and would be taken for a loss
        sys.addaudithook(lambda event, values: self._tell(pipe, event, values))
        code = 99
        try:
            code = main(self.arguments)
        except BaseException:  # noqa: BLE001 (whatever it is, the process ends here)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _tell(self, pipe: int, event: str, values: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(values[0]).startswith(str(self.log.parent)):
            os.write(pipe, b".")

    def wait(self, touches: float = float("inf"), seconds: float = LONGEST) -> bool:
        """Until the process has touched so many files or lived so long (False), or has ended (True)."""
        while self.touched < touches:
            left = self.started + seconds - time.monotonic()
            if left <= 0 or not select.select([self.pipe], [], [], left)[0]:
                return False
            came = os.read(self.pipe, 1)
            if not came:
                return True
            self.touched += 1
        return False

    def end(self) -> int:
        """Kill it if it still lives; its exit code, -9 if it was killed."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@dataclass
class Trial:
    """Runs in one folder, each killed until it finishes."""

    folder: Path
    choice: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        os.environ["FER_CACHE"] = str(self.folder / "cache")
        self.data = fakes.write_zip(self.folder / "archive.zip", train=6, validation=3)
        self.runs = 0

    def undisturbed(self) -> None:
        """One run without a kill: what is compared with, and how long it takes."""
        process = self._start(None)
        code = process.wait() and process.end()
        self.seconds, self.touches = time.monotonic() - process.started, process.touched
        if code != 0:
            raise SystemExit(f"the undisturbed run failed:\n{process.log.read_text(encoding='utf-8')}")
        self.expected = ending(run_folder(process.log))

    def kill_until(self, kills: int) -> None:
        """Start, kill and resume runs until there were so many kills."""
        resumed = None
        while self.counts["kills"] < kills:
            process = self._start(resumed)
            if self._disturb(process):
                self.counts["kills"] += 1
                resumed = self._judge(process.log)
            else:
                resumed = None

    def _start(self, resumed: Path | None) -> Process:
        if resumed:
            return Process(["train", "--resume", str(resumed), "--data", str(self.data)], self.folder / f"{self.runs}.log")
        self.runs += 1
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        command = ["train", "baseline", "--epochs", str(EPOCHS), "--data", str(self.data), *settings]
        return Process([*command, "--runs", str(self.folder / f"runs-{self.runs}")], self.folder / f"{self.runs}.log")

    def _disturb(self, process: Process) -> bool:
        """Kill a process at a random moment; False where it ended before."""
        if self.choice.random() < 0.5:
            ended = process.wait(seconds=self.choice.uniform(0, self.seconds))
        else:
            ended = process.wait(touches=self.choice.randint(1, self.touches))
            time.sleep(0 if ended else self.choice.uniform(0, NEAR))
        code = process.end()
        if code == -signal.SIGKILL:
            return True
        if code != 0:
            self._complain("unreadable", f"exit code {code} after: {process.log.read_text(encoding='utf-8')}")
        else:
            self._compare(run_folder(process.log))
        return False

    def _judge(self, log: Path) -> Path | None:
        """Look at what a killed run has left; its folder where it can be resumed."""
        folder = run_folder(log)
        if folder is None:
            return None
        self.counts["in the middle of a file"] += any(path.name.startswith(".") for path in folder.glob("*"))
        announced = max((int(number) for number in re.findall(r"^epoch +(\d+)/", log.read_text("utf-8"), re.M)), default=0)
        if not any((folder / name).exists() for name in (run_files.LAST, run_files.PREVIOUS)):
            if announced:
                self._complain("lost", f"{folder} holds no state after epoch {announced}")
            return None
        try:
            self._look(folder, announced)
        except FerError as error:
            self._complain("unreadable", str(error))
            return None
        return None if (folder / run_files.METRICS).exists() else folder

    def _look(self, folder: Path, announced: int) -> None:
        history = History([Epoch(**row) for row in store.read_last(folder)[1]["history"]])
        if len(history) < announced:
            self._complain("lost", f"{folder}: epoch {announced} was announced, the state is of epoch {len(history)}")
        if announced and len(History.load(folder / "history.csv")) < announced:
            self._complain("lost", f"{folder}: epoch {announced} was announced, it is not in history.csv")
        if len(history):
            best = checkpoints.load(folder / run_files.BEST).card.best_epoch
            # a run killed between its best and its last checkpoint repeats the epoch
            if best not in (history.best.epoch, len(history) + 1):
                self._complain("lost", f"{folder}: epoch {history.best.epoch} is the best, the checkpoint is of {best}")

    def _compare(self, folder: Path | None) -> None:
        self.counts["runs finished"] += 1
        if folder is None or ending(folder) != self.expected:
            self._complain("different", f"{folder} does not end as the undisturbed run")
        if folder and any(path.name.startswith(".") for path in folder.glob("*")):
            self._complain("leftover", f"{folder} holds {[p.name for p in folder.glob('.*')]}")

    def _complain(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        say(f"{kind}: {text}")


def run_folder(log: Path) -> Path | None:
    """The folder that a run has announced, None where it had not come so far."""
    found = re.search(r"results go to (.+)$", log.read_text(encoding="utf-8"), re.M) if log.exists() else None
    return Path(found[1]) if found and Path(found[1]).exists() else None


def ending(folder: Path | None) -> tuple[object, ...]:
    """Weights and history of a finished run, without what the clock decides."""
    if folder is None:
        raise SystemExit("the run has no folder")
    rows = [[value for key, value in row.items() if "second" not in key] for row in History.load(folder / "history.csv").rows()]
    card, state, _, note = store.read_last(folder)
    best = checkpoints.load(folder / run_files.BEST).card
    return rows, note, card.weights_sha256, best.weights_sha256, best.metrics, state["tally"]["loss"].item()


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def kill_runs(kills: int, seed: int) -> bool:
    """True where nothing was lost."""
    with tempfile.TemporaryDirectory() as folder:
        trial, started = Trial(Path(folder), random.Random(seed)), time.monotonic()
        trial.undisturbed()
        say(f"seed {seed}: an undisturbed run takes {trial.seconds:.1f} s and touches files {trial.touches} times")
        trial.kill_until(kills)
    faults = ("unreadable", "lost", "different", "leftover")
    named = ("kills", "in the middle of a file", "runs finished", *faults)
    say(", ".join(f"{name} {trial.counts[name]}" for name in named) + f" in {time.monotonic() - started:.0f} s")
    return not any(trial.counts[name] for name in faults)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads would not outlive a fork
    sys.exit(0 if kill_runs(options.kills, options.seed) else 1)
