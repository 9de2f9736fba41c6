"""Results of other commands that a report can show: files of JSON, each recognised by what is in it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.compare import Comparison, Pair, RecallDelta, Score
from analysis.faithfulness import Estimate, Rating
from analysis.faithfulness import Report as FaithfulnessReport
from analysis.robustness import Condition, Robustness, Stress
from fer.data import Corpus
from fer.data.clean import CleanIndex, read_index
from fer.errors import ConfigError, DataError

_KNOWN = "faithfulness.json, regions.json, robustness.json, compare.json, report.json or clean.json of fer data check"


@dataclass(frozen=True)
class Kind:
    """A kind of file: the keys that tell it, and how its values are read; KeyError and the like where they are damaged."""

    keys: frozenset[str]
    read: Callable[[Mapping[str, Any]], Any]


def _robustness(content: Mapping[str, Any]) -> Robustness:
    plain = {key: content[key] for key in ("checkpoint", "split", "n", "maps", "method", "seed", "map_floor")}
    stresses = tuple(Stress(**{**stress, "condition": Condition(**stress["condition"])}) for stress in content["stresses"])
    return Robustness(**plain, clean=Condition(**content["clean"]), stresses=stresses)


def _comparison(content: Mapping[str, Any]) -> Comparison:
    plain = {key: content[key] for key in ("split", "n", "draws", "seed")}
    return Comparison(**plain, models=tuple(Score(**model) for model in content["models"]), pairs=_pairs(content["pairs"]))


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> tuple[Pair, ...]:
    classes = ({name: RecallDelta(**row) for name, row in pair["per_class"].items()} for pair in pairs)
    return tuple(Pair(**{**pair, "per_class": rows}) for pair, rows in zip(pairs, classes, strict=True))


def _faithfulness(content: Mapping[str, Any]) -> tuple[FaithfulnessReport, ...]:
    return tuple(_method(one) for one in content["reports"])


def _method(content: Mapping[str, Any]) -> FaithfulnessReport:
    ratings = {
        name: Rating(**{part: Estimate(**estimate) for part, estimate in rating.items()})
        for name, rating in content["ratings"].items()
    }
    plain = {key: value for key, value in content.items() if key not in ("ratings", "verdict")}
    return FaithfulnessReport(**plain, ratings=ratings)


def _data_check(content: Mapping[str, Any]) -> Mapping[str, Any]:
    for split in content["splits"]:
        for counts in content["kinds"].values():
            int(counts[split])
    return content


#: Kind → how it is told and read. A clean index says by itself what it is.
KINDS: dict[str, Kind] = {
    "faithfulness": Kind(frozenset({"reports"}), _faithfulness),
    "regions": Kind(frozenset({"regions"}), dict),
    "robustness": Kind(frozenset({"clean", "stresses", "map_floor"}), _robustness),
    "comparison": Kind(frozenset({"models", "pairs", "draws"}), _comparison),
    "data_check": Kind(frozenset({"origin", "fingerprint", "splits", "kinds", "leaks"}), _data_check),
}
CLEAN_INDEX = "clean_index"


def read_extras(paths: Sequence[Path]) -> dict[str, Any]:
    """Kind → value of each file, of every kind at most one.

    Raises:
        ConfigError: two files of one kind.
        DataError: a file cannot be read, is of no known kind, or is damaged.
    """
    found: dict[str, Any] = {}
    for path in paths:
        kind, value = read_extra(path)
        if kind in found:
            raise ConfigError(f"{path} is a second {kind.replace('_', ' ')}; a report shows one, name one of them")
        found[kind] = value
    return found


def read_extra(path: Path) -> tuple[str, Any]:
    """Kind and value of one file; the errors of :func:`read_extras`."""
    content = _json(path)
    if "left_out" in content:
        index: CleanIndex = read_index(path)
        return CLEAN_INDEX, index
    for name, kind in KINDS.items():
        if kind.keys <= set(content):
            try:
                return name, kind.read(content)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DataError(f"{path} is a damaged {name} result: {error!r}; write it anew") from error
    raise DataError(f"{path} is nothing that a report can show; name {_KNOWN}")


def refuse_other(extras: Mapping[str, Any], corpus: Corpus) -> None:
    """DataError where a check or a clean index is of another data set."""
    if CLEAN_INDEX in extras:
        extras[CLEAN_INDEX].refuse_other(corpus)
    theirs, ours = extras.get("data_check", {}).get("fingerprint", corpus.fingerprint), corpus.fingerprint
    if theirs != ours:
        raise DataError(
            f"the check was made of other data (fingerprint {theirs[:12]}, {corpus.origin} has {ours[:12]}); "
            "make it anew with fer data check"
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; name {_KNOWN}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}; name {_KNOWN}") from error
    if isinstance(content, list):
        content = {"reports": content} if content and all("ratings" in one for one in content) else {}
    return content if isinstance(content, dict) else {}
