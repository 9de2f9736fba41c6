"""FER+ as labels: the votes of ten people for every face of FER-2013 (Barsoum et al. 2016, arXiv:1608.01041)."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fer.data.faceset import OFFICIAL_SPLITS, Corpus, FaceSet
from fer.data.names import paired
from fer.emotions import EMOTIONS, SYNONYMS
from fer.errors import DataError
from fer.files import expanded
from fer.registry import Registry
from fer.types import FloatArray, IntArray

#: What FER+ lets people vote for beside the classes of FER-2013; ``nf`` is "no face".
OTHERS: tuple[str, ...] = ("contempt", "unknown", "nf")

#: Order of the ten columns of votes.
CANDIDATES = EMOTIONS + OTHERS
_NAME_COLUMNS = ("file", "image name")
_GET_IT = "get fer2013new.csv from microsoft/FERPlus on GitHub"
_BY_ROW = (
    "these votes go by the rows of the challenge's fer2013.csv: name that csv with --data, "
    "or give votes with a column file that has the names of your files"
)
_VOTE = re.compile(r"\d{1,6}(\.0*)?")  # some spreadsheets write 4.0
_ROW = re.compile(r"row (\d+)")
_SHOWN = 3


@dataclass(frozen=True)
class Rule:
    """How votes become labels.

    Attributes:
        words: the rule for a reader, without verb.
        shares: int64 votes (N, 10) to float32 (N, 7) over the classes; rows of 0 where an image has no label.
        soft: True where the shares are targets, False where only the largest counts.
    """

    words: str
    shares: Callable[[IntArray], FloatArray]
    soft: bool


@dataclass(frozen=True, eq=False)
class _Votes:
    """A table of votes: int64 (N, 10) in the order of the candidates, and what tells whose they are."""

    path: Path
    counts: IntArray
    names: tuple[str, ...]
    usages: tuple[str, ...]
    in_csv_order: bool


def apply_votes(corpus: Corpus, path: Path | str, rule: str) -> tuple[Corpus, str]:
    """The same faces with FER+ labels; faces that get none are left out.

    Args:
        corpus: FER-2013 with all its classes.
        path: ``fer2013new.csv``, whose row i belongs to row i of ``fer2013.csv``, or a csv with a ``file`` column. Kaggle's
            archive has lost the rows: it needs the latter.
        rule: a name in :data:`RULES`.

    Returns:
        The relabelled data set, and one sentence on the rule and on what it kept.

    Raises:
        DataError: no readable FER+ csv, not the votes of this data set, or a split without a label.
        UnknownNameError: no such rule.
    """
    chosen, votes = RULES[rule], _read(expanded(path))
    rows = _rows(corpus, votes)
    splits = {split: _relabelled(faces, rows[split], votes, chosen) for split, faces in corpus.splits.items()}
    for split, faces in splits.items():
        if not len(faces):
            raise DataError(f"{votes.path}: {rule} leaves no image of the {split} split; name other votes or another rule")
    kept = " and ".join(f"{len(faces):,} of {len(corpus.splits[split]):,} {split}" for split, faces in splits.items())
    without = sum(int((row < 0).sum()) for row in rows.values())
    missing = f"; {without:,} have no votes in {votes.path.name}" if without else ""
    sentence = f"labels {rule} (FER+, Barsoum et al. 2016): {chosen.words}; kept {kept} images{missing}"
    return replace(corpus, splits=splits), sentence


def read_votes(corpus: Corpus, path: Path | str) -> dict[str, IntArray]:
    """The votes of every face: split to int64 (N, 10) in the order of :data:`CANDIDATES`; rows of −1 where there are none.

    Args:
        corpus: FER-2013 with all its faces.
        path: as in :func:`apply_votes`.

    Raises:
        DataError: no readable FER+ csv, or not the votes of this data set.
    """
    votes = _read(expanded(path))
    known = votes.counts.sum(axis=1, keepdims=True) > 0
    counts = np.concatenate([np.where(known, votes.counts, -1), np.full((1, len(CANDIDATES)), -1)])  # row −1: none
    return {split: counts[rows] for split, rows in _rows(corpus, votes).items()}


def _rows(corpus: Corpus, votes: _Votes) -> dict[str, IntArray]:
    """Row of the votes for every face, −1 for none."""
    return _by_order(corpus, votes) if votes.in_csv_order and _is_csv(corpus) else _by_name(corpus, votes)


def _without_single(votes: IntArray) -> IntArray:
    """FER+ takes a candidate's only vote for a slip."""
    return np.where(votes > 1, votes, 0)


def _majority(votes: IntArray) -> FloatArray:
    """Mode ``majority`` of the authors' code, contempt left out: FER-2013 has no such class."""
    left = _without_single(votes)
    shares = np.zeros((len(votes), len(EMOTIONS)), dtype=np.float32)
    elected = (2 * left.max(axis=1) > left.sum(axis=1)) & (left.argmax(axis=1) < len(EMOTIONS))
    shares[elected, left.argmax(axis=1)[elected]] = 1
    return shares


def _soft(votes: IntArray) -> FloatArray:
    """All votes for our classes count, also minorities that the authors' own label distributions cut off."""
    left = _without_single(votes)[:, : len(EMOTIONS)]
    return np.asarray(left / np.maximum(left.sum(axis=1, keepdims=True), 1), dtype=np.float32)


#: The ways to make labels of votes, by the names that :data:`fer.config.LABELS` offers.
RULES: Registry[Rule] = Registry("FER+ rule")
RULES.add(
    "ferplus-majority",
    Rule(
        "single votes removed, then the class with more than half of the votes left; "
        "images without one, or won by contempt, unknown or no face, are dropped",
        _majority,
        soft=False,
    ),
)
RULES.add(
    "ferplus-soft",
    Rule(
        "single votes and votes for contempt, unknown or no face removed, then every class's share of the votes left; "
        "images without any are dropped",
        _soft,
        soft=True,
    ),
)


def _relabelled(faces: FaceSet, rows: IntArray, votes: _Votes, rule: Rule) -> FaceSet:
    shares = rule.shares(votes.counts[rows])
    kept = (rows >= 0) & (shares.max(axis=1) > 0)  # row −1 stands for no votes, whatever it picked
    targets = torch.from_numpy(shares[kept])
    labels = torch.from_numpy(shares[kept].argmax(axis=1).astype(np.int64))  # the first of equals
    chosen = replace(faces, targets=None).select(torch.from_numpy(kept))
    return replace(chosen, labels=labels, classes=EMOTIONS, targets=targets if rule.soft else None)


def _read(path: Path) -> _Votes:
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
        header = [SYNONYMS.get(column.strip().lower(), column.strip().lower()) for column in next(reader, [])]
        records = [(reader.line_num, record) for record in reader if record]
    except (OSError, ValueError, csv.Error) as error:
        unread = "it is no text" if isinstance(error, UnicodeDecodeError) else error
        reason = error.strerror if isinstance(error, OSError) else unread
        raise DataError(f"cannot read FER+ votes from {path}: {reason}; {_GET_IT}") from error
    named = [column for column in _NAME_COLUMNS if column in header]
    by_row = named[:1] == ["image name"]
    missing = [column for column in (*(["usage"] if by_row else []), *CANDIDATES) if column not in header]
    if missing or not named:
        lacks = ", ".join(missing) or "neither file nor Image name"
        raise DataError(f"{path} is no FER+ csv: its columns {header[:5]} lack {lacks}; {_GET_IT}")
    names = _column(records, header.index(named[0]))
    usages = _column(records, header.index("usage")) if by_row else ()
    counts = _counts(records, [header.index(column) for column in CANDIDATES], path)
    return _Votes(path, counts, names, usages, in_csv_order=by_row)


def _column(records: Sequence[tuple[int, list[str]]], place: int) -> tuple[str, ...]:
    return tuple(record[place].strip() if place < len(record) else "" for _, record in records)


def _counts(records: Sequence[tuple[int, list[str]]], places: Sequence[int], path: Path) -> IntArray:
    texts = list(zip(*(_column(records, place) for place in places), strict=True))
    problems = [
        f"line {line}: {text!r} for {candidate}"
        for (line, _), row in zip(records, texts, strict=True)
        for candidate, text in zip(CANDIDATES, row, strict=True)
        if not _VOTE.fullmatch(text)
    ]
    if problems:
        more = len(problems) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        shown = "; ".join(problems[:_SHOWN])
        raise DataError(f"{path}: {shown}{rest}; votes are whole numbers from 0 up, correct them or {_GET_IT}")
    if not records:
        raise DataError(f"{path}: no rows; {_GET_IT}")
    return np.array(texts, dtype=np.float64).astype(np.int64)


def _is_csv(corpus: Corpus) -> bool:
    return all(_ROW.fullmatch(name) for faces in corpus.splits.values() for name in faces.names)


def _by_order(corpus: Corpus, votes: _Votes) -> dict[str, IntArray]:
    """Row of the votes for every face of a challenge csv.

    The lines' numbers only give the order, since the csv may have empty lines. The numbers in FER+'s image names
    fall behind the rows here and there and are not used.
    """
    lines = sorted(
        (int(name.removeprefix("row ")), split, place)
        for split, faces in corpus.splits.items()
        for place, name in enumerate(faces.names)
    )
    if len(lines) != len(votes.names):
        raise DataError(f"{votes.path} has {len(votes.names):,} rows, {corpus.origin} {len(lines):,}; take both whole")
    rows = {split: np.full(len(faces), -1) for split, faces in corpus.splits.items()}
    for row, (line, split, place) in enumerate(lines):
        if OFFICIAL_SPLITS.get(votes.usages[row]) != split:
            here = f"row {row + 1} is {votes.usages[row]!r}, line {line} of {corpus.origin} belongs to {split}"
            raise DataError(f"{votes.path}: {here}; the files must have the same order, take both as published")
        rows[split][place] = row
    return rows


def _by_name(corpus: Corpus, votes: _Votes) -> dict[str, IntArray]:
    """Row of the votes for every face, −1 for none."""
    ours = [name for faces in corpus.splits.values() for name in faces.names]
    found = paired(ours, votes.names)
    if max(found) < 0:
        example = next((name for name in votes.names if name), "")
        here = f"{votes.path} (with names such as {example!r}) has votes for not one image of {corpus.origin} ({ours[0]!r})"
        raise DataError(f"{here}; {_BY_ROW if votes.in_csv_order else 'name the votes of this data set'}")
    rows = iter(found)
    return {split: np.array([next(rows) for _ in faces.names], dtype=np.int64) for split, faces in corpus.splits.items()}
