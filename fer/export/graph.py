"""The network that is exported: from grey bytes to logits, with what Grad-CAM needs beside them.

Grad-CAM weighs the channels of a map by the mean gradient of a logit (Selvaraju et al. 2017). Behind the map most networks
have nothing but pooling and a few dense layers, whose gradient is a formula of their weights; so it is part of the graph,
and whoever runs it needs no gradients.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fer.card import Card
from fer.data.preprocess import model_input, standardise
from fer.models.folding import folded
from fer.types import FACE_SIZE

#: A shift of a whole channel passes them unchanged, so the sum of gradients over a channel's places does so, too.
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Dropout, nn.Identity)


def _through_linear(module: nn.Linear, _given: torch.Tensor, _answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    return grad @ module.weight


def _through_norm(module: nn.BatchNorm1d, _given: torch.Tensor, _answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    assert module.running_var is not None
    return grad * (module.weight / (module.running_var + module.eps).sqrt())


def _through_relu(_module: nn.Module, _given: torch.Tensor, answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    return grad * (answer > 0).to(grad)[:, None]


def _through_hardswish(_module: nn.Module, given: torch.Tensor, _answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    slope = torch.where(given <= -3, 0.0, torch.where(given >= 3, 1.0, given / 3 + 0.5))
    return grad * slope[:, None]


def _through_layer_norm(module: nn.LayerNorm, given: torch.Tensor, _answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    flat = given.flatten(1)
    deviation = (flat.var(dim=1, unbiased=False, keepdim=True) + module.eps).sqrt()
    scaled, grad = ((flat - flat.mean(dim=1, keepdim=True)) / deviation)[:, None], grad * module.weight
    along = scaled * (grad * scaled).mean(dim=2, keepdim=True)
    return (grad - grad.mean(dim=2, keepdim=True) - along) / deviation[:, None]


def _unchanged(_module: nn.Module, _given: torch.Tensor, _answer: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    return grad


#: How a gradient comes back through a dense layer of a head; layers of other kinds have no formula here.
PULLS: tuple[tuple[type[nn.Module], Any], ...] = (
    (nn.Linear, _through_linear),
    (nn.BatchNorm1d, _through_norm),
    (nn.LayerNorm, _through_layer_norm),
    (nn.ReLU, _through_relu),
    (nn.Hardswish, _through_hardswish),
    (nn.Dropout, _unchanged),
    (nn.Identity, _unchanged),
)


@dataclass(frozen=True, eq=False)
class _Call:
    """A module that ran, what it was given and what it answered."""

    module: nn.Module
    given: torch.Tensor
    answer: torch.Tensor

    @property
    def is_dense(self) -> bool:
        """True where height and width are gone."""
        return self.given.ndim == 2 or (self.given.shape[2:] == (1, 1) and isinstance(self.module, nn.LayerNorm))

    @property
    def is_known(self) -> bool:
        """True where a gradient comes back by a formula."""
        return isinstance(self.module, tuple(kind for kind, _ in PULLS) if self.is_dense else _POOLS)

    def pull(self, grad: torch.Tensor) -> torch.Tensor:
        """float32 (N, C, E), the gradient of what was answered → (N, C, D), of what was given."""
        pulled: torch.Tensor = next(pull for kind, pull in PULLS if isinstance(self.module, kind))(
            self.module, self.given, self.answer, grad
        )
        return pulled


class Graph(nn.Module):
    """The form that is exported: uint8 (N, 1, 48, 48) → logits (N, C), already divided by the card's temperature.

    With ``maps`` also features (N, K, h, w) and weights (N, C, K), of which Grad-CAM is the weighted sum.

    Args:
        model: in evaluation mode; a copy with folded batch norms is kept.
        card: what the model is.
        maps: give features and weights; :func:`lacks_maps` says whether that is possible.
    """

    def __init__(self, model: nn.Module, card: Card, *, maps: bool) -> None:
        super().__init__()
        example = standardise(torch.full((1, 1, FACE_SIZE, FACE_SIZE), 0.5), card.preprocess)
        self.net = _out_of_place(folded(copy.deepcopy(model).cpu(), example, card.spec.cam_layers)).requires_grad_(False)
        self.layer, self.preprocess, self.temperature = card.spec.cam_layers[0], card.preprocess, card.temperature
        self.maps = maps

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits, and features and weights where they are wanted."""
        inputs = model_input(faces, self.preprocess)
        if not self.maps:
            return (self.net(inputs) / self.temperature,)
        with _recorded(self.net, self.layer) as calls:
            logits = self.net(inputs)
        return logits / self.temperature, calls[0].answer, _mean_gradients(calls, logits)


@contextmanager
def _recorded(net: nn.Module, first: str) -> Iterator[list[_Call]]:
    """Calls of the module named ``first`` and of every innermost module that runs after it, in order."""
    calls: list[_Call] = []
    start = net.get_submodule(first)
    inside = set(start.modules())

    def note(module: nn.Module, given: tuple[torch.Tensor, ...], answer: torch.Tensor) -> None:
        if module is start or (calls and module not in inside):
            calls.append(_Call(module, given[0], answer))

    modules = [start, *(m for m in net.modules() if m is not start and not list(m.children()))]
    handles = [module.register_forward_hook(note) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _mean_gradients(calls: list[_Call], logits: torch.Tensor) -> torch.Tensor:
    """float32 (N, C, K): mean over the places of each channel of the gradient of each logit."""
    features = calls[0].answer
    # shape[0], not len(): an exported graph takes batches of every size
    grad = torch.eye(logits.shape[1]).expand(logits.shape[0], -1, -1)
    for call in reversed([call for call in calls[1:] if call.is_dense]):
        grad = call.pull(grad)
    # a flattened map has several places a channel, a pooled one has one
    summed = grad.reshape(logits.shape[0], logits.shape[1], features.shape[1], -1).sum(-1)
    return summed / (features.shape[2] * features.shape[3])


@torch.no_grad()
def lacks_maps(model: nn.Module, card: Card) -> str:
    """Why no Grad-CAM can be part of the graph, in words; empty where it can.

    The formula is compared with autograd on random faces, so that what an architecture does between its modules counts, too.
    """
    if len(card.spec.cam_layers) != 1:
        return f"its maps come from {len(card.spec.cam_layers)} layers"
    model = _out_of_place(copy.deepcopy(model).cpu())
    drawn = torch.randint(0, 256, (4, 1, FACE_SIZE, FACE_SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inputs = model_input(drawn, card.preprocess)
    with _recorded(model, card.spec.cam_layers[0]) as calls:
        logits = model(inputs)
    if calls[0].answer.ndim != 4:
        return "its layer for maps gives tokens, not places"
    strange = [type(call.module).__name__ for call in calls[1:] if not call.is_known]
    if strange:
        return f"between its map and its logits stands {', '.join(dict.fromkeys(strange))}"
    try:
        found = _mean_gradients(calls, logits)
    except RuntimeError:
        return "its head is not made of pooling and dense layers alone"
    _, expected = gradients(model, card.spec.cam_layers[0], inputs)
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max())):
        return "the gradient of its head is no formula of its layers"
    return ""


def _out_of_place(model: nn.Module) -> nn.Module:
    """The same network, none of whose modules overwrites what it is given: the formulas need it."""
    for module in model.modules():
        if getattr(module, "inplace", False):
            vars(module)["inplace"] = False
    return model


def gradients(model: nn.Module, layer: str, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, K, h, w) of a layer, and mean gradients (N, C, K) of the logits there, from backward passes."""
    kept: list[torch.Tensor] = []

    def start_here(_module: nn.Module, _given: object, answer: torch.Tensor) -> torch.Tensor:
        kept.append(answer.detach().requires_grad_())
        return kept[0].clone()

    handle = model.get_submodule(layer).register_forward_hook(start_here)
    with torch.enable_grad():
        try:
            logits = model(inputs)
        finally:
            handle.remove()
        rows = [torch.autograd.grad(logits[:, c].sum(), kept[0], retain_graph=True)[0] for c in range(logits.shape[1])]
    return kept[0].detach(), torch.stack([row.mean(dim=(2, 3)) for row in rows], dim=1)
