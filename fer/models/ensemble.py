"""``ensemble``: several networks that answer as one; its logits are the logarithm of their mean probabilities."""

from collections.abc import Sequence

import torch
from torch import nn

from fer.data.preprocess import standardise
from fer.models.entry import MODELS, Member, ModelEntry, Variant
from fer.types import Preprocess

#: Faces arrive as plain 0..1 grey; every member brings them to its own input.
UNIT = Preprocess(mean=(0.0,), std=(1.0,))

#: Members of an ensemble that is trained from scratch.
DEFAULT_MEMBERS: tuple[Member, ...] = tuple({"architecture": name, "variant": "small"} for name in ("baseline", "custom_cnn"))


class Ensemble(nn.Module):
    """Networks with their inputs and weights: (N, 1, 48, 48) in 0..1 → (N, classes).

    Args:
        members: networks that map their own input to logits of the same classes.
        inputs: the input of every member.
        weights: share of every member's probabilities, > 0; they are brought to a sum of 1.
        temperatures: what divides every member's logits; 1 where None.

    >>> net = Ensemble([nn.Flatten()] * 2, [Preprocess(16)] * 2, [1, 3])
    >>> net(torch.rand(2, 1, 48, 48)).exp().sum(1).round(decimals=4)
    tensor([1., 1.])
    """

    shares: torch.Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        inputs: Sequence[Preprocess],
        weights: Sequence[float],
        temperatures: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.inputs = tuple(inputs)
        self.temperatures = tuple(temperatures or [1.0] * len(members))
        self.register_buffer("shares", torch.tensor(weights, dtype=torch.float32) / sum(weights), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logarithm of the weighted mean of the members' probabilities (their arithmetic mean)."""
        pixels = pixels.float()  # a loop in a half format hands over its own, and members standardise by themselves
        parts = zip(self.members, self.inputs, self.temperatures, strict=True)
        scores = [(member(standardise(pixels, own)).float() / t).log_softmax(1) for member, own, t in parts]
        return (torch.stack(scores) + self.shares.log().view(-1, 1, 1)).logsumexp(0)


def member_form(member: Member) -> Variant:
    """The registered form of a member; KeyError or UnknownNameError where there is none."""
    return MODELS[member["architecture"]].form(member["variant"])


def member_input(member: Member) -> Preprocess:
    """The member's own input: as described, or the one of its form."""
    return Preprocess.from_dict(member["preprocess"]) if "preprocess" in member else member_form(member).preprocess


def compose(members: Sequence[Member]) -> Variant:
    """The form of an ensemble: of every member architecture and variant; preprocess and weight where they differ."""
    forms = [member_form(member) for member in members]

    def build(classes: int, dropout: float) -> Ensemble:
        nets = [form.build(classes, dropout) for form in forms]
        weights, temperatures = ([float(m.get(key, 1.0)) for m in members] for key in ("weight", "temperature"))
        return Ensemble(nets, [member_input(m) for m in members], weights, temperatures)

    layers = tuple(f"members.{i}.{layer}" for i, form in enumerate(forms) for layer in form.cam_layers)
    reshape = next((form.reshape for form in forms if form.reshape), None)
    return Variant(build, UNIT, layers, head=f"members.{len(forms) - 1}.{forms[-1].head}", fixed_size=True, reshape=reshape)


MODELS.add(
    "ensemble",
    ModelEntry(
        "ensemble",
        summary="several networks, their probabilities averaged; made by `fer ensemble`",
        reference="Pramerdorfer & Kampel 2016 (arXiv:1612.02903)",
        variants={"small": compose(DEFAULT_MEMBERS)},
        compose=compose,
    ),
)
