"""Results of other commands that a report can show: files of JSON, each recognised by what is in it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.report import readers
from fer.checkpoint import Checkpoint
from fer.data import Corpus
from fer.data.clean import read_index
from fer.errors import ConfigError, DataError
from fer.types import PredictionTable

_KNOWN = (
    "faithfulness.json, regions.json, features.json, robustness.json, compare.json, label-audit.json, "
    "report.json or clean.json of fer data check, or a folder with such files"
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: the keys that tell it, how it is read (KeyError and the like where it is damaged), pictures beside it."""

    keys: frozenset[str]
    read: Callable[[Mapping[str, Any]], Any]
    pictures: tuple[str, ...] = ()


#: Kind → how it is told and read. A clean index says by itself what it is.
KINDS: dict[str, Kind] = {
    "faithfulness": Kind(frozenset({"reports", "measures"}), readers.faithfulness),
    "regions": Kind(
        frozenset({"groups", "verdicts", "background"}), readers.Regions.of, ("region-effects.png", "background.png")
    ),
    "features": Kind(
        frozenset({"map", "separation", "filters"}),
        readers.Features.of,
        ("map.png", "right.png", "neighbours.png", "filters.png", "depth.png"),
    ),
    "robustness": Kind(frozenset({"clean", "stresses", "map_floor"}), readers.robustness),
    "comparison": Kind(frozenset({"models", "pairs", "draws"}), readers.comparison),
    "label_audit": Kind(frozenset({"suspects", "noise_rate", "ranking"}), readers.Labels.of),
    "data_check": Kind(frozenset({"origin", "fingerprint", "splits", "kinds", "leaks"}), readers.data_check),
}
CLEAN_INDEX = "clean_index"


@dataclass(frozen=True, eq=False)
class Extra:
    """One file.

    Attributes:
        kind: key of :data:`KINDS`, or :data:`CLEAN_INDEX`.
        path: where it was.
        value: what was read.
        content: the file's own JSON.
        pictures: PNG files that the command wrote beside it, by name; those that are there.
    """

    kind: str
    path: Path
    value: Any
    content: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, readers.Png] = field(default_factory=dict)

    @property
    def sources(self) -> list[Mapping[str, str]]:
        """What it says of the tables or checkpoints that it was made of, of every one."""
        named = self.content.get("sources", {})
        return [*named.values(), *([self.content["source"]] if "source" in self.content else [])]

    @property
    def checkpoints(self) -> set[str]:
        """Names of the checkpoints it speaks of, as far as it names them."""
        parts = [self.content, *self.sources, *self.content.get("reports", ())]
        return {part["checkpoint"] for part in parts if part.get("checkpoint")}


def read_extras(paths: Sequence[Path]) -> dict[str, Extra]:
    """Kind → file, of every kind at most one; of a folder all that a report can show.

    Raises:
        ConfigError: two files of one kind.
        DataError: a file cannot be read, is of no known kind, or is damaged; a folder holds none that is known.
    """
    found: dict[str, Extra] = {}
    files = dict.fromkeys(file.resolve() for path in paths for file in _files(path))
    for extra in map(read_extra, files):
        if extra.kind in found:
            first, what = found[extra.kind].path, extra.kind.replace("_", " ")
            raise ConfigError(f"{extra.path} is a second {what} beside {first}; a report shows one, name one of them")
        found[extra.kind] = extra
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    known = [one for one in sorted(path.glob("*.json")) if _kind(_json(one))]
    if not known:
        raise DataError(f"{path} holds nothing that a report can show; name {_KNOWN}")
    return known


def read_extra(path: Path) -> Extra:
    """One file; the errors of :func:`read_extras`."""
    content = _json(path)
    name = _kind(content)
    if name is None:
        raise DataError(f"{path} is nothing that a report can show; name {_KNOWN}")
    if name == CLEAN_INDEX:
        return Extra(name, path, read_index(path))
    kind = KINDS[name]
    try:
        extra = Extra(name, path, kind.read(content), content, readers.pictures(path.parent, kind.pictures))
        sorted(extra.checkpoints)  # reads what it says of itself
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is a damaged {name.replace('_', ' ')} result: {error!r}; write it anew") from error
    return extra


def _kind(content: Mapping[str, Any]) -> str | None:
    if "left_out" in content:
        return CLEAN_INDEX
    return next((name for name, kind in KINDS.items() if kind.keys <= set(content)), None)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; name {_KNOWN}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}; name {_KNOWN}") from error
    return content if isinstance(content, dict) else {}


def refuse_other_checkpoint(extras: Mapping[str, Extra], checkpoint: Checkpoint) -> None:
    """ConfigError where a file speaks of other checkpoints only; by their weights where it knows them, else by name.

    What the folds of a series say is of no checkpoint that is reported on, and passes.
    """
    for extra in extras.values():
        if any("folds" in source for source in extra.sources):
            continue
        weights = {source["weights_sha256"] for source in extra.sources if source.get("weights_sha256")}
        theirs, ours = (weights, checkpoint.card.weights_sha256) if weights else (extra.checkpoints, checkpoint.name)
        if theirs and ours not in theirs:
            names = ", ".join(sorted(extra.checkpoints)) or "other weights"
            twin = f" (other weights, {min(theirs)[:12]}…)" if checkpoint.name in extra.checkpoints else ""
            raise ConfigError(
                f"{extra.path} is of {names}{twin}, not of {checkpoint.name}; name its checkpoint with --checkpoint"
            )


def refuse_other_faces(extras: Mapping[str, Extra], table: PredictionTable) -> None:
    """DataError where a result is of another split than the report, or regions or features of another number of faces."""
    for extra in extras.values():
        split = extra.content.get("split", table.split)
        if split != table.split:
            raise DataError(
                f"{extra.path} is of the {split} split, the report of the {table.split} split; make it anew with "
                f"--split {table.split}, or the report with --split {split}"
            )
    for kind, key in (("regions", "n"), ("features", "of")):
        if kind in extras and extras[kind].content[key] != len(table):
            extra, faces = extras[kind], len(table)
            raise DataError(f"{extra.path} is of {extra.content[key]:,} faces, the report of {faces:,}; make it anew on these")


def refuse_other_data(extras: Mapping[str, Extra], corpus: Corpus) -> None:
    """DataError where a check or a clean index is of another data set."""
    if CLEAN_INDEX in extras:
        extras[CLEAN_INDEX].value.refuse_other(corpus)
    if "data_check" not in extras:
        return
    check = extras["data_check"]
    if check.content["fingerprint"] != corpus.fingerprint:
        raise DataError(
            f"{check.path} was made of other data (fingerprint {str(check.content['fingerprint'])[:12]}, {corpus.origin} has "
            f"{corpus.fingerprint[:12]}); make it anew with fer data check"
        )
