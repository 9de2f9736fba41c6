"""Real processes that the system asks to end, or kills."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer.data import load
from fer.signals import children_deaf
from fer.training import store
from fer.training.run import Continuation, Watch, train
from tests.conftest import ROOT
from tests.long_runs.runs import config_of, differences, kept

#: 21 steps an epoch, and so many epochs that the last ones are still to come when the first has been read of.
SETTINGS = {"epochs": 12, "batch_size": 2}
#: Makes the input the terminal of its session, as a login does, and becomes the command that follows.
OWN_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a user who has named no data set beforehand."""
    named = {"PYTHONPATH": str(ROOT), "FER_CACHE": str(tmp_path / "cache")}
    return {key: value for key, value in os.environ.items() if key != "FER_DATA"} | named


@pytest.fixture(scope="module")
def plain(fake_zip, tmp_path_factory):
    """The undisturbed run."""
    return train(config_of(**SETTINGS), load(fake_zip), tmp_path_factory.mktemp("plain") / "run", Watch())


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_process_asked_to_end_saves_and_says_how_to_go_on(fake_zip, environment, tmp_path, plain, number, code):
    command = [sys.executable, "-m", "fer", "train", "--config", plain.folder / "config.yaml"]
    command += ["--data", fake_zip, "--runs", tmp_path / "my runs"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch   1/12"):
                break
        process.send_signal(number)
        rest = process.stderr.read().splitlines()
        assert process.wait() == code
    assert not [line for line in rest if "Traceback" in line]
    (saved,) = re.findall(r"saved after (?:step \d+ of )?epoch (\d+);", rest[-1])
    assert int(saved) < 12
    words = shlex.split(rest[-1].partition("continue with: ")[2])
    assert words[:3] == ["fer", "train", "--resume"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == words[3]
    assert differences(kept(plain.folder), kept(Path(words[3]))) == []


def test_a_run_whose_terminal_is_closed_saves_and_goes_on(fake_zip, environment, tmp_path, plain):
    """Where there is nothing to write to any more, neither for the table nor for the last words."""
    words = ["-m", "fer", "train", "--config", plain.folder / "config.yaml", "--data", fake_zip, "--runs", tmp_path / "runs"]
    ours, terminal = pty.openpty()
    command = [sys.executable, "-c", OWN_TERMINAL, sys.executable, *map(str, words)]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    with subprocess.Popen(command, env={**environment, "TERM": "xterm"}, start_new_session=True, **streams) as process:
        os.close(terminal)
        shown = b""
        while b"epoch   1/12" not in shown:
            shown += os.read(ours, 4096)
        os.close(ours)
    assert process.returncode > 0  # it ended by itself, and was not ended by the signal
    (folder,) = (tmp_path / "runs").iterdir()
    assert not (folder / "metrics.json").exists()
    state = store.read_last(folder)[1]
    assert len(state["history"]) < 12 and (state["step"] or state["history"])
    train(store.read_config(folder), load(fake_zip), folder, Watch(), continuation=Continuation(resume=True))
    assert differences(kept(plain.folder), kept(folder)) == []


def test_runs_killed_at_random_moments_lose_nothing(environment):
    command = [sys.executable, ROOT / "tests" / "kill_runs.py", "--kills", "3", "--seed", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kills 3," in done.stdout and "unreadable 0, lost 0" in done.stdout


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no masks of signals")
def test_what_is_started_in_the_block_never_hears_an_interruption():
    words = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"]
    with children_deaf():
        deaf = subprocess.run(words, capture_output=True, text=True, check=False)
    hearing = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (deaf.returncode, deaf.stdout) == (0, "alive\n")
    assert hearing.returncode != 0 and hearing.stdout == ""
