"""Looking for what is wrong with a data set: copies, near copies and leaks between splits, and faces that are none."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fer import clarity
from fer.data import quality
from fer.data.faceset import SPLITS, Corpus, FaceSet
from fer.data.near import NearPairs, near_pairs
from fer.data.photos import photo_numbers
from fer.data.report import Copies, Finding, Leak, Near, Report, SplitFigures
from fer.types import FloatArray, IntArray, Progress


@dataclass(frozen=True, eq=False)
class _Faces:
    """All faces of a corpus in one row, split after split: pixels, ranks of splits, labels, names, measures, photos."""

    images: torch.Tensor
    splits: tuple[str, ...]
    rank: IntArray
    labels: tuple[str, ...]
    names: tuple[str, ...]
    contrast: FloatArray
    photos: IntArray
    near: NearPairs  # between photos

    def finding(self, kind: str, place: int, twin: int | None = None, value: float | None = None) -> Finding:
        own = (kind, self.split(place), self.names[place], self.labels[place])
        if twin is None:
            return Finding(*own, value=value)
        return Finding(*own, self.split(twin), self.names[twin], self.labels[twin], value)

    def split(self, place: int) -> str:
        return self.splits[int(self.rank[place])]


def check(corpus: Corpus, progress: Progress | None = None) -> Report:
    """Look for everything in :data:`fer.data.report.KINDS` and for blurred splits; ``progress`` counts thousandths."""
    faces = _gather(corpus, progress)
    findings = tuple(_findings(faces))
    figures = {name: _figures(split) for name, split in corpus.splits.items()}
    sharpest = max(split.sharpness for split in figures.values())
    return Report(
        origin=str(corpus.origin),
        fingerprint=corpus.fingerprint,
        named_fingerprint=corpus.named_fingerprint,
        splits=figures,
        exact=_copies(faces, photo_numbers(faces.images, mirrored=False)),
        mirrored=_copies(faces, faces.photos),
        near=_near(faces),
        leaks=_leaks(faces, findings),
        blurred_splits=tuple(name for name, f in figures.items() if f.sharpness < quality.BLURRED_SPLIT * sharpest),
        notes=(*_notes(corpus), *_unseen(faces.near)),
        findings=findings,
    )


def _gather(corpus: Corpus, progress: Progress | None) -> _Faces:
    sets = [corpus.splits[name] for name in SPLITS if name in corpus.splits]
    images = torch.cat([faces.images.cpu() for faces in sets])
    photos, contrast = photo_numbers(images), quality.contrast(images)
    _, first = np.unique(photos, return_index=True)  # photos are numbered as they come
    return _Faces(
        images,
        tuple(faces.split for faces in sets),
        np.repeat(np.arange(len(sets)), [len(faces) for faces in sets]),
        tuple(faces.classes[label] for faces in sets for label in faces.labels.tolist()),
        tuple(name for faces in sets for name in faces.names),
        contrast,
        photos,
        near_pairs(images[torch.from_numpy(first)], progress),
    )


def _figures(faces: FaceSet) -> SplitFigures:
    counts = faces.counts
    images = faces.images
    return SplitFigures(
        n=len(faces),
        counts=counts,
        imbalance=max(counts.values()) / min(counts.values()) if min(counts.values()) else None,
        brightness=float(quality.brightness(images).mean()),
        contrast=float(quality.contrast(images).mean()),
        sharpness=float(np.median(quality.sharpness(images))),
    )


def _groups(photos: IntArray) -> list[list[int]]:
    places: dict[int, list[int]] = defaultdict(list)
    for place, photo in enumerate(photos.tolist()):
        places[photo].append(place)
    return list(places.values())


def _copies(faces: _Faces, photos: IntArray) -> Copies:
    groups = [group for group in _groups(photos) if len(group) > 1]
    return Copies(len(groups), sum(len(group) - 1 for group in groups), sum(_disagree(faces, group) for group in groups))


def _disagree(faces: _Faces, group: Sequence[int]) -> bool:
    return len({faces.labels[place] for place in group}) > 1


def _near(faces: _Faces) -> Near:
    groups, pairs = _groups(faces.photos), faces.near
    differ = sum(_disagree(faces, groups[a] + groups[b]) for a, b in zip(pairs.first, pairs.second, strict=True))
    return Near(len(pairs), int(pairs.mirrored.sum()), differ)


def _findings(faces: _Faces) -> Iterator[Finding]:
    groups = _groups(faces.photos)
    for group in groups:
        yield from _exact(faces, group)
    yield from _nearly(faces, groups)
    yield from _looks(faces)


def _exact(faces: _Faces, group: Sequence[int]) -> Iterator[Finding]:
    """Findings of one photo's copies, whose places come in the order of the splits."""
    conflict, first = _disagree(faces, group), group[0]
    for place in group:
        if conflict:
            other = next(p for p in group if faces.labels[p] != faces.labels[place])
            yield faces.finding("conflict", place, other)
        if place != first:
            same = [p for p in group if p < place and faces.rank[p] == faces.rank[place]]
            if faces.rank[first] < faces.rank[place]:
                yield faces.finding("leak", place, first)
            if same:
                yield faces.finding("copy", place, same[0])


def _nearly(faces: _Faces, groups: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Near twins in an earlier split, and in the same split where the twin itself stays."""
    twins: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for a, b, score in zip(faces.near.first.tolist(), faces.near.second.tolist(), faces.near.score.tolist(), strict=True):
        twins[a].append((score, b))
        twins[b].append((score, a))
    copies: set[int] = set()
    for place in sorted(place for photo in twins for place in groups[photo]):
        photo = int(faces.photos[place])
        others = [(score, twin) for score, other in twins[photo] for twin in groups[other] if twin < place]
        earlier = [pair for pair in others if faces.rank[pair[1]] < faces.rank[place]]
        same = [pair for pair in others if faces.rank[pair[1]] == faces.rank[place] and pair[1] not in copies]
        if earlier:
            yield _near_finding(faces, "near-leak", place, earlier)
        if same:
            copies.add(place)
            yield _near_finding(faces, "near-copy", place, same)


def _near_finding(faces: _Faces, kind: str, place: int, twins: Sequence[tuple[float, int]]) -> Finding:
    score, twin = max(twins, key=lambda pair: (pair[0], -pair[1]))
    return faces.finding(kind, place, twin, score)


def _looks(faces: _Faces) -> Iterator[Finding]:
    """Blank images, and dark, blurred and odd ones among the others."""
    blank = faces.contrast == 0
    bright, sharp = quality.brightness(faces.images), quality.sharpness(faces.images)
    odd = quality.oddness(faces.images)
    found = {
        "blank": (blank, bright),
        "dark": (~blank & (bright < clarity.DARK), bright),
        "blurred": (~blank & (sharp < clarity.BLURRED), sharp),
        "non-face": (~blank & (odd >= quality.ODD), odd),
    }
    for kind, (where, values) in found.items():
        for place in np.flatnonzero(where).tolist():
            yield faces.finding(kind, place, value=float(values[place]))


def _leaks(faces: _Faces, findings: Sequence[Finding]) -> dict[str, Leak]:
    exact = _with_earlier_copy(faces, photo_numbers(faces.images, mirrored=False))
    leaks = {}
    for rank, split in enumerate(faces.splits[1:], 1):
        found = {kind: {f.name: f for f in findings if f.kind == kind and f.split == split} for kind in ("leak", "near-leak")}
        near_only = {name: f for name, f in found["near-leak"].items() if name not in found["leak"]}
        differ = sum(f.label != f.twin_label for f in (*found["leak"].values(), *near_only.values()))
        where = faces.rank == rank
        leaks[split] = Leak(int(where.sum()), int(exact[where].sum()), len(found["leak"]), len(near_only), differ)
    return leaks


def _with_earlier_copy(faces: _Faces, photos: IntArray) -> npt.NDArray[np.bool_]:
    _, first = np.unique(photos, return_index=True)
    return np.asarray(faces.rank[first[photos]] < faces.rank, dtype=bool)


def _unseen(near: NearPairs) -> Iterator[str]:
    if near.unseen:
        yield (
            f"{near.unseen:,} pairs of images that resemble each other were too many to be compared closely, the least alike: "
            "near duplicates may be missing; clean the set by the index of --out, and check what is left"
        )


def _notes(corpus: Corpus) -> Iterator[str]:
    if len(corpus.splits) == 1:
        yield f"only a {next(iter(corpus.splits))} split: nothing can leak from one split into another"
    for name, faces in corpus.splits.items():
        present = [label for label, count in faces.counts.items() if count]
        if len(present) == 1:
            yield f"the {name} split has only one class, {present[0]}: nothing to tell apart"
        elif len(present) < len(faces.classes):
            yield f"the {name} split has no image of {', '.join(label for label in faces.classes if label not in present)}"
