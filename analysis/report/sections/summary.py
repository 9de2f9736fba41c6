"""The model, the faces and the figures that matter, in a few sentences."""

from typing import Any

from analysis.abstention import abstention
from analysis.calibration import expected_ece_if_calibrated
from analysis.report.material import Material
from analysis.report.section import Section, Table, section
from fer.words import number, percent, with_interval

_FIGURES = {
    "top3_accuracy": "label among the three most probable",
    "macro_recall": "mean recall of the classes",
    "macro_precision": "mean precision of the classes",
    "macro_f1": "mean F1 of the classes",
    "mcc": "Matthews correlation",
    "roc_auc": "mean area under the ROC curve",
    "log_loss": "log loss",
    "brier": "Brier score, 0 (best) to 2",
    "ece": "expected calibration error",
}


@section("summary", "Summary")
def summary(material: Material) -> Section:
    """Accuracy with its interval, calibration, threshold, and what was judged by whom."""
    table, metrics = material.table, material.metrics
    chance = expected_ece_if_calibrated(table.probs)
    numbers = {
        "checkpoint": material.checkpoint.name,
        "weights_sha256": material.checkpoint.card.weights_sha256,
        "split": table.split,
        "data_fingerprint": table.source.get("data", ""),
        **{key: metrics[key] for key in ("n", "accuracy", "ci95", *_FIGURES)},
        "right": round(metrics["accuracy"] * metrics["n"]),
        "ece_by_chance_p95": chance.high,
        "abstention": abstention(table).to_dict() if len(table) > 1 else None,
    }
    rows = tuple((words, number(numbers[key])) for key, words in _FIGURES.items())
    return Section(numbers, (*_words(numbers), Table(f"all figures, n = {numbers['n']:,}", ("figure", "value"), rows)))


def _words(numbers: dict[str, Any]) -> tuple[str, ...]:
    judged = (
        f"{numbers['checkpoint']} gives the label of the data set to {numbers['right']:,} of {numbers['n']:,} faces of the "
        f"{numbers['split']} split: accuracy {with_interval(numbers['accuracy'], numbers['ci95'])}."
    )
    within = numbers["ece"] <= numbers["ece_by_chance_p95"]
    verdict = "which is within what chance gives" if within else "which is more than chance gives"
    calibrated = (
        f"Its confidence is off by {number(numbers['ece'])} on average (expected calibration error), {verdict} a model "
        f"whose confidences are all exactly right (95 % of such models: up to {number(numbers['ece_by_chance_p95'])})."
    )
    return judged, calibrated, _threshold(numbers["abstention"]), _source(numbers)


def _threshold(found: dict[str, Any] | None) -> str:
    if found is None:
        return "One face is too few to choose a threshold for “unsure”."
    wanted = percent(found["wanted"])
    if found["threshold"] is None:
        return f"No threshold for “unsure” reaches an accuracy of {wanted} among the answers that are left."
    kept = found["held_out"]
    if kept["accuracy"] is None:
        return f"“Unsure” below a confidence of {number(found['threshold'])}: no answer of the held-out half is left."
    return (
        f"To have {wanted} of the answers right, say “unsure” below a confidence of {number(found['threshold'])}: on the half "
        f"of the faces that the threshold was not chosen on, {percent(kept['coverage'])} get an answer, and of these "
        f"{with_interval(kept['accuracy'], kept['interval'])} are right."
    )


def _source(numbers: dict[str, Any]) -> str:
    weights, data = numbers["weights_sha256"] or "unknown", numbers["data_fingerprint"] or "unknown"
    return f"Weights {weights[:12]}…, data {data[:12]}… (beginnings of their hashes, whole in report.json)."
