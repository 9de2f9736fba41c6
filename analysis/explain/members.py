"""The map of an ensemble: the mean of its members' own maps, by their shares, and which of them have none."""

import torch

from analysis.explain.method import Layers, Maps, Method, resized, unit
from fer.aim import Aim
from fer.card import Card
from fer.data.preprocess import standardise
from fer.models.ensemble import DEFAULT_MEMBERS, Ensemble, member_form


def members_without(method: Method, net: Ensemble, card: Card) -> list[str]:
    """Architectures of the members that have not what a method reads."""
    members = zip(net.members, card.members or DEFAULT_MEMBERS, strict=True)
    return [str(described["architecture"]) for member, described in members if not method.fits(member)]


def maps_of_members(method: Method, net: Ensemble, card: Card, pixels: torch.Tensor, aim: Aim) -> Maps:
    """Every member is asked about the class that the ensemble is asked about, at its own layers; means are stretched to 0..1.

    Args:
        method: one that reads layers or attention.
        net: the ensemble, or its faster form.
        card: names the members' architectures.
        pixels: float32 (N, 1, S, S) in 0..1.
        aim: what is explained; ranks are those of the ensemble's answers.
    """
    with torch.no_grad():
        logits = net(pixels)
    said, shares = logits.float().cpu().numpy(), net.shares.tolist()
    against = None if aim.against is None else tuple(aim.contrasts(said).tolist())
    own = Aim(tuple(aim.classes(said).tolist()), against)
    values, peaks = torch.zeros_like(pixels[:, 0]), torch.zeros_like(pixels[:, 0, 0, 0])
    for member, described, preprocess, share in zip(
        net.members, card.members or DEFAULT_MEMBERS, net.inputs, shares, strict=True
    ):
        layers = Layers.of(member, member_form(described))
        maps = method.run(member, standardise(pixels, preprocess), layers, own)
        values += share * resized(maps.values, pixels.shape[-1])
        peaks += share * maps.peaks
    return Maps(unit(values), peaks, logits)
