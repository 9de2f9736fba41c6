"""Results of other commands in a report: recognised, read as they were written, shown, or refused in one line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import validate
from PIL import Image

from analysis.explain import explain_set
from analysis.labels.audit import audit
from analysis.labels.report import LabelReport
from analysis.regions.study import Plan, study
from analysis.report import Report, readers, schema
from analysis.report.extras import KINDS, read_extra, read_extras, refuse_other_checkpoint
from analysis.report.page import html
from analysis.robustness import Plan as Stressed
from analysis.robustness import stress
from fer import checkpoint as checkpoints
from fer.data import load
from fer.data.clean import LeftOut, make_index
from fer.emotions import EMOTIONS
from fer.errors import ConfigError
from fer.types import PredictionTable
from tests.analysis import extras
from tests.analysis.reports import Seen, material_of, numbers_in, shown_in
from tests.analysis.tables import drawn

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


@pytest.fixture
def table(checkpoint_file):
    model, one = checkpoints.load(checkpoint_file), drawn(120)
    source = {"checkpoint": model.name, "weights_sha256": model.card.weights_sha256}
    return PredictionTable(one.logits, one.labels, one.names, EMOTIONS, "validation", source)


@pytest.fixture
def files(table, fake_folder):
    return extras.contents(table, load(fake_folder).fingerprint)


def as_json(value):
    return json.loads(json.dumps(value))


def test_every_kind_is_recognised_and_read_as_it_was_written(files, tmp_path, table):
    found = read_extras([tmp_path] if extras.write(tmp_path, files) else [])
    assert set(found) == set(KINDS) == set(files)
    for kind, (name, content) in files.items():
        assert found[kind].path == tmp_path / name and found[kind].content == as_json(content)
    assert as_json(found["robustness"].value.to_dict()) == as_json(files["robustness"][1])
    assert as_json(found["comparison"].value.to_dict()) == as_json(
        {k: v for k, v in files["comparison"][1].items() if k != "sources"}
    )
    (method,) = found["faithfulness"].value
    assert method.to_dict() == files["faithfulness"][1]["reports"][0]
    assert found["label_audit"].value.audit.to_dict() == as_json(audit(table).to_dict())


def test_regions_and_features_are_read(files):
    regions, features = readers.Regions.of(files["regions"][1]), readers.Features.of(files["features"][1])
    assert regions.lift["happy", "right", 17] == {"eyes": 1.5432, "mouth": 0.75, "background": 0.25}
    assert regions.effect["happy", "wrong", 0] == dict.fromkeys(extras.REGIONS)
    assert regions.verdicts == {"happy": "AU 6+12 move eyes and mouth: the map lies more there"}
    assert features.right == {
        "the network": (0.6543, (0.61, 0.69)), "10 neighbours, features": (0.6543, (0.61, 0.69)),
        "10 neighbours, pixels": (0.25, (0.2, 0.3)),
    }  # fmt: skip
    assert features.silhouette == 0.0931 and list(features.per_class) == ["happy", "sad"]
    assert features.mingling == (("sad", "neutral", 16, 0.1623),)


def test_regions_as_the_command_writes_them_are_read(checkpoint_file, fake_folder, tmp_path):
    model, faces = checkpoints.load(checkpoint_file), load(fake_folder).split("validation")
    found = study(model, faces, explain_set(model, faces), Plan(faces=7))
    (path,) = extras.write(tmp_path, {"regions": ("regions.json", found.to_dict())})
    read = read_extra(path)
    assert (read.kind, read.checkpoints) == ("regions", {"random"}) and read.value.area == found.area
    for group in found.groups:
        n = max(mean.n for mean in group.lift.values())
        assert read.value.lift[group.name, group.group, n] == {name: mean.mean for name, mean in group.lift.items()}
    assert read.value.strays == found.background.faces


@pytest.fixture
def report(files, tmp_path, table, checkpoint_file):
    for name in KINDS["features"].pictures:
        Image.fromarray(np.full((40, 300), 200, dtype=np.uint8)).save(tmp_path / name)
    found = read_extras(extras.write(tmp_path, files))
    return Report.of(material_of(table, checkpoint_file, votes=True, **found))


def test_all_of_them_are_shown_with_their_numbers(report):
    content = as_json(report.to_dict())
    validate(content, schema())
    assert report.absent == {} and report.undefined == {}
    words = Seen(html(report)).words
    for name in ("faithfulness", "regions", "features", "robustness", "comparison", "labels", "data"):
        shown = set(shown_in(words[f"s-{name}"]))
        assert len(shown) > 2 and shown <= set(numbers_in([content["n"], content["sections"][name]])), name
    for name, some in {
        "regions": ("1.54", "+12.3", "-5.6", "12.50 %", "undefined", "the map lies more there"),
        "features": (
            "65.43 % 61.00 % to 69.00 %",
            "0.0931",
            "happy 40 80.00 % (70.00 % to 85.00 %) 0.2500",
            "sad among neutral 16 16.23 %",
            "undefined",
            "0.9876",
        ),
        "robustness": ("65.00 %", "20.00 55.00 % 35.00 %"),
        "faithfulness": (
            "validation split, n = 40 faces",
            "0.3100",
            "beats a centred blob by 0 and a random map by 3 of 3",
            "0.6100",
        ),
        "comparison": ("other against random",),
        "data": ("leak 0 4", "conflict 21 5"),
        "labels": ("Confident learning on the answers of random calls",),
    }.items():
        text = " ".join(words[f"s-{name}"].split())
        assert [part for part in some if part not in text] == [], name


def test_a_file_and_its_folder_are_one(files, tmp_path):
    (path,) = extras.write(tmp_path, {"regions": files["regions"]})
    assert read_extras([tmp_path, path])["regions"].content == as_json(files["regions"][1])


def test_pictures_beside_a_result_are_shown_and_a_missing_one_is_left_out(report):
    pictures = [part for part in report.sections["features"].content if hasattr(part, "alt")]
    assert len(pictures) == 5 and all(picture.width == round(300 / 150 * 96) for picture in pictures)
    assert not [part for part in report.sections["regions"].content if hasattr(part, "alt")]


def test_an_audit_of_other_faces_is_a_table(files, tmp_path, table, checkpoint_file):
    name, content = files["label_audit"]
    moved = {**content, "ranking": [{**one, "name": f"elsewhere-{one['name']}"} for one in content["ranking"]]}
    (path,) = extras.write(tmp_path, {"label_audit": (name, moved)})
    words = Seen(html(Report.of(material_of(table, checkpoint_file, label_audit=read_extra(path))))).words["s-labels"]
    assert f"elsewhere-{content['ranking'][0]['name']}" in words


def test_the_votes_of_the_report_are_set_beside_an_audit_that_has_none(files, tmp_path, table, checkpoint_file):
    (path,) = extras.write(tmp_path, {"label_audit": files["label_audit"]})
    given = read_extra(path)
    alone = Report.of(material_of(table, checkpoint_file, votes=True))
    both = Report.of(material_of(table, checkpoint_file, votes=True, label_audit=given))
    assert both.sections["labels"].numbers == alone.sections["labels"].numbers
    words = Seen(html(both)).words["s-labels"]
    assert "Ten people voted on each face" in words and "Nobody's votes were given" not in words


@pytest.mark.parametrize("votes", [True, False])
def test_an_audit_of_others_without_votes_is_said_to_have_none(votes, files, tmp_path, table, checkpoint_file):
    name, content = files["label_audit"]
    for number, other in enumerate(({"n": 121}, {"ranking": content["ranking"][::-1]})):
        (path,) = extras.write(tmp_path / str(number), {"label_audit": (name, {**content, **other})})
        report = Report.of(material_of(table, checkpoint_file, votes=votes, label_audit=read_extra(path)))
        words = Seen(html(report)).words["s-labels"]
        assert "made anew with fer labels audit --votes FILE" in words and "were given" not in words
        assert report.sections["labels"].numbers["taggers"] is None


def test_faces_that_stray_are_shown_where_the_result_counts_some(files, tmp_path, table, checkpoint_file):
    Image.fromarray(np.full((40, 300), 200, dtype=np.uint8)).save(tmp_path / "background.png")
    name, content = files["regions"]
    for strays in (3, 0):
        result = {**content, "background": {"faces": {"happy": strays}, "worst": []}}
        (path,) = extras.write(tmp_path, {"regions": (name, result)})
        section = Report.of(material_of(table, checkpoint_file, regions=read_extra(path))).sections["regions"]
        assert bool([part for part in section.content if hasattr(part, "alt")]) is (strays > 0)


@pytest.fixture
def refused(fer, tmp_path, monkeypatch, checkpoint_file, fake_folder):
    """Checks that a command line ends in one line with ``words``, exit code 2, and no report."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*arguments, words, usual=True):
        given = ("--checkpoint", checkpoint_file, "--data", fake_folder) if usual else ()
        outcome = fer("report", *arguments, *given)
        (line,) = outcome.err.splitlines()
        assert outcome.code == 2 and outcome.out == "" and line.startswith("fer: ") and list(work.iterdir()) == []
        assert [word for word in words if word not in line] == [], line

    return run


BAD = {
    "missing": (None, ("cannot read", "No such file")),
    "no JSON": ("{", ("is no JSON",)),
    "of no known kind": ('{"a": 1}', ("is nothing that a report can show", "faithfulness.json")),
    "a list": ("[1]", ("is nothing that a report can show",)),
    "empty": ("", ("is no JSON",)),
    "deep": ("[" * 100_000, ("is no JSON",)),
    "damaged index": ('{"left_out": 3}', ("is no clean index",)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file(name, refused, tmp_path):
    content, words = BAD[name]
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    refused("--with", path, words=(str(path), *words))


LOST = {
    "faithfulness": ("reports", [{}]), "regions": ("area", None), "features": ("separation", {}),
    "robustness": ("clean", {"a": 1}), "comparison": ("models", [3]),
    "label_audit": ("ranking", [{}]), "data_check": ("kinds", {"leak": {}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file(kind, refused, files, tmp_path):
    name, content = files[kind]
    key, value = LOST[kind]
    (path,) = extras.write(tmp_path, {kind: (name, {**content, key: value})})
    refused("--with", path, words=(str(path), "damaged", kind.replace("_", " "), "write it anew"))


def test_a_damaged_picture(refused, files, tmp_path):
    (path,) = extras.write(tmp_path, {"features": files["features"]})
    (tmp_path / "map.png").write_bytes(b"<svg onload=alert(1)>")
    refused("--with", path, words=("damaged features", "map.png is no PNG"))


def test_two_of_one_kind_and_a_folder_without_any(refused, files, tmp_path):
    one, other = (extras.write(tmp_path / name, {"regions": files["regions"]})[0] for name in ("one", "other"))
    refused("--with", one, "--with", other, words=(str(other), "second regions", str(one)))
    refused("--with", tmp_path, words=(str(tmp_path), "holds nothing that a report can show"))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"data_check"}))
def test_a_result_of_another_checkpoint(kind, refused, files, tmp_path):
    name, content = files[kind]
    (path,) = extras.write(tmp_path, {kind: (name, content)})
    refused(
        "--with", path, "--checkpoint", "baseline", usual=False,
        words=(str(path), "random", "not of baseline", "--checkpoint"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["faithfulness", "regions", "robustness", "features", "comparison"])
def test_a_result_of_other_weights_of_the_same_name(kind, refused, files, tmp_path, table):
    ours = table.source["weights_sha256"]
    other = json.loads(json.dumps(files[kind][1]).replace(ours, "f" * 64))
    (path,) = extras.write(tmp_path, {kind: (files[kind][0], other)})
    refused("--with", path, words=(str(path), "random (other weights, ffffffffffff…), not of random", "--checkpoint"))


@pytest.mark.parametrize("kind", ["faithfulness", "regions", "robustness"])
def test_a_result_that_knows_no_weights_is_told_by_its_name(kind, files, tmp_path, checkpoint_file):
    name, content = files[kind]
    older = {key: value for key, value in content.items() if key not in ("source", "sources")}
    (path,) = extras.write(tmp_path, {kind: (name, older)})
    refuse_other_checkpoint(read_extras([path]), checkpoints.load(checkpoint_file))


def test_results_are_told_by_the_weights_they_were_made_of(checkpoint_file, fake_folder):
    model, faces = checkpoints.load(checkpoint_file), load(fake_folder).split("validation")
    regions = study(model, faces, explain_set(model, faces), Plan(faces=7)).to_dict()
    stressed = stress(model, faces, Stressed(("blur",), faces=7, maps=0)).to_dict()
    for source in (regions["source"], stressed["source"]):
        assert (source["checkpoint"], source["weights_sha256"]) == ("random", model.card.weights_sha256)


@pytest.mark.parametrize("kind", ["faithfulness", "regions", "robustness", "features", "comparison"])
def test_a_result_of_another_split(kind, refused, files, tmp_path):
    name, content = files[kind]
    numbers = {"n": 21, "of": 21, "split": "test"}  # as many faces as the report: PublicTest and PrivateTest are, too
    (path,) = extras.write(tmp_path, {kind: (name, {**content, **numbers})})
    refused("--with", path, words=(str(path), "of the test split, the report of the validation split", "--split test"))


def test_a_check_of_other_data(refused, files, tmp_path):
    name, content = files["data_check"]
    (path,) = extras.write(tmp_path, {"data_check": (name, {**content, "fingerprint": "0" * 64})})
    refused("--with", path, words=(str(path), "other data", "000000000000"))
    path = tmp_path / "clean.json"
    make_index("0" * 64, []).write(path)
    refused("--with", path, words=("other data", "000000000000"))


@pytest.mark.parametrize("kind, key", [("regions", "n"), ("features", "of")])
def test_a_result_of_other_faces(kind, key, refused, files, tmp_path):
    name, content = files[kind]
    (path,) = extras.write(tmp_path, {kind: (name, {**content, key: 1_234})})
    refused("--with", path, words=(str(path), "of 1,234 faces", "the report of 21"))


def test_values_of_another_kind(refused, files, tmp_path):
    name, content = files["faithfulness"]
    reports = [{**one, "ratings": {m: {k: "much" for k in r} for m, r in one["ratings"].items()}} for one in content["reports"]]
    (path,) = extras.write(tmp_path, {"faithfulness": (name, {**content, "reports": reports})})
    refused("--with", path, words=("aithfulness", "write", "anew"))


def test_other_bad_input(refused, checkpoint_file, fake_folder, tmp_path):
    refused("--checkpoint", checkpoint_file, words=("data",), usual=False)
    refused("--from", tmp_path / "none", words=("predictions.npz",))
    refused("--from", tmp_path, "--split", "test", words=("--from", "not both"))
    refused("--split", "holiday", words=("holiday",))
    refused("--method", "tea-leaves", words=("tea-leaves",))
    refused("--votes", tmp_path / "none.csv", words=("none.csv",))


def test_the_command_writes_page_and_numbers_and_from_gives_the_same(fer, checkpoint_file, fake_folder, tmp_path):
    usual = ("--checkpoint", checkpoint_file, "--data", fake_folder)
    first = fer("report", *usual, "--out", tmp_path / "first")
    assert first.code == 0, first.err
    paths = [tmp_path / "first" / name for name in ("report.html", "report.json")]
    assert first.out.splitlines() == [str(path) for path in paths] and all(path.exists() for path in paths)
    content = json.loads(paths[1].read_text(encoding="utf-8"))
    validate(content, schema())
    assert content["n"] == 21
    assert fer("explain", *usual, "--out", tmp_path / "pass").code == 0
    again = fer("report", *usual, "--from", tmp_path / "pass", "--out", tmp_path / "again")
    assert again.code == 0 and json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8")) == content


def test_votes_by_name(fer, checkpoint_file, fake_folder, tmp_path):
    names = load(fake_folder).split("validation").names
    votes = f"file,usage,{','.join(VOTES)}\n" + "".join(f"{name},PublicTest,9,1,{'0,' * 7}0\n" for name in names)
    (tmp_path / "votes.csv").write_text(votes, encoding="utf-8")
    made = fer(
        "report", "-c", checkpoint_file, "-d", fake_folder, "--votes", tmp_path / "votes.csv", "--out", tmp_path / "out"
    )  # fmt: skip
    assert made.code == 0, made.err
    content = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert content["sections"]["labels"]["taggers"]["n"] == 21


def test_a_clean_index_gives_the_figures_without_what_it_leaves_out(table, checkpoint_file, tmp_path):
    corpus = material_of(table, checkpoint_file).corpus
    gone = [LeftOut(table.split, table.names[row], "leak") for row in range(20)]
    make_index(corpus.named_fingerprint, gone).write(tmp_path / "clean.json")
    report = Report.of(material_of(table, checkpoint_file, **read_extras([tmp_path])))
    clean, right = report.sections["data"].numbers["clean"], table.labels == table.predicted
    assert clean["left_out"] == 20 and clean["metrics"]["accuracy"] == pytest.approx(right[20:].mean())
    words = Seen(html(report)).words["s-data"]
    assert f"the accuracy moves by {100 * abs(right[20:].mean() - right.mean()):.2f} points" in words


def test_an_audit_of_folds_is_shown_with_any_checkpoint(table, checkpoint_file, tmp_path):
    source = {"checkpoint": "series, 2 folds", "weights_sha256": "a, b", "folds": "2"}
    content = LabelReport(audit(replace(table, source=source)), None).to_dict()
    (path,) = extras.write(tmp_path, {"label_audit": ("label-audit.json", content)})
    found, model = read_extras([path]), checkpoints.load(checkpoint_file)
    assert found["label_audit"].sources == [source]
    refuse_other_checkpoint(found, model)
    other = found["label_audit"].content | {"source": {"checkpoint": "another", "weights_sha256": "a"}}
    with pytest.raises(ConfigError, match="is of another, not of random"):
        refuse_other_checkpoint({"label_audit": replace(found["label_audit"], content=other)}, model)
