"""Checkpoints: what is saved comes back, nothing in a file is executed, and a file that is not good is refused in one line."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fer import released
from fer.card import SCHEMA, Card
from fer.checkpoint import load, rounded, save
from fer.combine import combine
from fer.data import load as load_data
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError, OutputError
from fer.evaluation import evaluate_checkpoint
from fer.models import MODELS
from fer.types import Preprocess
from tests.conftest import save_random
from tests.fer.strange import RunsCode, evil_pickle, torch_saved

# what is saved comes back


def card_of(architecture="custom_cnn", **values):
    return Card(architecture, "small", EMOTIONS, Preprocess(), **values)


def state_of(architecture="custom_cnn"):
    return MODELS[architecture].variants["small"].build(len(EMOTIONS), 0.0).state_dict()


def content_of(path):
    return torch.load(path, weights_only=True)


def test_weights_come_back_bit_for_bit(tmp_path):
    state = state_of()
    save(tmp_path / "a.pth", state, card_of())
    found = load(tmp_path / "a.pth").model.cpu().state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_the_card_comes_back_whole(tmp_path):
    card = card_of(
        config={"dropout": 0.2, "lr": 0.05},
        seed=7,
        class_weights=(1.03, 9.41, 1.0, 0.57, 0.83, 0.85, 1.29),
        best_epoch=3,
        train_accuracy=0.7,
        validation_accuracy=0.6,
        metrics={"validation": {"n": 3589, "ci95": [0.58, 0.62]}},
        data={"fingerprint": "ab" * 32},
        versions={"torch": "2.11"},
        hardware={"device": "CPU"},
    )
    written = save(tmp_path / "a.pth", state_of(), card)
    assert load(tmp_path / "a.pth").card == written
    assert dataclasses.replace(written, weights_sha256="") == card
    assert len(written.weights_sha256) == 64


def test_a_loaded_model_is_ready_to_judge(checkpoint_file):
    loaded = load(checkpoint_file)
    assert not loaded.model.training and loaded.name == "random"
    assert all(p.dtype == torch.float32 for p in loaded.model.parameters())


def test_half_precision_halves_the_file_and_loads_as_float(tmp_path):
    state = state_of()
    save(tmp_path / "full.pth", state, card_of())
    save(tmp_path / "half.pth", state, card_of(), half=state)
    assert (tmp_path / "half.pth").stat().st_size < 0.55 * (tmp_path / "full.pth").stat().st_size
    found = load(tmp_path / "half.pth").model.cpu().state_dict()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_allclose(found[name], tensor, rtol=1e-3, atol=1e-6)


def test_half_precision_is_for_the_tensors_that_are_named(tmp_path):
    state = state_of()
    named, *others = (name for name, tensor in state.items() if tensor.is_floating_point() and tensor.ndim > 1)
    save(tmp_path / "part.pth", state, card_of(), half=(named,))
    found = load(tmp_path / "part.pth").model.cpu().state_dict()
    assert torch.equal(found[named], state[named].half().float()) and not torch.equal(found[named], state[named])
    assert others and all(torch.equal(found[name], state[name]) for name in others)
    assert all(torch.equal(found[name], tensor) for name, tensor in rounded(state, (named,)).items())


def test_what_half_precision_cannot_hold_is_stored_whole(tmp_path):
    state = state_of("baseline")
    large, other, *_ = (name for name, tensor in state.items() if tensor.is_floating_point())
    state[large].view(-1)[0] = 1e5  # the largest number in half precision is 65,504
    save(tmp_path / "half.pth", state, card_of("baseline"), half=state)
    found = load(tmp_path / "half.pth").model.cpu().state_dict()
    assert torch.equal(found[large], state[large])
    for read in (found, rounded(state, state)):
        assert torch.equal(read[other], state[other].half().float())
    assert all(torch.equal(found[name], tensor) for name, tensor in rounded(state, state).items())


def test_the_file_holds_tensors_and_plain_values_only(checkpoint_file):
    content = content_of(checkpoint_file)
    assert set(content) == {"format", "schema", "card", "state_dict"}
    assert content["schema"] == SCHEMA
    assert json.loads(content["card"])["classes"] == list(EMOTIONS)


@pytest.mark.parametrize("keep", ["nothing there", "older file"])
def test_a_save_that_fails_leaves_everything_as_it_was(keep, tmp_path):
    target = tmp_path / "a.pth"
    target.mkdir()  # a folder in the way cannot be replaced by a file
    if keep == "older file":
        save(tmp_path / "b.pth", state_of(), card_of())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"a\.pth"):
        save(target, state_of(), card_of())
    assert sorted(tmp_path.iterdir()) == before


def test_saving_into_a_missing_folder_names_the_path(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere.*a\.pth"):
        save(tmp_path / "nowhere" / "a.pth", state_of(), card_of())


def test_an_older_file_is_replaced(tmp_path):
    for epoch in (1, 2):
        save(tmp_path / "a.pth", state_of(), card_of(best_epoch=epoch))
    assert load(tmp_path / "a.pth").card.best_epoch == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_the_order_of_classes_on_the_card_counts_in_prediction_and_evaluation(fake_zip, tmp_path):
    """The same network with its outputs and its class names in another order must be just as right."""
    faces = load_data(fake_zip).split("train")
    state, turned = state_of("custom_cnn"), [6, 5, 4, 3, 2, 1, 0]
    save(tmp_path / "a.pth", state, card_of())
    last = max(name for name in state if name.startswith("head") and name.endswith("bias")).removesuffix("bias")
    other = state | {f"{last}{part}": state[f"{last}{part}"][turned] for part in ("weight", "bias")}
    save(tmp_path / "b.pth", other, dataclasses.replace(card_of(), classes=tuple(EMOTIONS[i] for i in turned)))
    one, two = (evaluate_checkpoint(load(tmp_path / name), faces) for name in ("a.pth", "b.pth"))
    right = [[t.classes[p] == EMOTIONS[label] for p, label in zip(t.predicted, faces.labels, strict=True)] for t in (one, two)]
    assert right[0] == right[1]
    assert [two.classes[label] for label in two.labels] == [EMOTIONS[label] for label in faces.labels]


# names


@pytest.fixture
def zoo(tmp_path, monkeypatch, checkpoint_file):
    """A folder of released checkpoints: ``second`` is the default."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    for name in ("first", "second"):
        (folder / f"{name}.pth").write_bytes(checkpoint_file.read_bytes())
    (folder / "DEFAULT").write_text("second\n", encoding="utf-8")
    monkeypatch.setattr(released, "RELEASED", folder)
    monkeypatch.setattr(released, "_DEFAULT_FILE", folder / "DEFAULT")
    return folder


def test_a_released_checkpoint_is_found_by_its_name(zoo):
    assert load("first").name == "first"
    assert released.find("first") == zoo / "first.pth"


def test_without_a_name_the_default_is_loaded(zoo):
    assert load().name == "second"
    assert released.released_names() == ["second", "first"]


def test_a_file_comes_before_a_released_name(zoo, checkpoint_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first").write_bytes(checkpoint_file.read_bytes())
    assert released.find("first").resolve() == tmp_path / "first"


def test_the_folder_of_a_run_stands_for_its_best_after_released_names(zoo, checkpoint_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/one", "first"):
        Path(folder).mkdir(parents=True)
        Path(folder, "best.pth").write_bytes(checkpoint_file.read_bytes())
    assert released.find("runs/one") == Path("runs/one/best.pth")
    assert load("runs/one/").card == load(checkpoint_file).card
    assert released.find("first") == zoo / "first.pth"
    with pytest.raises(CheckpointError, match=r"no checkpoint runs: a folder without best.pth \(released: second, first"):
        load("runs")


@pytest.mark.parametrize("name", ["third", "../zoo/first", "runs/best.pth", "first.pth.bak"])
def test_an_unknown_name_lists_the_released_ones(name, zoo):
    with pytest.raises(CheckpointError, match="second, first") as error:
        load(name)
    assert name in str(error.value)


def test_what_a_killed_release_left_behind_is_no_release(zoo):
    for name in (".third.new.pth", ".fourth.onnx"):
        (zoo / name).write_bytes(b"half")
    assert released.released_names() == ["second", "first"] and released.exported_names() == []


def test_an_export_called_like_a_checkpoint_has_a_path_of_its_own(zoo):
    (zoo / "first.onnx").write_bytes(b"exported")
    assert released.find("first") == zoo / "first.pth" and released.exported_file("first") == zoo / "first.onnx"


def test_a_folder_is_no_checkpoint(zoo, tmp_path):
    with pytest.raises(CheckpointError, match="zoo"):
        load(tmp_path / "zoo")


# files that are refused


@pytest.fixture
def refused(fer, tmp_path):
    """Checks that a checkpoint file of these bytes ends in one line that names it, and returns the line."""

    def run(data):
        path = tmp_path / "strange.pth"
        path.write_bytes(data)
        outcome = fer("predict", tmp_path / "any.png", "--checkpoint", path)
        assert outcome.code == 2 and outcome.out == ""
        (line,) = outcome.err.splitlines()
        assert line.startswith("fer: ") and str(path) in line and "Traceback" not in line
        assert ";" in line, "no advice what to do"
        return line

    return run


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_refused_and_not_run(protocol, refused, tmp_path):
    mark = tmp_path / "mark"
    assert refused(evil_pickle(mark, protocol))
    assert not mark.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip form", "legacy form"])
def test_code_in_a_torch_file_is_refused_and_not_run(zipped, refused, tmp_path, checkpoint_file):
    mark = tmp_path / "mark"
    content = content_of(checkpoint_file) | {"extra": RunsCode(mark)}
    line = refused(torch_saved(content, _use_new_zipfile_serialization=zipped))
    assert not mark.exists()
    assert "code" in line and "damaged" not in line


def test_a_whole_pickled_model_is_not_called_damaged(refused):
    line = refused(torch_saved(MODELS["baseline"].variants["small"].build(7, 0.0)))
    assert "code" in line and "damaged" not in line


@pytest.mark.parametrize("keep", [1, 2, 10, 1000, 0.5, -100, -1])
def test_a_truncated_file_is_refused(keep, refused, checkpoint_file):
    data = checkpoint_file.read_bytes()
    assert refused(data[: int(len(data) * keep) if isinstance(keep, float) else keep])


STRANGE = {
    "nothing": b"",
    "html": b"\n<!DOCTYPE html>\n<html><body>Please sign in</body></html>",
    "xml": b"<?xml version='1.0'?><Error>AccessDenied</Error>",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 13830881\n",
    "text": b"the quick brown fox\n",
    "json": b'{"accuracy": 0.66}\n',
    "python": b"import torch\n",
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "zeros": bytes(500),
    "safetensors": b"\x02\0\0\0\0\0\0\0{}",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
    "float in a pickle": b"G\x9e\x87\xab",
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_checkpoint_is_refused(name, refused):
    assert refused(STRANGE[name])


def test_any_bytes_are_refused_in_one_line(tmp_path):
    random = np.random.default_rng(0)
    for number in range(300):
        path = tmp_path / f"{number}.pth"
        path.write_bytes((b"\x80\x02" if number % 2 else b"") + random.bytes(int(random.integers(1, 60))))
        with pytest.raises(CheckpointError, match=str(path)):
            load(path)


def test_a_web_page_is_called_by_its_name(refused):
    assert "web page" in refused(STRANGE["html"])


def test_a_plain_zip_is_refused(refused):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert refused(buffer.getvalue())


def test_a_torchscript_archive_is_refused(refused, checkpoint_file):
    buffer = io.BytesIO(checkpoint_file.read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        prefix = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{prefix}/constants.pkl", b"\x80\x02).")  # what torch tells TorchScript by
    assert refused(buffer.getvalue())


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, [1, 2], 5, {"format": "other"}, torch.zeros(3), None])
def test_tensors_without_a_card_are_refused(content, refused):
    assert "--init" in refused(torch_saved(content))


@pytest.mark.parametrize("schema", [SCHEMA + 1, 999])
def test_a_newer_schema_says_to_upgrade(schema, refused, checkpoint_file):
    line = refused(torch_saved(content_of(checkpoint_file) | {"schema": schema}))
    assert str(schema) in line and "upgrade" in line


@pytest.mark.parametrize("schema", ["1", None, 1.5])
def test_a_schema_that_is_no_number_is_refused(schema, refused, checkpoint_file):
    assert refused(torch_saved(content_of(checkpoint_file) | {"schema": schema}))


def test_a_changed_weight_does_not_match_the_hash(refused, checkpoint_file):
    content = content_of(checkpoint_file)
    next(iter(content["state_dict"].values())).view(-1)[0] += 1e-3
    assert "sha256" in refused(torch_saved(content))


@pytest.mark.parametrize("change", ["renamed", "missing", "added", "reshaped", "half"])
def test_any_other_change_of_the_weights_does_not_match_the_hash(change, refused, checkpoint_file):
    content = content_of(checkpoint_file)
    state = content["state_dict"]
    name = next(iter(state))
    tensor = state.pop(name)
    new = {"renamed": {"x": tensor}, "missing": {}, "added": {name: tensor, "x": tensor}}
    new |= {"reshaped": {name: tensor.flatten()}, "half": {name: tensor.half()}}
    state.update(new[change])
    assert "sha256" in refused(torch_saved(content))


@pytest.mark.parametrize("state", [None, [1], {}, {"weight": 1.0}, {1: torch.zeros(2)}, "text", torch.zeros(3)])
def test_weights_that_are_no_tensors_by_name_are_refused(state, refused, checkpoint_file):
    assert refused(torch_saved(content_of(checkpoint_file) | {"state_dict": state}))


def test_a_file_without_weights_is_refused(refused, checkpoint_file):
    content = content_of(checkpoint_file)
    del content["state_dict"]
    assert refused(torch_saved(content))


@pytest.mark.parametrize("card", [None, 5, "", "no json", "[]", "{}", "null", '"text"'])
def test_a_card_that_is_none_is_refused(card, refused, checkpoint_file):
    assert "card" in refused(torch_saved(content_of(checkpoint_file) | {"card": card}))


def with_card(path, **values):
    content = content_of(path)
    return torch_saved(content | {"card": json.dumps(json.loads(content["card"]) | values)})


@pytest.mark.parametrize(
    "values",
    [
        {"preprocess": {}},
        {"preprocess": None},
        {"preprocess": {"size": 0, "channels": 1, "mean": [0.5], "std": [0.25]}},
        {"preprocess": {"size": 48, "channels": 1, "mean": [0.5], "std": [0.0]}},
        {"preprocess": {"size": 48, "channels": 1, "mean": ["a"], "std": ["b"]}},
        {"classes": 7},
        {"classes": []},
        {"classes": list(EMOTIONS[:3])},
        {"classes": ["happy"] * 7},
        {"config": []},
        {"config": None},
        {"config": {"dropout": "much"}},
        {"config": {"dropout": 5}},
        {"config": {"distillation": "net"}},
        {"data": ["fer2013"]},
        {"data": {"pretrained": "natural images"}},
        {"data": {"teachers": "net"}},
        {"data": {"teachers": ["net"]}},
        {"metrics": []},
        {"metrics": {"validation": 0.9}},
        {"hardware": "a laptop"},
        {"versions": None},
        {"data": {"teachers": [{"marks": 5}]}},
        {"data": {"started_from": "net"}},
        {"data": {"started_from": {"marks": "distilled"}}},
        {"members": ["net"]},
        {"members": [{"marks": [5]}]},
        {"members": [{"weight": "x"}]},
        {"members": [{"weight": 0}]},
        {"members": [{"temperature": -1.0}]},
        {"members": [{"temperature": float("nan")}]},
        {"members": [{"weight": float("inf")}]},
        {"data": {"splits": 5}},
        {"data": {"splits": {"validation": "ab"}}},
        {"preprocess": {"size": float("inf"), "channels": 1, "mean": [0.5], "std": [0.25]}},
        {"architecture": 5},
        {"architecture": ["resnet18"]},
        {"variant": "giant"},
        {"variant": None},
        {"weights_sha256": ""},
        {"weights_sha256": None},
    ],
    ids=str,
)
def test_a_card_that_contradicts_itself_or_the_weights_is_refused(values, refused, checkpoint_file):
    assert refused(with_card(checkpoint_file, **values))


def test_an_unknown_architecture_lists_the_known_ones(refused, checkpoint_file):
    line = refused(with_card(checkpoint_file, architecture="vit_giant"))
    assert "vit_giant" in line and all(name in line for name in ("baseline", "custom_cnn", "resnet18"))


@pytest.mark.parametrize("architecture", ["baseline", "resnet18"])
def test_weights_of_another_architecture_are_refused(architecture, refused, checkpoint_file):
    assert architecture in refused(with_card(checkpoint_file, architecture=architecture))


def test_a_newer_card_may_have_keys_this_program_does_not_know(checkpoint_file, tmp_path):
    path = tmp_path / "newer.pth"
    path.write_bytes(with_card(checkpoint_file, colour="blue"))
    assert load(path).card.architecture == "custom_cnn"


def test_weights_that_are_not_finite_are_refused(refused, tmp_path):
    state = {name: torch.full_like(t, float("nan")) if t.is_floating_point() else t for name, t in state_of().items()}
    save(tmp_path / "nan.pth", state, card_of())
    assert refused((tmp_path / "nan.pth").read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"preprocess": {"size": 0, "channels": 1, "mean": [0.5], "std": [0.25]}},
        {"preprocess": {"size": "large", "channels": 1, "mean": [0.5], "std": [0.25]}},
        {"preprocess": {"size": 48, "channels": 1, "mean": ["a"], "std": ["b"]}},
        {"preprocess": 5},
        {"architecture": ["baseline"]},
        {"variant": 5},
        {"weight": "x"},
        {"weight": 0},
        {"temperature": 0},
        {"temperature": float("nan")},
    ],
    ids=str,
)
def test_an_ensemble_with_a_member_that_cannot_be_is_refused(change, refused, tmp_path):
    members = [save_random(tmp_path / f"{seed}.pth", "baseline", seed=seed) for seed in (0, 1)]
    together = combine([load(path) for path in members])
    described = [{**together.card.members[0], **change}, *together.card.members[1:]]
    save(tmp_path / "both.pth", together.model.state_dict(), together.card)
    assert "both" not in refused(with_card(tmp_path / "both.pth", members=described))
