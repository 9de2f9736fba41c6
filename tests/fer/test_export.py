"""Exports in every format: what the proof says, what is refused, and that nothing is half written."""

import copy
import hashlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from sklearn.metrics import accuracy_score

from analysis.question import Question, ask
from fer import checkpoint as checkpoints
from fer.data import load as load_data
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError, ConfigError, ExportError, OutputError
from fer.evaluation import evaluate_checkpoint, judge
from fer.export import FORMATS, Evidence, Proof, Tolerance, calibration_faces, export
from fer.export.format import Blueprint
from fer.export.graph import Graph
from fer.export.onnx_int8 import quantised
from fer.export.proof import prove
from fer.portable import Portable, load, read_seal
from fer.portable.onnx_file import checksum, with_checksum
from fer.portable.seal import Seal
from fer.portable.torch_file import with_comment
from fer.reliability import calibration_error
from fer.samples import sample_path
from fer.types import Box, Face, softmax
from tests.conftest import ROOT
from tests.fer.fitted import fitted
from tests.fer.strange import evil_pickle


@pytest.fixture(scope="module")
def checkpoint(fake_zip):
    """A net that knows the fake faces, with a hidden layer behind its map."""
    return fitted(load_data(fake_zip).split("train"))


@pytest.fixture(scope="module")
def evidence(checkpoint, fake_zip):
    """The fake faces of all classes, far from every border, so integers do not change a class; the last five labelled wrong."""
    faces = load_data(fake_zip).split("train")
    logits, labels = judge(checkpoint, faces.images), faces.labels.clone()
    best = logits.topk(2).values
    assert torch.equal(logits.argmax(1), labels) and set(labels.tolist()) == set(range(7))
    assert float((best[:, 0] - best[:, 1]).min()) > 4
    labels[-5:] = (labels[-5:] + 1) % 7
    return Evidence(replace(faces, labels=labels, split="validation"), calibration_faces(faces, 32))


@pytest.fixture(scope="module", params=list(FORMATS))
def exported(request, checkpoint, evidence, tmp_path_factory):
    """Format, what was said of the file, and the file, for every format."""
    path = tmp_path_factory.mktemp("exported") / f"m{FORMATS[request.param].suffix}"
    return request.param, export(checkpoint, path, request.param, evidence), path


def test_the_proof_says_what_the_file_answers(exported, checkpoint, evidence):
    name, seal, path = exported
    faces, opened = evidence.labelled, load(path)
    before, after = judge(checkpoint, faces.images).numpy(), opened.answer(faces.images.numpy())
    proof = seal.proof
    assert (proof["faces"], proof["n"], proof["data"]) == ("validation", len(faces), faces.fingerprint)
    assert proof["logits"] == pytest.approx(np.abs(before - after).max(), abs=1e-6)
    assert proof["agreement"] == np.mean(before.argmax(1) == after.argmax(1))
    assert set(after.argmax(1)) == set(range(7)) and proof["accuracy"] == (37 / 42, 37 / 42)
    for logits, accuracy, error in zip((before, after), proof["accuracy"], proof["calibration_error"], strict=True):
        assert accuracy == accuracy_score(faces.labels.numpy(), logits.argmax(1))
        assert error == pytest.approx(calibration_error(faces.labels.numpy(), softmax(logits)), abs=1e-6)
    assert FORMATS[name].tolerance.broken_by(Proof(**proof)) == []
    if name != "onnx-int8":
        assert proof["logits"] < 1e-4


def test_the_proof_compares_heatmaps(exported, checkpoint, evidence):
    _, seal, path = exported
    pixels = evidence.labelled.images.numpy()
    faces = [Face(np.repeat(one[0, :, :, None], 3, axis=2), Box(0, 0, 48, 48), 1.0, "test") for one in pixels]
    maps = [ask(model, faces, Question()) for model in (checkpoint, load(path))]
    pairs = [np.corrcoef(a.values.ravel(), b.values.ravel())[0, 1] for a, b in zip(*maps, strict=True)]
    assert seal.proof["maps"] == len(faces)
    assert seal.proof["map_correlation"] == pytest.approx(np.nanmean(pairs), abs=1e-3)


def test_threads_that_ask_at_once_get_their_own_answers(exported, evidence):
    _, _, path = exported
    opened, faces = load(path, threads=1), evidence.labelled.images.numpy()
    alone = [opened.answer(face[None]) for face in faces]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(15):
            together = pool.map(lambda face: opened.answer(face[None]), faces)
            np.testing.assert_allclose(list(together), alone, atol=1e-5)


def test_a_file_of_somebody_else_is_not_replaced_by_the_second_of_two(checkpoint, tmp_path):
    (tmp_path / "m.bin").write_text("precious", encoding="utf-8")
    with pytest.raises(OutputError, match=r"m\.xml is kept in two files, and .*m\.bin is there already"):
        export(checkpoint, tmp_path / "m.xml", "openvino")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["precious"]


#: Opens a model in this thread and in another one, lets go of them in that order, then hears a signal.
LET_GO = """
import os, signal, sys, threading
from fer.portable import load
heard = []
signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
models = [load(sys.argv[1]), load(sys.argv[1])]
thread = threading.Thread(target=lambda: models.append(load(sys.argv[1])))
thread.start()
thread.join()
while models:
    del models[0]
os.kill(os.getpid(), signal.SIGINT)
assert heard == [signal.SIGINT], heard
"""


def test_a_signal_is_heard_after_models_were_let_go(exported):
    command = [sys.executable, "-c", LET_GO, str(exported[2])]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", [None, "top1"])
def test_a_face_answered_as_the_class_it_is_set_against_is_an_expected_error(checkpoint, target):
    """Whatever computes: here what is sure that every face is sad."""

    def sad(faces, wanted):
        n, sure = len(faces), np.eye(7, dtype=np.float32)[EMOTIONS.index("sad")]
        answers = {"logits": np.tile(sure, (n, 1)), "features": np.zeros((n, 4, 6, 6)), "weights": np.zeros((n, 7, 4))}
        return [answers[name] for name in wanted]

    opened = Portable(sad, Seal(checkpoint.card, "onnx"), "sad")
    faces = [Face(np.zeros((48, 48, 3), np.uint8), Box(0, 0, 48, 48), 1.0, "test")] * 2
    with pytest.raises(ConfigError, match="of a face are both sad, as it is answered; name two different classes"):
        opened.explain(faces, target, "sad")
    assert [found.against for found in opened.explain(faces, target, "happy")] == ["happy"] * 2


def test_card_and_proof_travel_inside_the_file(exported, checkpoint):
    name, seal, path = exported
    opened = load(path)
    assert opened.seal == Seal.from_json(seal.to_json())
    assert opened.card == checkpoint.card
    assert opened.seal.format == name
    assert opened.seal.proof["n"] == seal.proof["n"] > 0
    assert sorted(p.name for p in path.parent.iterdir()) == (["m.bin", "m.xml"] if name == "openvino" else [path.name])


def test_integers_make_the_file_a_quarter_as_large(checkpoint, evidence, tmp_path):
    sizes = []
    for name in ("onnx", "onnx-int8"):
        export(checkpoint, tmp_path / f"{name}.onnx", name, evidence)
        sizes.append((tmp_path / f"{name}.onnx").stat().st_size)
    assert sizes[1] < 0.3 * sizes[0]


def test_only_what_the_answer_needs_is_quantised(checkpoint, evidence, tmp_path):
    export(checkpoint, tmp_path / "m.onnx", "onnx-int8", evidence)
    graph = onnx.load(tmp_path / "m.onnx").graph
    (request,) = [node for node in graph.node if node.op_type == "If"]
    branches = {attribute.name: {node.op_type for node in attribute.g.node} for attribute in request.attribute}
    assert {node.op_type for node in graph.node} >= {"QuantizeLinear", "DequantizeLinear", "Conv"}
    assert "MatMul" in branches["then_branch"] and "QuantizeLinear" not in branches["then_branch"]
    assert branches["else_branch"] == {"Constant"}


@pytest.mark.parametrize("name", ["onnx", "onnx-int8"])
def test_maps_are_made_on_request_alone(name, checkpoint, evidence, tmp_path):
    export(checkpoint, tmp_path / "m.onnx", name, evidence)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    pixels = evidence.labelled.images.numpy()[:3]
    logits, *nothing = session.run(["logits", "features", "weights"], {"faces": pixels})
    assert [len(output) for output in nothing] == [0, 0]
    asked, features, weights = session.run(["logits", "features", "weights"], {"faces": pixels, "explain": np.array(True)})
    np.testing.assert_array_equal(asked, logits)
    assert features.shape == (3, 128, 12, 12) and weights.shape == (3, 7, 128)


def test_without_labelled_faces_random_pixels_stand_in(checkpoint, tmp_path):
    proof = export(checkpoint, tmp_path / "m.onnx").proof
    assert (proof["faces"], proof["accuracy"], proof["calibration_error"]) == ("random pixels", None, None)
    assert proof["n"] > 1 and proof["logits"] < 1e-4 and proof["map_correlation"] > 0.999


# the tolerance

GOOD = Proof("validation", 100, logits=1e-6, agreement=1.0, accuracy=(0.7, 0.7), calibration_error=(0.02, 0.02))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"logits": 2e-4}, ["a logit differs by 0.0002"]),
        ({"logits": float("nan")}, ["a logit differs by nan"]),
        ({"accuracy": (0.7, 0.69)}, ["accuracy falls by 1.00 points"]),
        ({"accuracy": (0.7, 0.6971)}, []),
        ({"accuracy": (0.6, 0.7)}, []),
        ({"accuracy": None}, []),
        ({"map_correlation": 0.5}, ["heatmaps correlate by 0.5000"]),
        ({"logits": 1.0, "map_correlation": 0.5}, ["a logit", "heatmaps"]),
    ],
)
def test_what_goes_beyond_the_tolerance_is_said(change, words):
    found = Tolerance(logits=1e-4, points=0.3, map_correlation=0.99).broken_by(replace(GOOD, **change))
    assert [a.startswith(b) for a, b in zip(found, words, strict=True)] == [True] * len(words)


def test_a_conversion_that_changes_the_answers_is_refused_and_leaves_nothing(checkpoint, evidence, tmp_path, monkeypatch):
    """A graph with one weight too large stands for a wrong conversion."""
    (tmp_path / "m.onnx").write_bytes(b"what was there")
    draft = FORMATS["onnx"].draft

    def wrong(blueprint):
        blueprint.graph.net.head[1].weight[0] += 0.1
        return draft(blueprint)

    monkeypatch.setitem(FORMATS._entries, "onnx", replace(FORMATS["onnx"], draft=wrong))
    with pytest.raises(ExportError, match=r"onnx of fitted: a logit differs by .*nothing was written"):
        export(checkpoint, tmp_path / "m.onnx", "onnx", evidence)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"what was there"


def test_integers_that_cost_too_much_are_refused(checkpoint, evidence, tmp_path):
    """The same function in float32, with one channel a thousand times as large: its scale leaves nothing to the others."""
    model = copy.deepcopy(checkpoint.model)
    with torch.no_grad():
        model.conv1[0].weight[0] *= 1000
        model.conv1[0].bias[0] *= 1000
        model.conv2[0].weight[:, 0] /= 1000
    stretched = checkpoints.Checkpoint(model, checkpoint.card, "stretched")
    faces = evidence.labelled.images
    torch.testing.assert_close(judge(stretched, faces), judge(checkpoint, faces), rtol=1e-3, atol=1e-2)
    with pytest.raises(ExportError, match=r"onnx-int8 of stretched: accuracy falls by [0-9.]+ points, at most 0.3 are allowed"):
        export(stretched, tmp_path / "m.onnx", "onnx-int8", evidence)
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_layers_to_quantise_is_said(evidence):
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", 1, 48, 48])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 48 * 48])
    nodes = [
        helper.make_node("Cast", ["faces"], ["floats"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["logits"], name="flatten"),
    ]
    graph = helper.make_graph(nodes, "nothing to multiply", [faces], [logits])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises(ExportError, match="the network has no layer that can be quantised; use --format onnx"):
        quantised(proto, evidence.calibration)


def test_a_network_that_the_exporter_cannot_follow_is_said(checkpoint, tmp_path):
    """Its way depends on what it sees."""

    class Choosing(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, inputs):
            return self.net(inputs) if inputs.mean() > 0 else self.net(inputs.flip(-1))

    chooser = checkpoints.Checkpoint(Choosing(checkpoint.model), checkpoint.card, "chooser")
    graph = Graph(chooser.model, checkpoint.card, maps=False)
    for name in ("onnx", "torch-export"):
        with pytest.raises(ExportError, match=r"cannot be written in ONNX|cannot trace"):
            FORMATS[name].draft(Blueprint(graph, 18))


def test_the_checkpoint_stays_what_it_is(checkpoint, evidence, tmp_path):
    before = {key: value.clone() for key, value in checkpoint.model.state_dict().items()}
    logits = judge(checkpoint, evidence.labelled.images)
    export(checkpoint, tmp_path / "m.onnx", "onnx-int8", evidence)
    assert all(torch.equal(value, before[key]) for key, value in checkpoint.model.state_dict().items())
    assert torch.equal(judge(checkpoint, evidence.labelled.images), logits)


# files of strangers


def test_a_seal_is_read_without_a_runtime_as_the_runtime_reads_it(checkpoint, evidence, tmp_path):
    export(checkpoint, tmp_path / "m.onnx", evidence=evidence)
    stored = onnx.load(tmp_path / "m.onnx").metadata_props
    assert [entry.value for entry in stored if entry.key == "fer"] == [read_seal(tmp_path / "m.onnx").to_json()]
    assert read_seal(tmp_path / "m.onnx") == load(tmp_path / "m.onnx").seal


def foreign_onnx() -> bytes:
    """A valid model of another program."""
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 7])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 7])
    graph = helper.make_graph([helper.make_node("Relu", ["faces"], ["logits"])], "stranger", [faces], [logits])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def changed_byte(content: bytes) -> bytes:
    """One bit of a weight in the middle of the file is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def newer(content: bytes) -> bytes:
    """The same, sealed by a version to come."""
    proto = onnx.load_from_string(content)
    (entry,) = [entry for entry in proto.metadata_props if entry.key == "fer"]
    entry.value = json.dumps(json.loads(entry.value) | {"schema": 99})
    return with_checksum(proto.SerializeToString())


def other_classes(content: bytes) -> bytes:
    """The same with a card that is none."""
    proto = onnx.load_from_string(content)
    (entry,) = [entry for entry in proto.metadata_props if entry.key == "fer"]
    seal = json.loads(entry.value)
    seal["card"]["classes"] = ["cat", "dog"]
    entry.value = json.dumps(seal)
    return with_checksum(proto.SerializeToString())


STRANGE = {
    "foreign": (lambda _: foreign_onnx(), "was not written by fer export"),
    "empty": (lambda _: b"", "was not written by fer export"),
    "text": (lambda _: b"this is no model", "was not written by fer export"),
    "cut short": (lambda content: content[:-1000], "was not written by fer export|sha256"),
    "one bit": (changed_byte, "damaged .its sha256 is another"),
    "newer": (newer, "newer version"),
    "other classes": (other_classes, "cat.*dog"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_file_is_refused_in_one_line(kind, checkpoint, tmp_path, fer):
    make, words = STRANGE[kind]
    export(checkpoint, tmp_path / "good.onnx")
    path = tmp_path / "bad.onnx"
    path.write_bytes(make((tmp_path / "good.onnx").read_bytes()))
    with pytest.raises(CheckpointError, match=words):
        load(path)
    outcome = fer("predict", sample_path(), "-c", path)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"fer: {path}: ")


def test_the_checksum_is_of_the_file_with_zeros_in_its_place():
    content = b"before fer_sha256\x12\x40" + b"0" * 64 + b" after"
    sealed = with_checksum(content)
    assert hashlib.sha256(content).hexdigest().encode() in sealed
    assert checksum(sealed) == checksum(content) == hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match="no fer_sha256"):
        with_checksum(b"no place")


@pytest.mark.parametrize(("name", "part"), [("openvino", "m.bin"), ("openvino", "m.xml"), ("torch-export", "m.pt2")])
def test_one_changed_bit_is_noticed_in_every_kind_of_file(name, part, checkpoint, tmp_path):
    path = tmp_path / f"m{FORMATS[name].suffix}"
    export(checkpoint, path, name)
    (tmp_path / part).write_bytes(changed_byte((tmp_path / part).read_bytes()))
    with pytest.raises(CheckpointError, match=r"damaged .its sha256 is another"):
        load(path)


@pytest.mark.parametrize("suffix", [".xml", ".pt2"])
def test_other_kinds_of_strange_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"<html>not found</html>")
    path.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"damaged|not written by fer"):
        load(path)


def test_a_program_written_elsewhere_is_opened_only_where_someone_vouches_for_it(checkpoint, tmp_path, monkeypatch):
    export(checkpoint, tmp_path / "own.pt2", "torch-export")
    load(tmp_path / "own.pt2")
    with_code, mark = tmp_path / "evil.pt2", tmp_path / "mark"
    with_code.write_bytes(program_with_code((tmp_path / "own.pt2").read_bytes(), mark))
    with pytest.raises(CheckpointError, match=r"evil\.pt2: a \.pt2 can run code .*; use an \.onnx, or set FER_TRUST_PT2=1"):
        load(with_code)
    assert not mark.exists()
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "of somebody else"))
    with pytest.raises(CheckpointError, match="was not exported here"):
        load(tmp_path / "own.pt2")
    monkeypatch.setenv("FER_TRUST_PT2", "1")
    load(tmp_path / "own.pt2")
    with pytest.raises(CheckpointError):
        load(with_code)
    assert mark.exists()  # what the refusal is for


def program_with_code(content: bytes, mark: Path) -> bytes:
    """The archive with sample inputs that run code when they are read, and the right sum."""
    changed = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as old, ZipFile(changed, "w") as new:
        for member in old.infolist():
            spoilt = member.filename.endswith("sample_inputs/model.pt")
            new.writestr(member, evil_pickle(mark, 2) if spoilt else old.read(member))
    return with_comment(changed.getvalue())


def test_a_missing_part_or_runtime_is_said(checkpoint, tmp_path, monkeypatch):
    export(checkpoint, tmp_path / "m.xml", "openvino")
    export(checkpoint, tmp_path / "m.onnx")
    for module, path, words in (("openvino", "m.xml", "OpenVINO is not"), ("onnxruntime", "m.onnx", "ONNX Runtime is not")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(CheckpointError, match=f"{words} installed; pip install"):
            load(tmp_path / path)
    weights = (tmp_path / "m.bin").rename(tmp_path / "elsewhere.bin")
    with pytest.raises(CheckpointError, match=r"weights m\.bin are missing"):
        load(tmp_path / "m.xml")
    weights.rename(tmp_path / "m.bin")
    with pytest.raises(ExportError, match="OpenVINO is not installed"):
        export(checkpoint, tmp_path / "n.xml", "openvino")
    with pytest.raises(CheckpointError, match=r"no exported model .*; write one with fer export"):
        load(tmp_path / "none.onnx")
    with pytest.raises(CheckpointError, match=r"exported models end in \.onnx, \.xml, \.pt2"):
        load(tmp_path / "m.bin")


# what an exported model is not for


def test_views_that_are_no_whole_faces_are_refused(checkpoint, tmp_path):
    export(checkpoint, tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match=r"--tta tencrop needs crops"):
        load(tmp_path / "m.onnx").answer(np.zeros((1, 1, 48, 48), np.uint8), tta="tencrop")


@pytest.mark.parametrize(
    "words",
    [
        ["explain", sample_path(), "--method", "layercam"],
        ["explain", sample_path(), "--layer", "conv1"],
        ["explain", sample_path(), "--layer", "each"],
        ["faithfulness", "M"],
        ["mistakes"],
        ["export", "M"],
        ["ensemble", "M", "M", "--out", "e.pth"],
    ],
    ids=lambda words: " ".join(map(str, words[:1] + words[2:])),
)
def test_commands_that_need_the_network_say_so(words, checkpoint, fake_zip, tmp_path, fer, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(checkpoint, tmp_path / "m.onnx")
    named = [tmp_path / "m.onnx" if word == "M" else word for word in words]
    extra = [] if "M" in words else ["--checkpoint", tmp_path / "m.onnx"]
    data = [] if words[0] in ("explain", "export") else ["--data", fake_zip]
    outcome = fer(*named, *extra, *data)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert ".pth" in line


def test_a_table_of_an_exported_model_says_so(checkpoint, evidence, tmp_path):
    export(checkpoint, tmp_path / "m.onnx")
    table = evaluate_checkpoint(load(tmp_path / "m.onnx"), evidence.labelled)
    assert table.source["format"] == "onnx"
    assert "format" not in evaluate_checkpoint(checkpoint, evidence.labelled).source
    np.testing.assert_allclose(table.logits, judge(checkpoint, evidence.labelled.images), atol=1e-4)


class Shifted:
    """An engine whose logits are those of the checkpoint, but for one face."""

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint

    def __call__(self, faces, wanted):
        logits = judge(self.checkpoint, torch.from_numpy(faces)).numpy().copy()
        logits[0, logits[0].argmin()] += 100
        return [logits]


def test_a_wrong_answer_is_measured(checkpoint, evidence):
    exported = Portable(Shifted(checkpoint), Seal(checkpoint.card, "onnx", lacks_maps="not asked"), "shifted")
    few = evidence.labelled.select(torch.arange(10))
    proof = prove(checkpoint, exported, few)
    assert (proof.n, proof.agreement, proof.accuracy) == (10, 0.9, (1.0, 0.9))
    assert proof.logits == pytest.approx(100, rel=1e-6)
    assert proof.lost == pytest.approx(10)
    assert (proof.maps, proof.map_correlation) == (0, None)
