"""Losses beside plain cross-entropy: focal and distillation, against hand computations and torch's own functions."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from fer.config import RunConfig
from fer.data import FaceSet
from fer.emotions import EMOTIONS
from fer.losses import distillation, focal, one_hot, smooth, soft_cross_entropy, soften
from fer.overrides import with_values
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import make_plan

#: Probabilities ¼ ¾ and ⅘ ⅕.
LOGITS = torch.tensor([[math.log(1.0), math.log(3.0)], [math.log(4.0), math.log(1.0)]])
TEMPERATURES = (0.5, 1.0, 3.0, 20.0)


def random_case(n: int = 32, classes: int = 7, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, classes) and soft targets."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, classes, generator=generator) * 3, torch.rand(n, classes, generator=generator).softmax(1)


# focal


def test_focal_loss_by_hand():
    targets = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    second = -0.5 * 0.2**2 * math.log(0.8) - 0.5 * 0.8**2 * math.log(0.2)
    expected = [-(0.25**2) * math.log(0.75), second]
    assert focal(LOGITS, targets, None, 2.0).tolist() == pytest.approx(expected, rel=1e-5)


def test_class_weights_multiply_each_class_in_the_focal_loss():
    targets = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    second = -3 * 0.5 * 0.2**2 * math.log(0.8) - 10 * 0.5 * 0.8**2 * math.log(0.2)
    expected = [-10 * 0.25**2 * math.log(0.75), second]
    assert focal(LOGITS, targets, torch.tensor([3.0, 10.0]), 2.0).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", [None, torch.arange(1.0, 8.0)], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_with_gamma_0_the_focal_loss_is_torchs_cross_entropy(weights, smoothing):
    logits, _ = random_case()
    labels = torch.arange(32) % 7
    targets = smooth(one_hot(labels, 7), smoothing)
    expected = F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(focal(logits, targets, weights, 0.0), expected)
    torch.testing.assert_close(soft_cross_entropy(logits, targets, weights), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_loss_of_two_classes_is_torchvisions(gamma):
    scores = torch.linspace(-6, 6, 25)
    labels = torch.arange(25) % 2
    logits = torch.stack((torch.zeros(25), scores), dim=1)
    expected = sigmoid_focal_loss(scores, labels.float(), alpha=-1, gamma=gamma, reduction="none")
    torch.testing.assert_close(focal(logits, one_hot(labels, 2), None, gamma), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_of_soft_targets_equals_plain_loops(gamma):
    logits, targets = random_case()
    probs = torch.softmax(logits.double(), 1).numpy()
    expected = [
        -sum(t * (1 - p) ** gamma * math.log(p) for t, p in zip(row_t, row_p, strict=True))
        for row_t, row_p in zip(targets.numpy(), probs, strict=True)
    ]
    np.testing.assert_allclose(focal(logits, targets, None, gamma), expected, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("distance", [0.0, 10.0, 60.0, 1e4])
def test_the_focal_loss_and_its_gradient_stay_finite_however_sure_the_net_is(gamma, distance):
    logits = torch.tensor([[distance, 0.0, -distance], [-distance, distance, 0.0]], requires_grad=True)
    losses = focal(logits, smooth(one_hot(torch.tensor([0, 0]), 3), 0.1), None, gamma)
    losses.sum().backward()
    assert bool(losses.isfinite().all()) and bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("loss", [focal, soft_cross_entropy])
def test_losses_are_computed_in_float32_whatever_the_net_gives(loss):
    logits, targets = random_case()
    half = logits.bfloat16()
    assert loss(half, targets).dtype == torch.float32
    torch.testing.assert_close(loss(half, targets), loss(half.float(), targets))


# what a run minimises


@pytest.mark.parametrize("gamma", [None, 5.0], ids=["cross-entropy", "focal"])
def test_a_run_has_the_loss_and_the_class_weights_it_was_given(gamma, tmp_path):
    weights = torch.tensor([0.5, 4.0, 1.0, 2.0, 0.25, 3.0, 1.5])
    (tmp_path / "weights.json").write_text(json.dumps(dict(zip(EMOTIONS, weights.tolist(), strict=True))), encoding="utf-8")
    values = {"model": "baseline", "precision": "fp32", "batch_size": 7, "class_weights": str(tmp_path / "weights.json")}
    config = with_values(RunConfig(), values | ({} if gamma is None else {"loss": "focal", "focal_gamma": gamma}), "test")
    labels = torch.arange(7).repeat(3)
    faces = FaceSet(torch.zeros(21, 1, 48, 48, dtype=torch.uint8), labels, tuple(map(str, range(21))), "train")
    plan = make_plan(config, faces)
    objective = make_objective(plan, make_fabric(Hardware("cpu"), plan), faces)
    logits = random_case(21)[0]
    targets, smoothing = objective.targets(faces, torch.arange(21)), config.loss.label_smoothing
    expected = F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing, reduction="none")
    if gamma is not None:
        probs, asked = logits.softmax(1), F.one_hot(labels, 7) * (1 - smoothing) + smoothing / 7
        expected = -(weights * asked * (1 - probs) ** gamma * probs.log()).sum(1)
    torch.testing.assert_close(objective.losses(logits, targets, torch.zeros(21, 1, 48, 48)), expected, rtol=1e-4, atol=1e-6)


# distillation


def test_distillation_by_hand():
    uniform, teacher = torch.zeros(1, 2), torch.tensor([[0.75, 0.25]])
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert distillation(uniform, teacher, 1.0).tolist() == pytest.approx([divergence], rel=1e-6)
    assert distillation(uniform, teacher, 2.0).tolist() == pytest.approx([4 * divergence], rel=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_distillation_is_torchs_divergence_times_the_squared_temperature(temperature):
    logits, _ = random_case()
    teacher, _ = random_case(seed=1)
    probs = torch.softmax(teacher / temperature, 1)
    criterion = torch.nn.KLDivLoss(reduction="batchmean")
    expected = temperature**2 * criterion(torch.log_softmax(logits / temperature, 1), probs)
    losses = distillation(logits, soften(teacher, temperature), temperature)
    assert losses.shape == (32,) and bool((losses >= 0).all())
    torch.testing.assert_close(losses.mean(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient(temperature):
    logits = random_case()[0].requires_grad_()
    losses = distillation(logits, soften(logits.detach(), temperature), temperature)
    losses.sum().backward()
    np.testing.assert_allclose(losses.detach(), 0, atol=1e-5 * temperature**2)
    np.testing.assert_allclose(logits.grad, 0, atol=1e-5 * temperature)


def test_logits_that_differ_by_a_constant_are_the_same_teacher():
    logits, _ = random_case()
    np.testing.assert_allclose(distillation(logits, soften(logits + 5, 2.0), 2.0), 0, atol=1e-5)


def test_a_teacher_that_excludes_a_class_gives_a_finite_loss():
    teacher = torch.tensor([[1.0, 0.0]])
    assert distillation(torch.zeros(1, 2), teacher, 1.0).tolist() == pytest.approx([math.log(2)])


def test_at_high_temperature_the_gradient_is_the_difference_of_the_centred_logits():
    """Hinton et al. 2015, equation 4: (zᵢ − vᵢ) / C for logits of mean 0; T² makes up for the 1/T²."""
    student, teacher = (case - case.mean(1, keepdim=True) for case in (random_case()[0], random_case(seed=1)[0]))
    student.requires_grad_()
    distillation(student, soften(teacher, 300.0), 300.0).sum().backward()
    np.testing.assert_allclose(student.grad, (student.detach() - teacher) / 7, atol=0.03)


def test_descending_the_loss_brings_the_student_to_the_teacher():
    student, teacher = random_case(8)[0].requires_grad_(), random_case(8, seed=1)[0]
    optimizer = torch.optim.Adam([student], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        distillation(student, soften(teacher, 3.0), 3.0).sum().backward()
        optimizer.step()
    torch.testing.assert_close(student.softmax(1), teacher.softmax(1), atol=0.02, rtol=0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_softening_is_softmax_of_the_divided_logits(temperature):
    logits, _ = random_case()
    np.testing.assert_allclose(
        soften(logits, temperature), torch.softmax(logits.double() / temperature, 1), rtol=1e-5, atol=1e-9
    )


def test_the_hotter_the_flatter():
    logits, _ = random_case()
    entropies = [float(torch.distributions.Categorical(soften(logits, t)).entropy().mean()) for t in TEMPERATURES]
    assert entropies == sorted(entropies) and entropies[-1] > 0.98 * math.log(7)
