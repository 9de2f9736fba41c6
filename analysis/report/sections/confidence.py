"""How sure the model is where it is right, and where it is wrong."""

import numpy as np

from analysis.figures import confidence_histograms
from analysis.histograms import histograms
from analysis.report.material import Material
from analysis.report.section import Section, Table, drawn, section
from fer.words import number


@section("confidence", "Confidence")
def confidence(material: Material) -> Section:
    """Histograms of every class, and means."""
    table, found = material.table, histograms(material.table)
    sure, right = table.probs.max(axis=1).astype(np.float64), table.predicted == table.labels
    means = {
        "all": float(sure.mean()),
        "right": float(sure[right].mean()) if right.any() else None,
        "wrong": float(sure[~right].mean()) if not right.all() else None,
    }
    counts = {"all": len(sure), "right": int(right.sum()), "wrong": int((~right).sum())}
    rows = tuple((which, f"{counts[which]:,}", number(mean)) for which, mean in means.items())
    return Section(
        {"mean": means, "n": counts, "histograms": {one.name: one.to_dict() for one in found}},
        (
            "Confidence is the probability of the most probable class. Hatched bars at the right end are the answers that "
            "hurt: sure and wrong.",
            drawn(
                confidence_histograms.figure(found),
                f"Histograms of confidence by class; right answers have a mean of {number(means['right'])}, "
                f"wrong ones of {number(means['wrong'])}.",
                f"Confidence of right and wrong answers by the label of the face: {material.about}.",
            ),
            Table(f"mean confidence: {material.about}", ("answers", "faces", "mean confidence"), rows),
        ),
    )
