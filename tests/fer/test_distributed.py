"""Two real processes on one CPU (gloo) against one process, through the command line."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fer import checkpoint as checkpoints
from fer import released
from fer.config import RunConfig
from fer.data import load
from fer.overrides import parse_assignments, with_values
from fer.training import fit
from fer.training.plan import make_model, make_plan
from tests import fakes

RATE = 0.5
# one plain step over the whole set, so that the weights after it tell the gradient
ONE_STEP = {
    "optimizer": "sgd",
    "epochs": 1, "batch_size": 35, "precision": "fp32", "dropout": 0, "lr": RATE, "momentum": 0, "grad_clip": 0, "ema": 0,
    "warmup": 0, "schedule": "constant", "weight_decay": 0, "flip": 0, "rotate": 0, "zoom": 0, "shift": 0, "brightness": 0,
    "contrast": 0,
}  # fmt: skip
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """35 training and 21 validation faces: neither is shared out evenly."""
    return fakes.write_zip(tmp_path_factory.mktemp("data") / "archive.zip", train=5, validation=3)


def settings(**changes: object) -> list[str]:
    return [word for key, value in (ONE_STEP | changes).items() for word in ("--set", f"{key}={value}")]


def run(folder: Path, data: Path, *arguments: str, machines: tuple["Machine", ...] = (), **changes: object) -> Path:
    """Start the command on each of the machines (without any: as it is); returns the folder that one of them printed."""
    environment = {**os.environ, "FER_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = ["-m", "fer", "train", "baseline", "--data", str(data), "--runs", str(folder), *arguments]
    started = [
        subprocess.Popen(
            [sys.executable, *before, *command, "--accelerator", "cpu", *settings(**changes)],
            env={**environment, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for before, more in machines or [((), {})]
    ]  # fmt: skip
    try:
        told = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * len(started), "".join(err[-3000:] for _, err in told)
    (printed,) = [line for out, _ in told for line in out.splitlines()]  # one of the processes prints the folder, once
    lines = [line for _, err in told for line in err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == int(changes.get("epochs", 1))
    return Path(printed)


#: What stands before the command on a machine, and its environment there.
Machine = tuple[tuple[str, ...], dict[str, str]]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def by_torchrun(port: str, rank: int) -> Machine:
    """One of two machines as docs/training.md starts them; both are this one."""
    where = ["--nnodes", "2", "--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", port]
    return (*TORCHRUN[:2], *where, "--nproc-per-node", "1"), {}


def by_slurm(port: str, rank: int) -> Machine:
    """One of two tasks in the environment that SLURM's srun gives them on two machines."""
    told = {"JOB_ID": "7", "JOB_NAME": "train", "STEP_ID": "0", "NTASKS": "2", "NTASKS_PER_NODE": "1", "NNODES": "2",
            "LOCALID": "0", "PROCID": str(rank), "NODEID": str(rank), "NODELIST": "127.0.0.1"}  # fmt: skip
    return (), {f"SLURM_{key}": value for key, value in told.items()} | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def gradient(folder: Path, data: Path) -> torch.Tensor:
    config = with_values(RunConfig(), {"model": "baseline", **parse_assignments(settings()[1::2])}, "test")
    start = make_model(make_plan(config, load(data).split("train"))).state_dict()
    after = checkpoints.load(folder / "last.pth").model.state_dict()
    return torch.cat([((start[name] - after[name]) / RATE).flatten() for name in start])


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("alone"), data)


#: Ways to start two processes.
WAYS: dict[str, Callable[[Path, Path], Path]] = {
    "own processes": lambda folder, data: run(folder, data, "--devices", "2"),
    "torchrun": lambda folder, data: run(folder, data, "--devices", "2", machines=((tuple(TORCHRUN), {}),)),
    "two machines": lambda folder, data: on_two_machines(folder, data, by_torchrun),
    "slurm": lambda folder, data: on_two_machines(folder, data, by_slurm),
}


def on_two_machines(folder: Path, data: Path, started: Callable[[str, int], Machine]) -> Path:
    port = free_port()
    return run(folder, data, "--devices", "1", "--num-nodes", "2", machines=(started(port, 0), started(port, 1)))


@pytest.fixture(scope="module", params=list(WAYS))
def together(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WAYS[request.param](tmp_path_factory.mktemp("together"), data)


def test_the_gradient_of_two_processes_is_that_of_one_with_the_same_batch(alone, together, data):
    one, two = gradient(alone, data), gradient(together, data)
    assert one.abs().max() > 5e-3
    torch.testing.assert_close(two, one, rtol=0, atol=1e-5)


def test_every_image_is_counted_once(alone, together):
    (one,), (two,) = rows(alone), rows(together)
    for figure in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_macro_f1"):
        assert float(two[figure]) == pytest.approx(float(one[figure]), abs=1e-5), figure
    metrics = [checkpoints.load(folder / "best.pth").card.metrics["validation"] for folder in (alone, together)]
    assert metrics[0]["n"] == metrics[1]["n"] == 21


def test_shares_of_an_epoch_are_disjoint_and_whole(data, tmp_path):
    """Next to nothing is learnt, so that the sum over an epoch tells whether every face was in it, and once."""
    one, two = (rows(run(tmp_path, data, *more, epochs=2, batch_size=8, lr=1e-9)) for more in ((), ("--devices", "2")))
    assert [row["epoch"] for row in two] == ["1", "2"]
    for row, other in zip(one, two, strict=True):
        assert float(other["train_accuracy"]) == pytest.approx(float(row["train_accuracy"]), abs=1e-9)
        assert float(other["train_loss"]) == pytest.approx(float(row["train_loss"]), abs=1e-6)


def test_gradual_unfreezing_over_several_processes_is_refused(data, tmp_path):
    done = subprocess.run(
        [sys.executable, *TORCHRUN, "-m", "fer", "train", "custom_cnn", "--mode", "gradual", "--data", str(data),
         "--init", str(released.find("custom_cnn")), "--set", "batch_size=8", "--devices", "2", "--accelerator", "cpu",
         "--runs", str(tmp_path / "runs")],
        env={**os.environ, "FER_CACHE": str(tmp_path)}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and done.stderr.startswith("fer: ") and "use --devices 1" in done.stderr
    assert not (tmp_path / "runs").exists()


#: Environment of one process, options beside it, and what the line must hold that refuses them.
MISCOUNTED = {
    "torchrun of two, one device": ("torchrun", {"WORLD_SIZE": "2"}, (), ["torchrun started 2 processes", "--devices 1"]),
    "torchrun of two, three devices": ("torchrun", {"WORLD_SIZE": "2"}, ("--devices", 3), ["started 2", "--devices 3"]),
    "torchrun of one, two machines": ("torchrun", {"WORLD_SIZE": "1"}, ("--num-nodes", 2), ["started 1", "--num-nodes 2"]),
    "srun of two, one device": ("srun", {"NTASKS": "2"}, (), ["SLURM_NTASKS=2", "--devices 1", "--ntasks-per-node=1"]),
    "srun of two, three devices": ("srun", {"NTASKS": "2"}, ("--devices", 3), ["SLURM_NTASKS=2", "--ntasks-per-node=3"]),
    "srun of two on one machine": ("srun", {"NTASKS": "2", "NTASKS_PER_NODE": "2", "NNODES": "1"}, ("--num-nodes", 2),
                                   ["SLURM_NTASKS_PER_NODE=2, SLURM_NNODES=1", "--nodes=2 --ntasks-per-node=1"]),
    "tasks a node untold": ("srun", {"NTASKS": "2", "NNODES": "1"}, ("--devices", 2), ["SLURM_NTASKS_PER_NODE=)"]),
    "two devices in a script of one task": ("script", {"NTASKS": "1"}, ("--devices", 2), ["SLURM_NTASKS=1", "by srun"]),
}  # fmt: skip


def in_environment(monkeypatch: pytest.MonkeyPatch, way: str, values: dict[str, str]) -> None:
    """What torchrun, srun or a shell of a SLURM job tell a process."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    if way == "torchrun":
        values = {"TORCHELASTIC_RUN_ID": "one", "RANK": "0", "LOCAL_RANK": "0", **values}
    else:
        usual = {"JOB_ID": "7", "JOB_NAME": "train", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
        usual |= {"STEP_ID": "0"} if way == "srun" else {}
        values = {f"SLURM_{key}": value for key, value in (usual | values).items()}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", MISCOUNTED)
def test_other_processes_than_the_options_count_are_refused(kind, fer, data, tmp_path, monkeypatch):
    way, values, options, words = MISCOUNTED[kind]
    in_environment(monkeypatch, way, values)
    where = ["--data", data, "--runs", tmp_path / "runs", "--accelerator", "cpu"]
    outcome = fer("train", "baseline", *where, *settings(), *options)
    (line,) = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "") and [word for word in words if word not in line] == [], line
    assert not (tmp_path / "runs").exists()


#: A single process in a shell of a job that has room for more: a script, one without tasks a node, an interactive shell.
SHELLS = {
    "script": ("script", {"NTASKS": "2", "NTASKS_PER_NODE": "2", "NNODES": "1"}),
    "script without tasks a node": ("script", {"NTASKS": "4", "NNODES": "2"}),
    "interactive": ("srun", {"NTASKS": "2", "NNODES": "2", "JOB_NAME": "interactive"}),
    "srun of one": ("srun", {"NTASKS": "1", "NTASKS_PER_NODE": "2", "NNODES": "1"}),
    "torchrun of one": ("torchrun", {"WORLD_SIZE": "1"}),
}


@pytest.mark.parametrize("kind", SHELLS)
def test_a_single_process_trains_in_a_shell_of_a_job(kind, fer, data, tmp_path, monkeypatch):
    in_environment(monkeypatch, *SHELLS[kind])
    outcome = fer("train", "baseline", "--data", data, "--runs", tmp_path, "--accelerator", "cpu", *settings())
    assert outcome.code == 0, outcome.err
    assert (Path(outcome.out.strip()) / "best.pth").exists()


class _SeveralProcesses:
    """Stands for Fabric where there are two devices; counts how often they wait for one another."""

    world_size = 2

    def __init__(self, kind: str) -> None:
        self.device, self.waits = SimpleNamespace(type=kind), 0

    def all_reduce(self, value: torch.Tensor, reduce_op: str) -> torch.Tensor:
        self.waits += 1
        return torch.full_like(value, 15.0)  # another process was told to end


@pytest.mark.parametrize(("kind", "asked_at"), [("cpu", list(range(1, 26))), ("cuda", [10, 20])])
def test_several_gpus_do_not_wait_for_one_another_at_every_step(kind, asked_at, monkeypatch):
    monkeypatch.setattr(fit.torch, "tensor", lambda value, device: torch.zeros(()))
    fabric, hooks = _SeveralProcesses(kind), fit.Hooks(lambda *_: None, lambda _: None)
    answers = {step: fit.asked_to_stop(fabric, hooks, step) for step in range(1, 26)}
    assert [step for step, answer in answers.items() if answer == 15] == asked_at
    assert fabric.waits == len(asked_at)
