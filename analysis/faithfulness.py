"""How good a map is: by the pixels that decide, by its dependence on the weights, by its holding still.

Every method stands beside a random map and a centred blob: faces are centred, so that a blob that has not looked scores well,
and a method is worth its time only where it beats it.
"""

import copy
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from analysis.explain import Question, check, explain_set
from analysis.learnt.features import heads
from analysis.means import FEW, Mean, Values
from analysis.perturbation import MEASURES, Scores
from analysis.question import questions
from analysis.sampling import sample
from analysis.similarity import mean_or_none, spearman
from fer import checkpoint as checkpoints
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import model_input, to_unit
from fer.errors import ConfigError, DataError
from fer.evaluation import judge
from fer.metrics import pearson
from fer.types import FloatArray, Progress

#: Methods that are measured where none is named.
DEFAULT_METHODS = ("gradcam", "layercam", "hirescam")
#: Pixels by which a face is moved to see whether its map moves along.
SHIFT = 2
#: Standard deviation of the centred blob in pixels of 48.
_BLOB = 10.0
#: Added to the seed of untrained networks: a training of the same seed began with other weights.
_APART = 10**9
#: Rank correlation with the maps of an untrained network above which a map is said not to depend on the weights.
_DEPENDS_BELOW = 0.5


@dataclass(frozen=True)
class Plan:
    """What is measured: methods, how many faces (a seeded sample), seed, and at which layers.

    Every layer is measured apart, ``each`` is one of every depth; without any, the methods read those that the architecture
    declares.
    """

    methods: tuple[str, ...]
    faces: int = 100
    seed: int = 0
    layers: tuple[str, ...] = ()

    def ways(self, checkpoint: Checkpoint) -> tuple[Question, ...]:
        """Every method at every layer, as questions to one checkpoint; the errors of :func:`analysis.explain.check`."""
        asked = questions(checkpoint, self.methods, None, None, self.layers)
        for question in asked:
            check(checkpoint, question)
        return asked


@dataclass(frozen=True)
class Estimate:
    """:class:`~analysis.means.Mean` of one face or more as faithfulness.json has it; one face is its own interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Values, seed: int) -> "Estimate":
        """Of float64 (N,), without NaN."""
        found = Mean.of(values, seed)
        assert found.mean is not None  # every face has a value
        return cls(found.mean, *(found.ci95 or (found.mean, found.mean)))


@dataclass(frozen=True)
class Rating:
    """One method by one measure: its mean, and how far it is better than each baseline (paired by face; > 0 is better)."""

    value: Estimate
    over_random: Estimate
    over_blob: Estimate


@dataclass(frozen=True)
class Report:
    """One method on one checkpoint.

    Attributes:
        checkpoint: its name.
        method: explanation method.
        ratings: measure → rating.
        head_randomised: mean rank correlation with the maps of the same network with an untrained head, or None.
        all_randomised: the same for a wholly untrained network (Adebayo et al. 2018, arXiv:1810.03292): near 0 is good.
        flip: mean correlation with the map of the mirrored face, mirrored back; 1 is still.
        shift: mean correlation with the map of the face moved by two pixels, moved back.
        other_seed: mean correlation with the maps of another checkpoint, where one is given.
        milliseconds: time a map.
        n: faces asked about.
        layer: where the maps were read, "" for the places that the architecture declares.
    """

    checkpoint: str
    method: str
    ratings: dict[str, Rating]
    head_randomised: float | None
    all_randomised: float | None
    flip: float | None
    shift: float | None
    other_seed: float | None
    milliseconds: float
    n: int
    layer: str = ""

    @property
    def way(self) -> str:
        """Method and layer in one."""
        return f"{self.method} at {self.layer}" if self.layer else self.method

    @property
    def name(self) -> str:
        """Checkpoint, method and layer in one."""
        return f"{self.checkpoint} {self.way}"

    def wins(self, baseline: str) -> int:
        """Measures of rank by which it is better than ``"blob"`` or ``"random"``, the whole interval above 0."""
        ranked = [rating for name, rating in self.ratings.items() if MEASURES[name].ranks]
        return sum((rating.over_blob if baseline == "blob" else rating.over_random).low > 0 for rating in ranked)

    @property
    def verdict(self) -> str:
        """What the figures say, in words."""
        if self.n < FEW:
            return f"{self.n} faces are too few to judge by; give {FEW} or more"
        total = sum(MEASURES[name].ranks for name in self.ratings)
        parts = [f"beats a centred blob by {self.wins('blob')} and a random map by {self.wins('random')} of {total} measures"]
        if self.all_randomised is not None:
            depends = abs(self.all_randomised) < _DEPENDS_BELOW
            parts.append(
                "depends on the weights" if depends else "hardly depends on the weights: it shows the picture, not the model"
            )
        if self.flip is not None:
            parts.append("holds still under mirroring" if self.flip > 0.8 else "moves under mirroring")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "verdict": self.verdict}


def to_dict(reports: Sequence[Report], plan: Plan, split: str, n: int, models: Sequence[Checkpoint] = ()) -> dict[str, Any]:
    """All reports, what was measured on, and which weights the checkpoints' names stand for, as plain JSON values."""
    measures = {name: {k: v for k, v in asdict(MEASURES[name]).items() if k != "run"} for name in MEASURES}
    weights = {model.name: {"checkpoint": model.name, "weights_sha256": model.card.weights_sha256} for model in models}
    about = {"split": split, "n": n, **asdict(plan), "sources": weights, "measures": measures}
    return {**about, "reports": [report.to_dict() for report in reports]}


@dataclass(frozen=True, eq=False)
class Subject:
    """A checkpoint before the faces it is asked about: uint8 images of ``faces``, the same in 0..1, its predictions."""

    checkpoint: Checkpoint
    faces: FaceSet
    pixels: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint, faces: FaceSet, plan: Plan) -> "Subject":
        """A seeded sample of a split and what the checkpoint says of it; DataError where there is no face to judge."""
        known = faces.only(checkpoint.card.classes)
        chosen = known.select(sample(len(known), plan.faces, plan.seed))
        predicted = judge(checkpoint, chosen.images).argmax(1).cpu()
        return cls(checkpoint, chosen, to_unit(chosen.images.cpu()), predicted)

    def first(self) -> "Subject":
        """The same of the first face alone."""
        faces = self.faces.select(torch.arange(1))
        return replace(self, faces=faces, pixels=self.pixels[:1], targets=self.targets[:1])

    def maps(self, way: Question, by: Checkpoint | None = None, images: torch.Tensor | None = None) -> FloatArray:
        """float32 (N, 48, 48) for the predicted classes; of another network or other images where these are given."""
        faces = self.faces if images is None else replace(self.faces, images=images)
        names = tuple(self.checkpoint.card.classes[target] for target in self.targets.tolist())
        _, heatmaps = explain_set(by or self.checkpoint, faces, replace(way, target=names))
        return heatmaps.values.astype(np.float32)

    def measured(self, maps: FloatArray, tick: Callable[[], None] = lambda: None) -> dict[str, Values]:
        """Every measure of these maps: float64 (N,) each."""
        scores, heat = Scores(self.checkpoint), torch.from_numpy(np.ascontiguousarray(maps))
        found = {}
        for name in MEASURES:
            found[name] = MEASURES[name].run(scores, self.pixels, heat, self.targets).double().numpy()
            tick()
        return found


def rate(
    checkpoint: Checkpoint, faces: FaceSet, plan: Plan, other: Checkpoint | None = None, progress: Progress | None = None
) -> tuple[Report, ...]:
    """Measure methods on a sample of a split; maps explain the class that the checkpoint predicts.

    With ``other``, a checkpoint of the same classes but of another seed, its maps are compared, too.

    Raises:
        DataError: no face of a class that the checkpoint knows.
        UnknownNameError: no such method.
        ConfigError: a method does not fit the network.
    """
    ways = plan.ways(checkpoint)
    subject = Subject.of(checkpoint, faces, plan)
    total, done = (len(ways) + 2) * len(MEASURES), itertools.count(1)
    tick = (lambda: progress(next(done), total)) if progress else (lambda: None)
    count = len(subject.faces)
    baselines = [subject.measured(maps, tick) for maps in (random_maps(count, plan.seed), blob_maps(count))]
    untrained = [without_training(subject, whole=whole, seed=plan.seed) for whole in (False, True)]
    reports = []
    for way in ways:
        subject.first().maps(way)  # what a method loads when it is asked first is no part of its pace
        started = time.perf_counter()
        maps = subject.maps(way)
        milliseconds = 1000 * (time.perf_counter() - started) / count
        own = subject.measured(maps, tick)
        ratings = {name: _rating(name, own[name], [b[name] for b in baselines], plan.seed) for name in MEASURES}
        head, all_weights = (mean_or_none(spearman(maps, subject.maps(way, net))) for net in untrained)
        still = (_flip(subject, way, maps), _shift(subject, way, maps))
        seed = None if other is None else mean_or_none(pearson(maps, subject.maps(way, other)))
        figures = (ratings, head, all_weights, *still, seed, milliseconds, count)
        reports.append(Report(checkpoint.name, way.method, *figures, layer="".join(way.layers)))
    return tuple(reports)


def shared_faces(models: Sequence[Checkpoint], faces: FaceSet) -> FaceSet:
    """The faces of the classes that all checkpoints know, so that all are measured on the same; DataError without any."""
    shared = [name for name in faces.classes if all(name in model.card.classes for model in models)]
    if not shared:
        names = ", ".join(model.name for model in models)
        raise DataError(f"no class of the {faces.split} split is known to all of {names}; measure them apart")
    return faces.only(shared)


def refuse_other_classes(checkpoint: Checkpoint, other: Checkpoint) -> None:
    """ConfigError where another checkpoint cannot be asked about all classes that this one answers."""
    missing = [name for name in checkpoint.card.classes if name not in other.card.classes]
    if missing:
        raise ConfigError(
            f"{other.name} does not know {', '.join(missing)}, which {checkpoint.name} answers; "
            "name a checkpoint of the same classes with --other-seed"
        )


def random_maps(count: int, seed: int) -> FloatArray:
    """Smooth noise of the fineness of a 6×6 map, float32 (N, 48, 48): what a map is that knows nothing."""
    noise = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return np.asarray(F.interpolate(noise, size=(48, 48), mode="bilinear", align_corners=False)[:, 0].numpy())


def blob_maps(count: int) -> FloatArray:
    """A Gaussian in the middle, the same for every face, float32 (N, 48, 48): a map that only knows that faces are centred."""
    y, x = np.mgrid[0:48, 0:48] - 23.5
    blob = np.exp(-0.5 * (x * x + y * y) / _BLOB**2).astype(np.float32)
    return np.repeat(blob[None], count, axis=0)


def _rating(measure: str, own: Values, baselines: Sequence[Values], seed: int) -> Rating:
    sign = 1 if MEASURES[measure].higher_is_better else -1
    over = [Estimate.of(sign * (own - baseline), seed) for baseline in baselines]
    return Rating(Estimate.of(own, seed), *over)


def _flip(subject: Subject, way: Question, maps: FloatArray) -> float | None:
    mirrored = subject.maps(way, images=subject.faces.images.flip(-1))
    return mean_or_none(pearson(maps, mirrored[:, :, ::-1]))


def _shift(subject: Subject, way: Question, maps: FloatArray) -> float | None:
    moved = F.pad(subject.faces.images.float(), (SHIFT, 0, 0, 0), mode="replicate")[..., :-SHIFT].byte()
    found = subject.maps(way, images=moved)
    return mean_or_none(pearson(maps[:, :, :-SHIFT], found[:, :, SHIFT:]))


def without_training(subject: Subject, *, whole: bool, seed: int = 0) -> Checkpoint:
    """The checkpoint with untrained heads, or wholly untrained, its batch statistics the faces'; the same for the same seed."""
    own = subject.checkpoint
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(_APART + seed)
        fresh = checkpoints.build(own.card).to(own.device)
        if whole:
            images = subject.faces.images[:64].to(own.device)
            _settle(fresh, model_input(images, own.card.preprocess))
            return replace(own, model=fresh.eval())
    model = copy.deepcopy(own.model)
    for head in heads(own):
        model.get_submodule(head).load_state_dict(fresh.get_submodule(head).state_dict())
    return replace(own, model=model.eval())


@torch.no_grad()
def _settle(model: torch.nn.Module, inputs: torch.Tensor) -> None:
    """Give batch norms statistics, without which little reaches the last layers of an untrained network."""
    model.train()
    inputs = inputs.repeat(2, 1, 1, 1)  # one face alone has no statistics
    for _ in range(20):
        model(inputs)
