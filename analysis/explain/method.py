"""What an explanation method is, what it is asked, and the care every one is run with."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import nn

from fer.aim import Aim
from fer.exact import exact
from fer.models import Variant
from fer.models.ensemble import Ensemble
from fer.portable.maps import ROUNDING
from fer.registry import Registry


@dataclass(frozen=True, eq=False)
class Maps:
    """Result of a method for a batch: values float32 (N, S, S) in 0..1, raw peaks float32 (N,) ≥ 0, logits float32 (N, C)."""

    values: torch.Tensor
    peaks: torch.Tensor
    logits: torch.Tensor


@dataclass(frozen=True, eq=False)
class Layers:
    """Where a network's maps are read: modules by name, and what brings their outputs to (N, D, h, w) if they are not.

    ``grey`` is what the mean grey of faces is in each channel of the network's input: what stands for "nothing there".
    """

    modules: tuple[nn.Module, ...]
    names: tuple[str, ...]
    reshape: Callable[[torch.Tensor], torch.Tensor] | None = None
    grey: tuple[float, ...] = (0.0,)

    @classmethod
    def of(cls, model: nn.Module, spec: Variant, names: Sequence[str] = ()) -> Self:
        """The layers that an architecture declares, or those named, found in its network; AttributeError for no such layer."""
        chosen = tuple(names or spec.cam_layers)
        return cls(tuple(model.get_submodule(name) for name in chosen), chosen, spec.reshape)

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """What a layer answers as (N, D, h, w)."""
        return self.reshape(output) if self.reshape else output


@torch.no_grad()
def outputs_of(model: nn.Module, inputs: torch.Tensor, layers: Layers) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits, and what each layer answers, as it does."""
    kept: dict[nn.Module, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda module, _, output: kept.update({module: output.clone()}))
        for module in layers.modules
    ]
    try:
        logits = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return logits, [kept[module] for module in layers.modules]


def score_weights(aim: Aim, logits: torch.Tensor) -> torch.Tensor:
    """float32 (N, C) on the logits' device; see :meth:`fer.aim.Aim.weights`."""
    return torch.from_numpy(aim.weights(logits.detach().float().cpu().numpy())).to(logits.device)


#: What a method looks at beside the answers: layers that can be named, nothing (or all layers at once), or attention.
Reads = Literal["layers", "pixels", "attention"]

#: model, standardised input (N, C, S, S), layers to read, what to explain → maps
Run = Callable[[nn.Module, torch.Tensor, Layers, Aim], Maps]


@dataclass(frozen=True)
class Method:
    """An explanation method.

    Attributes:
        run: makes the maps; the network is in evaluation mode, its parameters need no gradient.
        summary: one line for a person.
        reference: the paper.
        follows_target: False where the map is the same for every class.
        passes: forward passes a face, roughly; what makes a method fast or slow.
        reads: what it looks at in a network, and what the network must therefore have.
    """

    run: Run
    summary: str
    reference: str
    follows_target: bool = True
    passes: str = "1"
    reads: Reads = "layers"

    def fits(self, model: nn.Module) -> bool:
        """Whether a network has what this method reads, an ensemble in every member."""
        nets = model.members if isinstance(model, Ensemble) else (model,)
        return self.reads != "attention" or all(map(attention_of, nets))


METHODS: Registry[Method] = Registry("explanation method")


def register_method(
    name: str, summary: str, reference: str, *, follows_target: bool = True, passes: str = "1", reads: Reads = "layers"
) -> Callable[[Run], Run]:
    """Enter a function as a method; ValueError where the name is taken."""

    def enter(run: Run) -> Run:
        METHODS.add(name, Method(run, summary, reference, follows_target, passes, reads))
        return run

    return enter


def attention_of(model: nn.Module) -> list[nn.MultiheadAttention]:
    """The attention layers of torch in a network, from the first to the last."""
    return [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]


def unit(raw: torch.Tensor) -> torch.Tensor:
    """Each map's range stretched to 0..1, as in the grad-cam package; flat maps stay flat, rounding apart.

    >>> unit(torch.tensor([[[0.5, 0.5 + 1e-7]]])).tolist()
    [[[0.0, 0.0]]]
    >>> unit(torch.tensor([[[0.0, 2.0], [1.0, 4.0]]])).round(decimals=4).tolist()
    [[[0.0, 0.5], [0.25, 1.0]]]
    """
    shifted = raw - raw.amin(dim=(1, 2), keepdim=True)
    span, size = (values.amax(dim=(1, 2), keepdim=True) for values in (shifted, raw.abs()))
    return torch.where(span > ROUNDING * size, shifted / (1e-7 + span), 0.0)


def resized(values: torch.Tensor, size: int) -> torch.Tensor:
    """Maps (N, S, S) at another size (N, size, size), as means over areas."""
    return values if values.shape[-1] == size else F.interpolate(values[:, None], size=(size, size), mode="area")[:, 0]


def finished(raw: Sequence[torch.Tensor], size: int, logits: torch.Tensor) -> Maps:
    """Raw maps (N, h, w) of one or more layers: negative parts dropped, stretched, enlarged to ``size``, averaged."""
    positive = [layer.clamp(min=0) for layer in raw]
    large = [
        F.interpolate(unit(layer)[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0] for layer in positive
    ]
    peaks = torch.stack([layer.amax(dim=(1, 2)) for layer in positive]).mean(0)
    return Maps(unit(torch.stack(large).mean(0)), peaks, logits)


_ONE_AT_A_TIME = threading.RLock()
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; modes, gradients, their flags and hooks as before afterwards, also after an error.

    One at a time: what is put back would else be what another thread has just set.
    """
    with _ONE_AT_A_TIME:
        yield from _untouched(model)


def _untouched(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    hooks = [(getattr(module, kind), set(getattr(module, kind))) for module in model.modules() for kind in _HOOKS]
    model.eval().requires_grad_(False)
    try:
        with torch.enable_grad(), exact():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad).grad = grad
        for hooked, before in hooks:
            for key in set(hooked) - before:
                del hooked[key]
