"""Learning from teachers: what they say of a batch, and runs of ``fer train --teacher``."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer import checkpoint as checkpoints
from fer.card import Card
from fer.cli.train import resolve
from fer.combine import combine
from fer.config import RunConfig
from fer.data import load
from fer.data.augment import mixup
from fer.data.preprocess import model_input, standardise, to_unit
from fer.emotions import EMOTIONS
from fer.losses import one_hot, smooth
from fer.models import MODELS
from fer.overrides import with_values
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import make_plan
from fer.training.run import Watch, train
from fer.training.teachers import load_teachers, other_labels_note
from tests.conftest import save_random

FAST = ["--set", "batch_size=21", "--set", "precision=fp32", "--set", "ema=0", "--set", "warmup=0"]


def save_teacher(path: Path, classes=EMOTIONS, seed: int = 0, size: int = 48, temperature: float = 1.0) -> Path:
    """A sure custom_cnn with random weights that knows these classes in this order."""
    torch.manual_seed(seed)
    spec = MODELS["custom_cnn"].variants["small"]
    shape = type(spec.preprocess)(size)
    card = Card("custom_cnn", "small", tuple(classes), shape, temperature=temperature, config={"dropout": 0.2})
    state = spec.build(len(classes), 0.2).state_dict()
    state["head.5.weight"] *= 20
    checkpoints.save(path, state, card)
    return path


def objective_of(faces, teachers, **values):
    values = {"model": "baseline", "batch_size": 21, "teachers": [str(path) for path in teachers], **values}
    plan = make_plan(with_values(RunConfig(), {"precision": "fp32", **values}, "test"), faces)
    return make_objective(plan, make_fabric(Hardware("cpu"), plan), faces)


@torch.no_grad()
def logits_of(path: Path, faces) -> torch.Tensor:
    """A teacher's answers in the order of EMOTIONS, computed here."""
    teacher = checkpoints.load(path)
    logits = teacher.model(model_input(faces.images, teacher.card.preprocess))
    return logits[:, [teacher.card.classes.index(name) for name in EMOTIONS if name in teacher.card.classes]]


@pytest.fixture(scope="module")
def faces(fake_folder):
    return load(fake_folder).split("train")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("teachers")
    return [save_teacher(folder / "one.pth"), save_teacher(folder / "two.pth", EMOTIONS[::-1], seed=1, size=32)]


# one batch


def divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    return (teacher * (teacher.log() - student.log())).sum(1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_teachers_part_and_the_labels_part(alpha, temperature, faces, teachers):
    objective = objective_of(faces, teachers[:1], alpha=alpha, temperature=temperature)
    student = torch.randn(42, 7, generator=torch.Generator().manual_seed(1))
    targets = smooth(one_hot(faces.labels, 7), 0.1)
    taught = (logits_of(teachers[0], faces) / temperature).softmax(1)
    theirs = temperature**2 * divergence(taught, (student / temperature).softmax(1))
    labels = torch.nn.functional.cross_entropy(student, faces.labels, label_smoothing=0.1, reduction="none")
    losses = objective.losses(student, targets, to_unit(faces.images))
    torch.testing.assert_close(losses, alpha * theirs + (1 - alpha) * labels, rtol=1e-3, atol=1e-4)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn(faces, teachers):
    objective = objective_of(faces, teachers[:1], alpha=1.0)
    losses = objective.losses(logits_of(teachers[0], faces), one_hot(faces.labels, 7), to_unit(faces.images))
    np.testing.assert_allclose(losses, 0, atol=1e-4)


def test_two_teachers_are_the_mean_of_their_probabilities_each_with_its_own_input_and_class_order(faces, teachers):
    objective = objective_of(faces, teachers, alpha=1.0, temperature=2.0)
    mean = sum((logits_of(path, faces) / 2).softmax(1) for path in teachers) / 2
    student = torch.zeros(42, 7)
    losses = objective.losses(student, one_hot(faces.labels, 7), to_unit(faces.images))
    torch.testing.assert_close(losses, 4 * divergence(mean, torch.full((42, 7), 1 / 7)), rtol=1e-3, atol=1e-4)


def test_each_teacher_is_as_sure_as_it_was_calibrated_to_be(faces, teachers, tmp_path):
    hot = save_teacher(tmp_path / "hot.pth", seed=2, temperature=2.5)
    objective = objective_of(faces, [teachers[0], hot], alpha=1.0, temperature=0.5)
    mean = ((logits_of(teachers[0], faces) / 0.5).softmax(1) + (logits_of(hot, faces) / 2.5 / 0.5).softmax(1)) / 2
    losses = objective.losses(torch.zeros(42, 7), one_hot(faces.labels, 7), to_unit(faces.images))
    torch.testing.assert_close(losses, divergence(mean, torch.full((42, 7), 1 / 7)) / 4, rtol=1e-3, atol=1e-5)


def test_the_order_of_a_teachers_classes_does_not_matter(faces, tmp_path):
    """The same network with its last layer's rows in another order says the same."""
    path = save_teacher(tmp_path / "usual.pth")
    content = checkpoints.read(path)
    order = [3, 0, 6, 2, 5, 1, 4]
    state = dict(content["state_dict"])
    for name in ("head.5.weight", "head.5.bias"):
        state[name] = state[name][order]
    card = Card("custom_cnn", "small", tuple(EMOTIONS[i] for i in order), checkpoints.load(path).card.preprocess)
    checkpoints.save(tmp_path / "shuffled.pth", state, card)
    student = torch.randn(42, 7, generator=torch.Generator().manual_seed(1))
    one, other = (
        objective_of(faces, [teacher], alpha=1.0).losses(student, one_hot(faces.labels, 7), to_unit(faces.images))
        for teacher in (path, tmp_path / "shuffled.pth")
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_teachers_do_not_learn_and_are_in_evaluation(faces, teachers):
    objective = objective_of(faces, teachers)
    student = torch.zeros(42, 7, requires_grad=True)
    objective.losses(student, one_hot(faces.labels, 7), to_unit(faces.images)).sum().backward()
    for teacher in objective.teachers.checkpoints:
        assert not teacher.model.training
        assert all(not p.requires_grad and p.grad is None for p in teacher.model.parameters())


# asked ahead


def test_asked_ahead_the_target_is_the_mean_over_a_face_and_its_mirror_image(faces, teachers):
    objective = objective_of(faces, teachers, alpha=1.0, temperature=2.0, ahead=True)
    mirrored = replace(faces, images=faces.images.flip(-1))
    mean = sum((logits_of(path, f) / 2).softmax(1) for path in teachers for f in (faces, mirrored)) / 4
    index = torch.tensor([5, 0, 41])
    targets = objective.targets(faces, index)
    assert targets.shape == (3, 14)
    torch.testing.assert_close(targets[:, 7:], mean[index], rtol=1e-4, atol=1e-5)
    losses = objective.losses(torch.zeros(3, 7), targets, torch.zeros(3, 1, 48, 48))
    torch.testing.assert_close(losses, 4 * divergence(mean[index], torch.full((3, 7), 1 / 7)), rtol=1e-3, atol=1e-4)


def test_asked_ahead_the_labels_part_stays_and_mixing_mixes_both_parts(faces, teachers):
    objective = objective_of(faces, teachers[:1], alpha=0.25, ahead=True)
    index = torch.arange(8)
    targets = objective.targets(faces, index)
    torch.testing.assert_close(targets[:, :7], smooth(one_hot(faces.labels[index], 7), 0.1))
    pixels, mixed = mixup(to_unit(faces.images[index]), targets, 1.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed.sum(1), torch.full((8,), 2.0))
    student = torch.randn(8, 7, generator=torch.Generator().manual_seed(1))
    theirs = 9 * divergence(mixed[:, 7:], (student / 3).softmax(1))
    own = -(mixed[:, :7] * student.log_softmax(1)).sum(1)
    torch.testing.assert_close(objective.losses(student, mixed, pixels), 0.25 * theirs + 0.75 * own, rtol=1e-3, atol=1e-4)


def test_answers_are_kept_and_only_a_teacher_or_faces_that_changed_are_asked_again(faces, teachers, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    asked = []

    def count(done: int, total: int) -> None:
        asked.append((done, total))

    def answers(some, paths) -> tuple[torch.Tensor, int]:
        asked.clear()
        config = with_values(RunConfig(), {"model": "baseline", "teachers": [str(path) for path in paths]}, "test")
        loaded = load_teachers(config, torch.device("cpu"))
        assert loaded is not None
        return loaded.answers(some, count), len(asked)

    first, times = answers(faces, teachers)
    assert times == 4  # two teachers, both ways round, one batch each
    n = len(faces)
    assert asked == [(n, 4 * n), (2 * n, 4 * n), (3 * n, 4 * n), (4 * n, 4 * n)]
    again, times = answers(faces, teachers)
    assert times == 0
    assert torch.equal(first, again)
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
        break
    answers(faces, teachers)
    assert asked == [(n, 2 * n), (2 * n, 2 * n)]  # the other teacher's are still there
    other, times = answers(faces.select(torch.arange(20)), teachers[:1])
    assert times == 2 and len(other) == 20
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    mended, times = answers(faces, teachers)
    assert times == 4
    assert torch.equal(first, mended)


def test_an_unwritable_cache_costs_time_only(faces, teachers, tmp_path, monkeypatch, caplog):
    usual = objective_of(faces, teachers[:1], ahead=True).answers
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "file" / "cache"))
    assert torch.equal(objective_of(faces, teachers[:1], ahead=True).answers, usual)
    assert "not cached" in caplog.text


def test_fer_distill_trains_the_students_recipe_with_what_its_teacher_said(fer, fake_zip, teachers, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    words = ["--student", "baseline", "--data", fake_zip, "--runs", tmp_path, "--alpha", "0.6"]
    outcome = fer("distill", "--teacher", teachers[0], *words, "--set", "epochs=1", "--set", "batch_size=21")
    assert outcome.code == 0, outcome.err
    card = checkpoints.load(Path(outcome.out.strip()) / "best.pth").card
    assert card.architecture == "baseline"
    assert card.config["distillation"] == {
        "teachers": [str(teachers[0])],
        "temperature": 3.0,
        "alpha": 0.6,
        "ahead": True,
    }
    assert f"asking the teachers {teachers[0]}, 84 answers" in outcome.err  # 42 faces, both ways round
    assert card.config["optimizer"]["name"] == "adamw"  # the baseline's recipe


# runs


def test_a_student_approaches_its_teacher(fake_zip, teachers, tmp_path):
    settings = ["lr=0.005", "flip=0", "rotate=0", "shift=0", "zoom=0", "brightness=0", "contrast=0", "dropout=0", *FAST[1::2]]
    options = {"epochs": 8, "distillation.teachers": [str(teachers[0])], "distillation.alpha": 1, "distillation.temperature": 4}
    run = train(resolve("baseline", None, settings, options), load(fake_zip), tmp_path / "run", Watch())
    losses = [epoch.train_loss for epoch in run.history]
    assert losses[-1] < 0.5 * losses[0]
    faces, student = load(fake_zip).split("train"), checkpoints.load(run.folder / "last.pth")
    taught = (logits_of(teachers[0], faces) / 4).softmax(1)
    untaught = torch.full((42, 7), 1 / 7)
    with torch.no_grad():
        learnt = (student.model(model_input(faces.images, student.card.preprocess)) / 4).softmax(1)
    assert divergence(taught, learnt).mean() < 0.5 * divergence(taught, untaught).mean()


def test_the_command_line_takes_teachers_of_the_same_classes(fer, fake_zip, tmp_path):
    names = [
        save_teacher(tmp_path / f"{seed}.pth", classes, seed)
        for seed, classes in enumerate((("sad", "happy"), ("happy", "sad")))
    ]
    outcome = fer(
        "train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", "--epochs", 1, "--classes", "happy,sad",
        "--teacher", names[0], "--teacher", names[1], "--alpha", 1, "--temperature", 4, *FAST, "--set", "batch_size=6",
    )  # fmt: skip
    assert outcome.code == 0
    folder = Path(outcome.out.strip())
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["per_class"]) == ["happy", "sad"]
    kept = checkpoints.load(folder / "best.pth").card.config["distillation"]
    assert kept == {"teachers": [str(name) for name in names], "temperature": 4.0, "alpha": 1.0, "ahead": False}


def test_a_teacher_of_more_classes_answers_among_those_of_the_run(tmp_path):
    path = save_teacher(tmp_path / "four.pth", ("angry", "disgust", "fear", "happy"), 3)
    config = with_values(RunConfig(), {"model": "baseline", "teachers": [str(path)], "classes": ["happy", "fear"]}, "test")
    taught = load_teachers(config, torch.device("cpu"))
    assert taught is not None
    pixels = torch.rand(5, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    teacher = checkpoints.load(path)
    with torch.no_grad():
        probs = (teacher.model(standardise(pixels, teacher.card.preprocess)) / config.distillation.temperature).softmax(1)
    among = probs[:, [teacher.card.classes.index(name) for name in config.classes]]
    torch.testing.assert_close(taught.probs(pixels), among / among.sum(1, keepdim=True))


def test_the_card_names_teachers_whose_files_have_the_same_name(fer, fake_zip, tmp_path):
    paths = [tmp_path / run / "best.pth" for run in "ab"]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        save_teacher(path, EMOTIONS, seed)
    words = ["--data", fake_zip, "--runs", tmp_path / "runs", *FAST, "--epochs", 1]
    outcome = fer("train", "baseline", "--teacher", paths[0], "--teacher", paths[1], *words)
    assert outcome.code == 0, outcome.err
    named = checkpoints.load(Path(outcome.out.strip()) / "best.pth").card.data["teachers"]
    assert [one["weights_sha256"] for one in named] == [checkpoints.load(path).card.weights_sha256 for path in paths]


def test_answers_of_an_ensemble_are_not_those_of_the_same_networks_in_other_shares(faces, teachers, tmp_path):
    members = [checkpoints.load(teachers[0]), checkpoints.load(save_teacher(tmp_path / "second.pth", seed=1))]
    asked = []
    for name, weights in (("even.pth", (1.0, 1.0)), ("uneven.pth", (1.0, 9.0))):
        both = combine(members, weights)
        checkpoints.save(tmp_path / name, both.model.state_dict(), both.card)
        asked.append(objective_of(faces, [tmp_path / name], ahead=True).answers)
    assert not torch.allclose(*asked)


REFUSED = {
    "missing": (["--teacher", "nobody.pth"], ["nobody.pth", "released"]),
    "one of two missing": (["--teacher", "TEACHER", "--teacher", "nobody.pth"], ["nobody.pth"]),
    "other classes": (["--teacher", "PAIR"], ["pair", "happy, sad", "angry, disgust"]),
    "one class too many": (["--teacher", "PAIR", "--classes", "happy,fear,sad"], ["pair", "not fear of", "teachers=[]"]),
    "no checkpoint": (["--teacher", "TEXT"], ["text.pth"]),
    "alpha": (["--teacher", "TEACHER", "--alpha", "1.5"], ["alpha=1.5", "0..1"]),
    "temperature": (["--teacher", "TEACHER", "--temperature", "0"], ["temperature=0", "0.1..100"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_teacher_that_cannot_teach_is_refused_before_anything_is_written(kind, fer, fake_zip, tmp_path):
    arguments, words = REFUSED[kind]
    files = {"TEACHER": tmp_path / "teacher.pth", "PAIR": tmp_path / "pair.pth", "TEXT": tmp_path / "text.pth"}
    save_random(files["TEACHER"])
    save_teacher(files["PAIR"], ("happy", "sad"))
    files["TEXT"].write_text("no checkpoint", encoding="utf-8")
    arguments = [files.get(word, word) for word in arguments]
    outcome = fer(
        "train", "baseline", "--data", fake_zip, "--runs", tmp_path / "runs", *FAST, "--set", "batch_size=6", *arguments
    )
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("fer: ") and [word for word in words if word not in line] == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("first", ["bf16", "fp32"])
def test_answers_of_one_number_format_do_not_serve_the_other(first, faces, teachers, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    for precision in (first, {"bf16": "fp32", "fp32": "bf16"}[first]):
        answers = objective_of(faces, teachers[:1], ahead=True, temperature=1.0, precision=precision).answers
        off = (answers - expected_ahead(faces, teachers[0])).abs().max()
        assert (off < 1e-5) == (precision == "fp32"), (precision, off)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def expected_ahead(faces, teacher):
    """The mean over each face and its mirror image, computed here in float32."""
    both = [replace(faces, images=images) for images in (faces.images, faces.images.flip(-1))]
    return torch.stack([logits_of(teacher, one).softmax(1) for one in both]).mean(0)


@pytest.mark.parametrize("words", ["ahead=false", "distillation.ahead=false", "distillation={ahead: false}"])
def test_a_command_that_asks_ahead_refuses_to_be_told_otherwise(words, fer, tmp_path):
    command = ["distill", "--teacher", "baseline", "--student", "baseline", "--data", tmp_path / "nowhere", "--set"]
    outcome = fer(*command, words)
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2 and "ahead=false" in line and "fer train STUDENT --teacher" in line
    assert "nowhere" in fer(*command, "ahead=true").err


def test_teachers_of_other_labels_are_told(teachers):
    """As the recipe's, where only the labels were asked for."""
    config = with_values(RunConfig(), {"teachers": [str(path) for path in teachers]}, "test")
    known = load_teachers(config, torch.device("cpu"))
    assert other_labels_note(None, "ferplus-soft") == other_labels_note(known, "fer") == ""
    first, second = known.checkpoints
    votes = replace(first, card=replace(first.card, config={**first.card.config, "labels": "ferplus-soft"}))
    mixed = replace(known, checkpoints=[votes, second])
    note = "this run's labels are ferplus-soft: another task; --set teachers=[] does without"
    assert other_labels_note(mixed, "ferplus-soft") == f"taught by two (fer), {note}"
    assert other_labels_note(known, "ferplus-soft") == f"taught by one (fer), two (fer), {note}"
