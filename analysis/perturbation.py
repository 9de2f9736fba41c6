"""Does a map name the pixels that matter? Measured by taking them away, or by leaving nothing else.

All work on faces of 48×48 pixels in 0..1, before they are enlarged to a network's input, so that networks of all input sizes
are asked alike; scores are the calibrated probability of the class that the map explains.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from fer.checkpoint import Checkpoint
from fer.data.preprocess import standardise
from fer.exact import exact
from fer.registry import Registry
from fer.types import Preprocess

#: Parts of the face that are taken away one after the other for deletion and insertion.
STEPS = 16
#: Percentiles of a map above or below which ROAD takes pixels away.
PERCENTILES = (20, 40, 60, 80)
#: Grey that stands for a missing pixel: the mean of the Training split, as inputs are standardised with.
GREY = Preprocess().mean[0]
#: Standard deviation in pixels of a blur that leaves no expression; the kernel reaches three of them.
_BLUR = 6.0
_BATCH = 256


class Scores(nn.Module):
    """Calibrated probabilities float32 (N, C) of faces float32 (N, 1, 48, 48) in 0..1."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.net, self.card = checkpoint.runner, checkpoint.card
        weights = next(checkpoint.model.parameters(), None)
        self.device = torch.device("cpu") if weights is None else weights.device  # what has no weights is anywhere

    @torch.no_grad()
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """In batches of bounded size, each brought to the network's device; the answer lies where the faces do."""
        batches = (standardise(batch.to(self.device), self.card.preprocess) for batch in torch.split(pixels, _BATCH))
        with exact():
            parts = [(self.net(batch).float() / self.card.temperature).softmax(1) for batch in batches]
        return torch.cat(parts).to(pixels.device)

    def of(self, pixels: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """float32 (N,), each face's probability of its target int64 (N,)."""
        scores: torch.Tensor = self(pixels)
        return scores.gather(1, targets[:, None])[:, 0]


#: scores, faces (N, 1, 48, 48), maps float32 (N, 48, 48), targets (N,) → one value a face
Run = Callable[[Scores, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Measure:
    """A measure of faithfulness.

    Attributes:
        run: takes it.
        higher_is_better: which way is better.
        ranks: True where only the order of a map's pixels counts. The others favour maps that are warm over much of the
            face, whatever it is, and are no part of a verdict.
        summary: what it says, in one line.
        reference: the paper.
    """

    run: Run
    higher_is_better: bool
    ranks: bool
    summary: str
    reference: str


MEASURES: Registry[Measure] = Registry("measure of faithfulness")


def _enter(name: str, measure: Callable[[Run], Measure]) -> Callable[[Run], Run]:
    def enter(run: Run) -> Run:
        MEASURES.add(name, measure(run))
        return run

    return enter


_PETSIUK, _CHATTOPADHAY = "Petsiuk et al. 2018 (arXiv:1806.07421)", "Chattopadhay et al. 2018 (arXiv:1710.11063)"


def ranks(maps: torch.Tensor) -> torch.Tensor:
    """float32 (N, 48, 48) in 0..1: the share of pixels that are hotter; equal pixels in a fixed random order.

    >>> ranks(torch.tensor([[[0.1, 0.9], [0.5, 0.3]]])).tolist()
    [[[0.75, 0.0], [0.25, 0.5]]]
    """
    flat = maps.flatten(1)
    # reading order would make an empty map a careful sweep from the forehead down
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0))
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    place = torch.arange(flat.shape[1], dtype=torch.float32).expand_as(flat) / flat.shape[1]
    return torch.empty(flat.shape).scatter_(1, order, place).reshape(maps.shape)


def curve(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor, *, insertion: bool) -> torch.Tensor:
    """float32 (N, STEPS + 1): the score after each part, hottest pixels first, was taken away (or put in)."""
    order = ranks(maps)[:, None]
    start = blurred(pixels) if insertion else pixels
    end = pixels if insertion else torch.full_like(pixels, GREY)
    # one state at a time: all of them are seventeen times the faces
    found = [scores.of(torch.where(order < step / STEPS, end, start), targets) for step in range(STEPS + 1)]
    return torch.stack(found, dim=1)


def blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Faces (N, 1, H, W) with skin and hair left and no expression, at any size above the reach of the blur."""
    radius = int(3 * _BLUR)
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / _BLUR) ** 2)
    line = line / line.sum()
    padded = F.pad(pixels, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))


def area(curves: torch.Tensor) -> torch.Tensor:
    """Area under each curve (N, K) over 0..1 by the trapezoid rule."""
    return torch.trapezoid(curves, dx=1 / (curves.shape[1] - 1), dim=1)


@_enter("deletion", lambda run: Measure(run, False, True, "score left while the hottest pixels turn grey", _PETSIUK))
def deletion(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Area under the score while the hottest pixels are taken away, 0..1."""
    return area(curve(scores, pixels, maps, targets, insertion=False))


@_enter("insertion", lambda run: Measure(run, True, True, "score while the hottest pixels return to a blurred face", _PETSIUK))
def insertion(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Area under the score while the hottest pixels are put into a blurred face, 0..1."""
    return area(curve(scores, pixels, maps, targets, insertion=True))


@_enter("average drop", lambda run: Measure(run, False, False, "score lost where cold pixels fade to grey", _CHATTOPADHAY))
def average_drop(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of the score, as a share of it, when the face is faded to grey where the map is cold; gains count 0."""
    before, after = scores.of(pixels, targets), scores.of(_faded(pixels, maps), targets)
    return ((before - after) / before).clamp(min=0)


@_enter("increase", lambda run: Measure(run, True, False, "faces whose score rises where cold pixels fade", _CHATTOPADHAY))
def increase(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """1 where fading the cold pixels to grey raises the score, else 0."""
    return (scores.of(_faded(pixels, maps), targets) > scores.of(pixels, targets)).float()


def _faded(pixels: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    return GREY + (pixels - GREY) * maps[:, None]


@_enter(
    "ROAD",
    lambda run: Measure(
        run, True, True, "score lost without the hottest rather than the coldest pixels", "Rong et al. 2022 (arXiv:2202.00449)"
    ),
)
def road(scores: Scores, pixels: torch.Tensor, maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over percentiles of half (score without the coldest pixels − score without the hottest), −0.5..0.5.

    The pixels are filled in by the grad-cam package; this is its ROADCombined, with all faces of a percentile in one batch.
    It is given ranks: of a map that is mostly 0 its percentiles would take all pixels, whatever the rest says.
    """
    from pytorch_grad_cam.metrics.road import ROADLeastRelevantFirst, ROADMostRelevantFirst

    found, order = [], 1 - ranks(maps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the filling adds a little noise
        for percentile in PERCENTILES:
            for sign, kind in ((-1, ROADMostRelevantFirst), (1, ROADLeastRelevantFirst)):
                fill = kind(percentile).perturbation
                filled = torch.stack([fill(face.cpu(), heat.cpu()) for face, heat in zip(pixels, order, strict=True)])
                found.append(sign * scores.of(filled.to(pixels.device), targets))
    return torch.stack(found).sum(0) / (2 * len(PERCENTILES))
