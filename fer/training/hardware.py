"""Where a run takes place: devices, processes, number format; by Lightning Fabric."""

import logging
import os
import warnings
from dataclasses import dataclass

import torch

from fer.config import RunConfig
from fer.environment import cores, keep_freed_memory
from fer.errors import ConfigError
from fer.training.fabric import LOGGERS, Fabric, LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from fer.training.plan import Plan

ACCELERATORS = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class Hardware:
    """The devices of a run: ``auto`` takes a GPU where there is one; ``devices`` are counted per node."""

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.accelerator not in ACCELERATORS:
            raise ConfigError(f"unknown accelerator {self.accelerator!r}; known: {', '.join(ACCELERATORS)}")
        if self.devices < 1 or self.nodes < 1:
            raise ConfigError(f"devices={self.devices} and num_nodes={self.nodes} must be 1 or more")
        gpus = torch.cuda.device_count()
        if self.accelerator == "gpu" and not gpus:
            raise ConfigError("no GPU was found here; use --accelerator cpu, or check the driver with nvidia-smi")
        if self.on_gpu and self.devices > gpus:
            raise ConfigError(f"devices={self.devices}, but {gpus} GPUs were found; use --devices {gpus}, or --accelerator cpu")

    @property
    def on_gpu(self) -> bool:
        """True where the run takes GPUs."""
        return self.accelerator != "cpu" and torch.cuda.is_available()

    @property
    def processes(self) -> int:
        """Of all machines together."""
        return self.devices * self.nodes


def check_shares(hardware: Hardware, config: RunConfig, validation: int) -> None:
    """Say before any process is started that several could not share a run.

    Raises:
        ConfigError: torchrun or SLURM has started others than the options count, a process would get fewer than two faces
            a batch or no validation face, or the mode is gradual.
    """
    _check_started(hardware)
    processes = hardware.processes
    if processes == 1:
        return
    if config.mode == "gradual":
        raise ConfigError("--mode gradual changes what learns while it runs, which several processes cannot; use --devices 1")
    if config.batch_size < 2 * processes:
        raise ConfigError(
            f"batch_size={config.batch_size} is shared by {processes} processes, and each needs two faces; "
            f"use --set batch_size={2 * processes} or more"
        )
    if validation < processes:
        raise ConfigError(f"{validation} validation faces cannot be shared by {processes} processes; use fewer --devices")


def _check_started(hardware: Hardware) -> None:
    """ConfigError where torchrun or SLURM has started other processes than the options count.

    Each of them would train a whole run of its own, or wait for others that never come.
    """
    asked, count = f"--devices {hardware.devices} --num-nodes {hardware.nodes}", hardware.processes
    if TorchElasticEnvironment.detect():
        started = int(os.environ["WORLD_SIZE"])
        if started != count:
            raise ConfigError(
                f"torchrun started {started} processes, and {asked} is for {count}; give --devices and --num-nodes the numbers "
                "of its --nproc-per-node and --nnodes"
            )
    elif _is_slurm_task(hardware):
        expected = {"SLURM_NTASKS": count}
        if count > 1:  # what Lightning asks for, too
            expected |= {"SLURM_NTASKS_PER_NODE": hardware.devices, "SLURM_NNODES": hardware.nodes}
        found = {name: os.environ.get(name, "") for name in expected}
        wrong = [f"{name}={found[name]}" for name, number in expected.items() if found[name] != str(number)]
        if wrong:
            raise ConfigError(
                f"SLURM started other tasks ({', '.join(wrong)}) than {asked} is for; start {count} by srun with "
                f"--nodes={hardware.nodes} --ntasks-per-node={hardware.devices}, or change --devices and --num-nodes"
            )


def _is_slurm_task(hardware: Hardware) -> bool:
    """Whether Lightning takes this process for one of SLURM's tasks.

    It takes a script of a job for one, too. Only srun counts steps, and a single process in such a script is well.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Fabric gives the same advice once more
        return SLURMEnvironment.detect() and (hardware.processes > 1 or "SLURM_STEP_ID" in os.environ)


def make_fabric(hardware: Hardware, plan: Plan) -> Fabric:
    """Fabric with all its processes started; each of them runs on from here."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    keep_freed_memory()
    several = hardware.processes > 1
    kind = "cuda" if hardware.on_gpu else "cpu"
    fabric = Fabric(
        accelerator=kind,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy="ddp" if several else "auto",
        precision=plan.format_on(kind).precision,
        # one process needs nobody, and in a script of SLURM must not be taken for one of its tasks
        plugins=None if several else LightningEnvironment(),
    )
    if several and not hardware.on_gpu:  # processes on one machine share its cores
        torch.set_num_threads(max(1, cores() // hardware.devices))
    torch.backends.cudnn.benchmark = hardware.on_gpu  # batches are of the same few shapes throughout
    fabric.launch()
    return fabric
