"""Everything that changes during a run, and how it is carried over a stop."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fer.config import RunConfig
from fer.errors import ConfigError
from fer.schedules import Plateau
from fer.training.ema import Average
from fer.training.fabric import Fabric
from fer.training.freezing import stages
from fer.training.history import Epoch, History
from fer.training.optimizers import make_optimizer
from fer.training.plan import Plan
from fer.training.tally import DivergedError, Tally


@dataclass(eq=False)
class Trainer:
    """The moving parts. :func:`fer.training.fit.fit` moves them on; :meth:`state` and :meth:`restore` carry them over a stop.

    All randomness derives from (seed, epoch, step), so that no random state is among them.

    Attributes:
        net: the network that learns.
        model: the same, called through Fabric (number format, gradients shared between processes).
        optimizer: with its momenta.
        average: the network that is evaluated and kept.
        by_stage: parameter names from the input to the head.
        plateau: memory of the plateau schedule.
        history: finished epochs.
        tally: sums over the present epoch.
        validated: sums over the validation faces after the last epoch.
        step: steps done in the present epoch.
        seconds: time spent in the present epoch.
        rate_factor: 1, halved whenever the run was rolled back.
    """

    net: nn.Module
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    by_stage: list[list[str]]
    plateau: Plateau
    history: History
    tally: Tally
    validated: Tally
    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0

    @property
    def epoch(self) -> int:
        """The present epoch, from 1."""
        return len(self.history) + 1

    def state(self, tally: Tally | None = None) -> dict[str, Any]:
        """Plain values and tensors from which :meth:`restore` continues exactly; ``tally`` stands in for the own one.

        Raises:
            DivergedError: a weight is not finite: such a state is never kept.
        """
        self.check()
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average_steps": self.average.steps,
            "plateau": dataclasses.asdict(self.plateau),
            "history": [dataclasses.asdict(epoch) for epoch in self.history],
            "history_since": self.history.since,
            "tally": (tally or self.tally).state(),
            "step": self.step,
            "seconds": self.seconds,
            "rate_factor": self.rate_factor,
        }

    def check(self) -> None:
        """Wait for the device and raise DivergedError where a weight or its average is not finite."""
        for kind, model in (("weight", self.net), ("averaged weight", self.average.model)):
            weights = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
            if torch.stack(torch._foreach_norm(list(weights.values()))).isfinite().all():
                continue  # the fast way; squares may overflow where weights do not
            for name, value in weights.items():
                if not value.isfinite().all():
                    raise DivergedError(f"the {kind} {name} is not finite after step {self.step} of epoch {self.epoch}")

    def restore(self, state: dict[str, Any], average: dict[str, torch.Tensor]) -> None:
        """Inverse of :meth:`state`; ``average`` are the weights that the checkpoint itself holds."""
        self.net.load_state_dict(state["model"])
        if [group.keys() for group in state["optimizer"]["param_groups"]] != [g.keys() for g in self.optimizer.param_groups]:
            raise ValueError("it belongs to another optimizer")
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.model.load_state_dict(average)
        self.average.steps = int(state["average_steps"])
        self.plateau = Plateau(**state["plateau"])
        self.history.epochs = [Epoch(**row) for row in state["history"]]
        self.history.since = int(state.get("history_since", 0))  # which older states do not have
        self.tally = Tally.restored(state["tally"], self.tally.loss.device)
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        self.rate_factor = float(state["rate_factor"])


def make_trainer(fabric: Fabric, model: nn.Module, plan: Plan) -> Trainer:
    """Model, optimizer and average on the device, nothing done yet.

    Raises:
        ConfigError: synchronised batch norm without a GPU.
    """
    config = plan.config
    net = _prepared(fabric, model, config).to(fabric.device)
    net.to(memory_format=plan.format_on(fabric.device.type).memory)
    average = Average(net, config.optimizer.ema)
    by_stage = stages(net, *plan.spec.heads)
    optimizer = make_optimizer(net, config.optimizer, by_stage)
    plan.freeze(net, by_stage, 1)
    model, optimizer = fabric.setup(net, optimizer)
    floor = min(1.0, config.schedule.min_lr / config.optimizer.lr)
    return Trainer(
        net,
        model,
        optimizer,
        average,
        by_stage,
        Plateau(config.schedule.factor, config.schedule.patience, floor),
        History(monitor=config.early_stopping.monitor),
        tally=Tally.empty(len(config.classes), fabric.device),
        validated=Tally.empty(len(config.classes), fabric.device),
    )


def _prepared(fabric: Fabric, model: nn.Module, config: RunConfig) -> nn.Module:
    if not config.sync_batchnorm:
        return model
    if fabric.device.type != "cuda":
        raise ConfigError("sync_batchnorm needs GPUs, this run has none; leave it off")
    synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return synced
