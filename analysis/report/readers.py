"""JSON of other commands as the values it was written from; KeyError, TypeError or ValueError where it is damaged."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from analysis.compare import Comparison, Pair, RecallDelta, Score
from analysis.faithfulness import Estimate, Rating
from analysis.faithfulness import Report as FaithfulnessReport
from analysis.labels.audit import ClassAudit, LabelAudit, Suspect
from analysis.labels.tagger_votes import ErrorRate, MistakeKind, PrecisionAt, TaggerCheck
from analysis.robustness import Condition, Robustness, Stress

Content = Mapping[str, Any]
#: (class, right or wrong, faces) → region → mean.
ByGroup = Mapping[tuple[str, str, int], Mapping[str, float | None]]


def robustness(content: Content) -> Robustness:
    """Of robustness.json."""
    plain = {key: content[key] for key in ("checkpoint", "split", "n", "maps", "method", "seed", "map_floor")}
    stresses = tuple(Stress(**{**stress, "condition": Condition(**stress["condition"])}) for stress in content["stresses"])
    source = dict(content.get("source", {}))
    return Robustness(**plain, clean=Condition(**content["clean"]), stresses=stresses, source=source)


def comparison(content: Content) -> Comparison:
    """Of compare.json."""
    plain = {key: content[key] for key in ("split", "n", "draws", "seed")}
    return Comparison(**plain, models=tuple(Score(**model) for model in content["models"]), pairs=_pairs(content["pairs"]))


def _pairs(pairs: Sequence[Content]) -> tuple[Pair, ...]:
    classes = ({name: RecallDelta(**row) for name, row in pair["per_class"].items()} for pair in pairs)
    return tuple(Pair(**{**pair, "per_class": rows}) for pair, rows in zip(pairs, classes, strict=True))


def faithfulness(content: Content) -> tuple[FaithfulnessReport, ...]:
    """Of faithfulness.json."""
    return tuple(_method(one) for one in content["reports"])


def _method(content: Content) -> FaithfulnessReport:
    ratings = {
        name: Rating(**{part: Estimate(**estimate) for part, estimate in rating.items()})
        for name, rating in content["ratings"].items()
    }
    plain = {key: value for key, value in content.items() if key not in ("ratings", "verdict")}
    return FaithfulnessReport(**plain, ratings=ratings)


def data_check(content: Content) -> Content:
    """Of report.json of ``fer data check``, as it is."""
    for split in content["splits"]:
        for counts in content["kinds"].values():
            int(counts[split])
    return content


@dataclass(frozen=True, eq=False)
class Labels:
    """Of label-audit.json: the audit, what taggers say of it, and the votes of each suspect."""

    audit: LabelAudit
    check: TaggerCheck | None
    votes: tuple[dict[str, int] | None, ...]

    @classmethod
    def of(cls, content: Content) -> Self:
        """``order`` of the audit holds the suspects alone."""
        votes = tuple(one["votes"] for one in content["ranking"])
        suspects = tuple(Suspect(**{k: v for k, v in one.items() if k != "votes"}) for one in content["ranking"])
        audit = LabelAudit(
            n=content["n"],
            suspects=suspects,
            order=np.array([suspect.row for suspect in suspects], dtype=np.int64),
            per_class={name: ClassAudit(**counts) for name, counts in content["per_class"].items()},
            joint=np.array(content["joint"], dtype=np.float64),
            noise=np.array(content["noise"], dtype=np.float64),
            source=content["source"],
        )
        return cls(audit, content["taggers"] and _taggers(content["taggers"]), votes)


def _taggers(content: Content) -> TaggerCheck:
    lists = {"precision": PrecisionAt, "by_agreement": ErrorRate, "mistakes": MistakeKind}
    read = {name: tuple(kind(**one) for one in content[name]) for name, kind in lists.items()}
    return TaggerCheck(**{**content, **read, "curve": tuple((k, p) for k, p in content["curve"])})


@dataclass(frozen=True)
class Regions:
    """Of regions.json: where maps lie, and what covering costs.

    Attributes:
        about: checkpoint, method, split, cover, n, covered: as in the file.
        area: region → share of the picture.
        lift: (class, right or wrong, faces) → region → share of the maps over the area, None without a face.
        effect: the same for the drop of the probability of the answer; faces are those covered.
        verdicts: class → what the figures say of it.
        strays: class → faces whose map lies on the background by more than its share of the picture.
    """

    about: Content
    area: Mapping[str, float]
    lift: ByGroup
    effect: ByGroup
    verdicts: Mapping[str, str]
    strays: Mapping[str, int]

    @classmethod
    def of(cls, content: Content) -> Self:
        """Read and check."""
        area = {name: float(share) for name, share in content["area"].items()}
        return cls(
            {key: content[key] for key in ("checkpoint", "method", "split", "cover", "n", "covered")},
            area,
            _by_group(content["groups"], "lift", area),
            _by_group(content["groups"], "effect", area),
            {one["name"]: one["words"].removeprefix(f"{one['name']}: ") for one in content["verdicts"]},
            {name: int(count) for name, count in content["background"]["faces"].items()},
        )


def _by_group(groups: Sequence[Content], what: str, regions: Content) -> ByGroup:
    counts = [max((group[what][name]["n"] for name in regions), default=0) for group in groups]
    return {
        (group["name"], group["group"], n): {name: group[what][name]["mean"] for name in regions}
        for group, n in zip(groups, counts, strict=True)
    }


@dataclass(frozen=True)
class Features:
    """Of features.json: how the features of the last layer keep the classes apart.

    Attributes:
        about: split, n, of, dimensions: as in the file.
        map: of the t-SNE: perplexity, neighbours, trustworthiness, kl_divergence.
        k: neighbours that vote.
        right: space → share of right answers and its 95 % interval, the network's own first.
        most_frequent: share of the largest class.
        silhouette: of all faces, −1..1, higher is better apart; None where it is undefined.
        per_class: class → faces, share that the neighbours call right with its interval, silhouette; as in the file.
        mingling: (label, class of most neighbours, faces, share of the label), the most frequent first.
    """

    about: Content
    map: Content
    k: int
    right: Mapping[str, tuple[float, tuple[float, float]]]
    most_frequent: float
    silhouette: float | None
    per_class: Mapping[str, Content]
    mingling: tuple[tuple[str, str, int, float], ...]

    @classmethod
    def of(cls, content: Content) -> Self:
        """Read and check."""
        found = content["separation"]
        votes = {f"{found['k']} neighbours, {space}": share for space, share in found["votes"].items()}
        shares = {"the network": found["model"], **votes}
        return cls(
            {key: content[key] for key in ("split", "n", "of", "dimensions")},
            {key: content["map"][key] for key in ("perplexity", "neighbours", "trustworthiness", "kl_divergence")},
            found["k"],
            {name: (share["accuracy"], (share["ci95"][0], share["ci95"][1])) for name, share in shares.items()},
            found["most_frequent"],
            found["silhouette"],
            {
                name: {key: row[key] for key in ("n", "accuracy", "ci95", "silhouette")}
                for name, row in found["per_class"].items()
            },
            tuple((one["label"], one["neighbours"], one["count"], one["share"]) for one in found["mingling"]),
        )


@dataclass(frozen=True, eq=False)
class Png:
    """A picture file and its width in its own pixels."""

    data: bytes
    width: int


def pictures(folder: Path, names: Sequence[str]) -> dict[str, Png]:
    """Those of the named pictures that lie in a folder; ValueError where one is no whole PNG."""
    return {name: _png(folder / name) for name in names if (folder / name).is_file()}


def _png(path: Path) -> Png:
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            return Png(data, image.width)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} is no PNG picture") from error
