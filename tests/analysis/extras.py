"""Results of other commands as they write them, small: kind → (name of the file, its JSON)."""

import json
from pathlib import Path
from typing import Any

from analysis import faithfulness as study
from analysis.compare import Comparison
from analysis.labels.audit import audit
from analysis.labels.report import LabelReport
from analysis.perturbation import MEASURES
from analysis.robustness import Condition, Robustness, Stress
from fer.types import PredictionTable

REGIONS = ("eyes", "mouth", "background")


def contents(table: PredictionTable, fingerprint: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """All kinds, of the checkpoint that the table's source names."""
    name = table.source["checkpoint"]
    other = PredictionTable(-table.logits, table.labels, table.names, table.classes, table.split, {"checkpoint": "other"})
    tables = {name: table, "other": other}
    compared = Comparison.of(tables).to_dict() | {"sources": {key: dict(one.source) for key, one in tables.items()}}
    return {
        "faithfulness": ("faithfulness.json", _faithfulness(table)),
        "regions": ("regions.json", _regions(table)),
        "features": ("features.json", _features(table)),
        "robustness": ("robustness.json", _robustness(table)),
        "comparison": ("compare.json", compared),
        "label_audit": ("label-audit.json", LabelReport(audit(table), None).to_dict()),  # type: ignore[arg-type]
        "data_check": ("report.json", _data_check(fingerprint)),
    }


def write(folder: Path, files: dict[str, tuple[str, dict[str, Any]]]) -> list[Path]:
    """Write them; returns their paths."""
    folder.mkdir(exist_ok=True)
    for name, content in files.values():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return [folder / name for name, _ in files.values()]


def _faithfulness(table: PredictionTable) -> dict[str, Any]:
    checkpoint = table.source["checkpoint"]
    one = study.Estimate(0.31, 0.27, 0.36)
    ratings = {
        name: study.Rating(one, study.Estimate(0.11, 0.02, 0.19), study.Estimate(-0.03, -0.08, 0.01)) for name in MEASURES
    }
    report = study.Report(checkpoint, "gradcam", ratings, 0.61, 0.07, 0.93, None, None, 12.5, 40)
    content = study.to_dict([report], study.Plan(("gradcam",), 40), table.split, 40)
    return content | {"sources": {checkpoint: dict(table.source)}}


def _robustness(table: PredictionTable) -> dict[str, Any]:
    conditions = [Condition(share, (share - 0.1, share + 0.1), 0.123, 0.45, 0) for share in (0.55, 0.35)]
    stresses = tuple(Stress("blur", at, at / 2, "pixels", condition) for at, condition in enumerate(conditions, 1))
    clean = Condition(0.65, (0.5, 0.8), 0.091)
    about = (table.source["checkpoint"], table.split, 80, 10, "gradcam", 0, 0.22)
    return Robustness(*about, clean, stresses, dict(table.source)).to_dict()


def _mean(value: float | None, n: int) -> dict[str, Any]:
    return {"n": n, "mean": value, "ci95": None if value is None else [value - 0.1, value + 0.1]}


def _regions(table: PredictionTable) -> dict[str, Any]:
    lift = {name: _mean(value, 17) for name, value in zip(REGIONS, (1.5432, 0.75, 0.25), strict=True)}
    effect = {name: _mean(value, 13) for name, value in zip(REGIONS, (0.1234, -0.056, 0.011), strict=True)}
    nobody = {name: _mean(None, 0) for name in REGIONS}
    groups = [
        {"name": "happy", "group": "right", "n": 19, "empty": 2, "mass": lift, "lift": lift, "effect": effect},
        {"name": "happy", "group": "wrong", "n": 0, "empty": 0, "mass": nobody, "lift": nobody, "effect": nobody},
    ]
    return {
        "checkpoint": table.source["checkpoint"], "source": dict(table.source),
        "split": table.split, "method": "gradcam", "cover": "grey",
        "n": 120, "empty": 2, "covered": 30,
        "area": {"eyes": 0.125, "mouth": 0.25, "background": 0.625},
        "groups": groups,
        "verdicts": [{"name": "happy", "words": "happy: AU 6+12 move eyes and mouth: the map lies more there"}],
        "background": {"faces": {"happy": 3}, "worst": []},
    }  # fmt: skip


def _features(table: PredictionTable) -> dict[str, Any]:
    share = {"accuracy": 0.6543, "ci95": [0.61, 0.69]}
    return {
        "source": dict(table.source), "split": table.split, "n": 110, "of": 120, "dimensions": 256,
        "map": {"perplexity": 30.0, "neighbours": 10, "trustworthiness": 0.9876, "kl_divergence": 1.25},
        "separation": {
            "k": 10, "model": share, "votes": {"features": share, "pixels": {"accuracy": 0.25, "ci95": [0.2, 0.3]}},
            "most_frequent": 0.2468, "silhouette": 0.0931,
            "per_class": {
                "happy": {"n": 40, "accuracy": 0.8, "ci95": [0.7, 0.85], "silhouette": 0.25},
                "sad": {"n": 0, "accuracy": None, "ci95": None, "silhouette": None},
            },
            "mingling": [{"label": "sad", "neighbours": "neutral", "count": 16, "share": 0.1623}],
        },
        "filters": [],
    }  # fmt: skip


def _data_check(fingerprint: str) -> dict[str, Any]:
    return {
        "origin": "fakes", "fingerprint": fingerprint, "splits": {"train": {}, "validation": {}},
        "kinds": {"leak": {"train": 0, "validation": 4}, "conflict": {"train": 21, "validation": 5}}, "leaks": {},
    }  # fmt: skip
