"""The sections of the report, in the order of the page: a new one is one file here and its line below."""

from analysis.report.sections import (  # noqa: I001 the order is that of the page
    summary as summary,
    classes as classes,
    confusion as confusion,
    confidence as confidence,
    calibration as calibration,
    abstention as abstention,
    averages as averages,
    galleries as galleries,
    mistakes as mistakes,
    labels as labels,
    faithfulness as faithfulness,
    regions as regions,
    features as features,
    robustness as robustness,
    comparison as comparison,
    data as data,
    model as model,
)
