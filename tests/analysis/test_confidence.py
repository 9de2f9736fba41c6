"""The study of a table's confidence: what is written, printed and refused; the released models on the real data."""

import json
from dataclasses import asdict, replace

import pytest
from PIL import Image

from analysis.abstention import abstention, risk_coverage
from analysis.calibration import calibration_scores, compare_scaling, cross_fitted, reliability
from analysis.confidence import study, write
from analysis.histograms import histograms
from fer import checkpoint as checkpoints
from fer.data import load
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.evaluation import evaluate_checkpoint
from fer.types import PredictionTable
from tests.analysis.tables import all_right, all_wrong, drawn, one_class, toy
from tests.conftest import REAL_DATA

PICTURES = ["confidence-histograms.png", "reliability.png", "risk-coverage.png"]


def test_a_study_is_made_of_the_parts():
    table = replace(drawn(400), source={"temperature": "1.5", "checkpoint": "somebody"})
    found = study(table, 0.9)
    assert found.scores == calibration_scores(table) and found.scaling == compare_scaling(table)
    assert found.cross_fitted == calibration_scores(cross_fitted(table))
    assert found.abstention == abstention(table, 0.9) and found.curve == risk_coverage(table)
    assert found.overall == reliability(table) and found.histograms == histograms(table)
    assert found.by_answer == tuple(reliability(table, name) for name in EMOTIONS)
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain | asdict(found.scores)))
    assert plain["source"]["checkpoint"] == "somebody" and plain["abstention"]["held_out"]["of"] == 200
    assert list(plain["reliability"]) == ["all classes", *EMOTIONS] and list(plain["histograms"]) == list(EMOTIONS)


CASES = {"no mistakes": all_right(), "all mistakes": all_wrong(), "one class": one_class(), "two faces": drawn(2)}


@pytest.mark.parametrize("kind", CASES)
def test_odd_tables_are_written_like_any_other(kind, tmp_path):
    found = study(CASES[kind], 0.95)
    written = write(found, tmp_path / "out")
    assert [path.name for path in written] == [*PICTURES, "confidence.json"]
    content = json.loads(written[-1].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content == json.loads(json.dumps(found.to_dict()))
    for path in written[:-1]:
        with Image.open(path) as picture:
            assert min(picture.size) > 300 and picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_one_face_is_too_few():
    with pytest.raises(DataError, match="give two or more"):
        study(toy((True, 0.9)))


# the command


@pytest.fixture
def saved(tmp_path):
    replace(drawn(300), source={"temperature": "1.25", "tta": "none", "checkpoint": "x"}).save(tmp_path / "t.npz")
    return tmp_path / "t.npz"


def test_a_saved_table_is_studied_without_a_model(fer, saved, tmp_path):
    outcome = fer("confidence", "--table", saved, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == json.loads((tmp_path / "out" / "confidence.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == json.loads(json.dumps(study(PredictionTable.load(saved)).to_dict()))
    assert [line.split("/")[-1] for line in outcome.err.splitlines()] == [*PICTURES, "confidence.json"]


def test_a_checkpoint_is_run_and_gives_what_its_table_gives(fer, checkpoint_file, fake_zip, tmp_path):
    fer("evaluate", "-c", checkpoint_file, "-d", fake_zip, "--table", tmp_path / "t.npz", "--json")
    ours = fer("confidence", "-c", checkpoint_file, "-d", fake_zip, "--out", tmp_path / "a", "--json")
    theirs = fer("confidence", "--table", tmp_path / "t.npz", "--out", tmp_path / "b", "--json")
    assert ours.code == theirs.code == 0 and ours.out == theirs.out
    assert json.loads(ours.out)["scaling"]["temperature"] == 1.0


def test_people_see_calibration_before_and_after_and_the_threshold(fer, saved, tmp_path):
    out = fer("confidence", "--table", saved, "--out", tmp_path / "out", "--accuracy", "0.9").out
    found = study(PredictionTable.load(saved), 0.9)
    for scores in (found.scores, found.scaling.raw, found.scaling.scaled, found.cross_fitted):
        assert all(f"{value:.4f}" in out for value in (scores.ece, scores.adaptive_ece, scores.brier, scores.log_loss))
    assert f'"unsure" below {found.abstention.threshold:.4f}, chosen for 90% accuracy' in out
    assert (
        f"{100 * found.abstention.held_out.coverage:.2f} %" in out
        and f"{100 * found.abstention.held_out.accuracy:.2f} %" in out
    )


def test_a_table_of_one_class_is_not_called_the_whole_split(fer, tmp_path):
    one_class().save(tmp_path / "t.npz")
    out = fer("confidence", "--table", tmp_path / "t.npz", "--out", tmp_path / "out").out
    assert "calibration, test split" in out and "whole" not in out
    assert sum("all faces of the table" in line and "50.00 %" in line for line in out.splitlines()) == 2


def test_a_wish_that_cannot_be_met_is_said_in_the_table(fer, tmp_path):
    all_wrong().save(tmp_path / "t.npz")
    outcome = fer("confidence", "--table", tmp_path / "t.npz", "--out", tmp_path / "out")
    assert outcome.code == 0 and "no threshold reaches 80% accuracy" in outcome.out and "unknown" in outcome.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--table", "TABLE", "--checkpoint", "custom_cnn"], ["--table", "not both"]),
        (["--table", "TABLE", "--split", "test"], ["--table", "not both"]),
        (["--table", "TABLE", "--accuracy", "80"], ["80", "up to 1"]),
        (["--data", "nowhere.zip", "--accuracy", "80"], ["80", "up to 1"]),  # before any face is judged
        (["--table", "TABLE", "--accuracy", "much"], ["--accuracy"]),
        (["--table", "nowhere.npz"], ["nowhere.npz", "fer evaluate"]),
        (["--table", "ONE"], ["one face", "two or more"]),
        (["--table", "STRANGE"], ["cat", "known classes"]),
        (["--table", "WARM"], ["warm", "fer evaluate"]),
        (["--table", "WARM_TTA"], ["warm", "fer evaluate"]),
        (["--data", "nowhere"], ["nowhere"]),
        (["--data", "nowhere", "--checkpoint", "nobody"], ["nobody"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(options, words, fer, saved, tmp_path, monkeypatch):
    drawn(5).rows([0]).save(tmp_path / "one.npz")
    replace(drawn(5, classes=("fear", "sad")), classes=("cat", "dog")).save(tmp_path / "strange.npz")
    replace(drawn(5), source={"temperature": "warm"}).save(tmp_path / "warm.npz")
    replace(drawn(5), source={"temperature": "warm", "tta": "flip"}).save(tmp_path / "tta.npz")
    places = {"TABLE": saved, "ONE": tmp_path / "one.npz", "STRANGE": tmp_path / "strange.npz", "WARM": tmp_path / "warm.npz"}
    places["WARM_TTA"] = tmp_path / "tta.npz"
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outcome = fer("confidence", *(places.get(option, option) for option in options))
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert all(word in line for word in words), line
    assert list((tmp_path / "work").iterdir()) == []


def test_a_file_in_the_way_is_one_line(fer, saved, tmp_path):
    (tmp_path / "out").write_text("in the way", encoding="utf-8")
    outcome = fer("confidence", "--table", saved, "--out", tmp_path / "out")
    assert outcome.code == 2 and outcome.out == "" and "choose another" in outcome.err


# real data


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["custom_cnn", None], ids=["custom_cnn", "default"])
def test_checkpoints_are_as_well_calibrated_as_chance_lets_one_see(name):
    checkpoint = checkpoints.load(name)
    found = study(evaluate_checkpoint(checkpoint, load(REAL_DATA).split("validation")))
    scaled = found.scaling.scaled
    assert found.scaling.temperature == checkpoint.card.temperature and scaled.n == 1794
    assert scaled.ece == pytest.approx(checkpoint.card.metrics["validation/held-out"]["ece"], abs=2e-3)
    assert scaled.ece <= scaled.chance.high and found.cross_fitted.ece <= 0.03
    # of the default, whose other half is the easier one, all faces are asked, each by what was fitted without it
    assert (scaled if name else found.cross_fitted).adaptive_ece <= 0.03
    assert scaled.log_loss < found.scaling.raw.log_loss and scaled.brier < found.scaling.raw.brier
    low, high = found.abstention.held_out.interval
    assert low < 0.83 and high > 0.8 and found.abstention.held_out.coverage > 0.6
