"""What a network's first layer answers to, as it meets a grey face."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from fer.checkpoint import Checkpoint
from fer.errors import ConfigError
from fer.models.ensemble import DEFAULT_MEMBERS, Ensemble, member_input
from fer.types import FloatArray, Preprocess

#: Norm of a filter that hardly answers, in parts of the strongest.
_FAINT = 0.1


@dataclass(frozen=True, eq=False)
class FilterBank:
    """The filters of a first convolution, or a transformer's patch embedding, the strongest first.

    Attributes:
        layer: dotted name of the module.
        weights: float32 (F, h, w): answer to one pixel that rises from black (0) to white (1), bias left out; channels that
            repeat the grey face are summed.
        places: F positions of the filters in the layer.
        member: what tells apart the networks of an ensemble, or empty.
    """

    layer: str
    weights: FloatArray
    places: tuple[int, ...]
    member: str = ""

    @property
    def norms(self) -> FloatArray:
        """float32 (F,), Euclidean norms, falling."""
        return np.asarray(np.sqrt((self.weights.astype(np.float64) ** 2).sum(axis=(1, 2))), dtype=np.float32)

    @property
    def brightness(self) -> FloatArray:
        """float32 (F,), 0..1: share of a filter's squared weights that answers to even brightness; 0: to differences alone."""
        weights = self.weights.reshape(len(self.weights), -1).astype(np.float64)
        even, squares = weights.sum(axis=1) ** 2 / weights.shape[1], (weights**2).sum(axis=1)
        return np.asarray(np.divide(even, squares, out=np.zeros_like(even), where=squares > 0), dtype=np.float32)

    def summary(self) -> dict[str, Any]:
        """Statistics of all filters; ``faint`` are those whose norm is below a tenth of the strongest."""
        norms, brightness = self.norms, self.brightness
        figures = {
            "strongest": float(norms[0]),
            "median": float(np.median(norms)),
            "weakest": float(norms[-1]),
            "faint": int((norms < _FAINT * norms[0]).sum()),
            "brightness": float(np.median(brightness)),
        }
        return {"member": self.member, "layer": self.layer, "n": len(norms), "size": list(self.weights.shape[1:])} | figures

    def to_dict(self, shown: int) -> dict[str, Any]:
        """Plain JSON form: the summary, all norms, and the ``shown`` strongest filters to four decimals."""
        values = [[[round(float(v), 4) for v in row] for row in one] for one in self.weights[:shown]]
        norms, brightness = ([round(float(v), 4) for v in one] for one in (self.norms, self.brightness))
        return self.summary() | {"places": list(self.places), "norms": norms, "brightnesses": brightness, "filters": values}


def first_filters(checkpoint: Checkpoint) -> tuple[FilterBank, ...]:
    """The filters of the first layer, for an ensemble of every member; ConfigError where a network has no convolution.

    >>> from fer.checkpoint import load
    >>> [(bank.layer, bank.weights.shape) for bank in first_filters(load("baseline"))]
    [('conv1.0', (32, 3, 3))]
    """
    return tuple(_bank(*network) for network in _networks(checkpoint))


def _networks(checkpoint: Checkpoint) -> Iterator[tuple[nn.Module, Preprocess, str, str]]:
    """Each network with its input, where it stands in the checkpoint's, and its name."""
    model, card = checkpoint.model, checkpoint.card
    if not isinstance(model, Ensemble):
        yield model, card.preprocess, "", ""
        return
    for i, (member, net) in enumerate(zip(card.members or DEFAULT_MEMBERS, model.members, strict=True)):
        yield net, member_input(member), f"members.{i}.", f"{i + 1} {member['architecture']}"


def _bank(model: nn.Module, preprocess: Preprocess, prefix: str, member: str) -> FilterBank:
    # modules stand in the order in which they are used, at least the first of them (tests/contracts/test_features.py)
    name, layer = next(((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)), ("", None))
    if layer is None:
        raise ConfigError(f"the network {member or 'given'} has no convolution and so no filters; choose another checkpoint")
    weights = layer.weight.detach().cpu().numpy() / np.array(preprocess.std, dtype=np.float32)[:, None, None]
    grey = weights.sum(axis=1)
    order = np.argsort(-(grey.astype(np.float64) ** 2).sum(axis=(1, 2)), kind="stable")
    return FilterBank(prefix + name, grey[order].astype(np.float32), tuple(order.tolist()), member)
