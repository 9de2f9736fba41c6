"""The report of the default checkpoint on the whole validation split."""

import json

import pytest
from jsonschema import validate

from analysis.report import schema
from tests.conftest import REAL_DATA

pytestmark = pytest.mark.realdata


def test_the_whole_validation_split_on_one_page(fer, tmp_path):
    outcome = fer("report", "--data", REAL_DATA, "--out", tmp_path)
    assert outcome.code == 0, outcome.err
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    validate(content, schema())
    assert content["n"] == 3589 and content["undefined"] == {} and len(content["sections"]["mistakes"]["faces"]) == 3589
    card = content["sections"]["model"]["card"]
    assert content["sections"]["summary"]["accuracy"] == pytest.approx(card["validation_accuracy"], abs=0.001)
    assert 5_000_000 < (tmp_path / "report.html").stat().st_size < 20_000_000
