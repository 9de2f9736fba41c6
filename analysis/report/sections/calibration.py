"""Whether a confidence can be taken at its word."""

from dataclasses import asdict

from analysis.calibration import CalibrationScores, calibration_scores, compare_scaling, cross_fitted, reliability
from analysis.figures import reliability as figure
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number, percent

_COLUMNS = ("faces", "n", "accuracy", "ECE", "by chance", "by chance, 95 %", "adaptive ECE", "Brier", "log loss")


@section("calibration", "Calibration")
def calibration(material: Material) -> Section:
    """Reliability by answer, and the errors before and after temperature scaling."""
    table = material.table
    overall, by_answer = reliability(table), [reliability(table, name) for name in table.classes]
    scores, scaling, crossed = calibration_scores(table), compare_scaling(table), calibration_scores(cross_fitted(table))
    rows = [_row("as the checkpoint answers", scores), _row("calibrated on the other half", crossed)]
    if scaling:
        rows = [_row(f"{scaling.faces}, raw", scaling.raw), _row(f"{scaling.faces}, scaled", scaling.scaled), *rows]
    numbers = {
        "scores": asdict(scores),
        "scaling": scaling and scaling.to_dict(),
        "cross_fitted": asdict(crossed),
        "reliability": {one.name: one.to_dict() for one in (overall, *by_answer)},
    }
    return Section(
        numbers,
        (
            "Of the answers given with a confidence of seven tenths, seven of ten should be right: points on the diagonal are. "
            "Below it the model is too sure, above it too modest. Few faces make an error by chance alone; beside each error "
            "stands what a perfectly calibrated model would have on them (mean, and 95 % of such models below).",
            *([] if scaling is None else [f"The checkpoint divides its logits by {number(scaling.temperature)}."]),
            drawn(
                figure.figure(overall, by_answer),
                f"Reliability diagrams of all answers (error {number(overall.ece)}) and of every class answered.",
                f"How often answers of a confidence are right, by the class answered: {material.about}.",
            ),
            Table(f"calibration: {table.split} split", _COLUMNS, tuple(rows)),
        ),
    )


def _row(faces: str, s: CalibrationScores) -> tuple[str, ...]:
    errors = (s.ece, s.chance.mean, s.chance.high, s.adaptive_ece, s.brier, s.log_loss)
    return (faces, f"{s.n:,}", percent(s.accuracy), *(number(value) for value in errors))
