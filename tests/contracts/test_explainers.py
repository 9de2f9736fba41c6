"""What every explanation method keeps."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from analysis.explain import METHODS, HeatmapTable, Question, explain, explain_set
from analysis.question import questions
from fer.card import Card
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.emotions import EMOTIONS
from fer.errors import ConfigError, DataError, UnknownNameError
from fer.evaluation import evaluate_checkpoint
from fer.models import MODELS
from fer.types import Box, Face
from tests.conftest import unpacked

every_method = pytest.mark.parametrize("method", list(METHODS))

#: Methods whose maps grow in proportion to the scores they explain.
PROPORTIONAL = ("gradcam", "layercam", "hirescam", "xgradcam", "integrated-gradients", "occlusion")

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def random_checkpoint(method: str, architecture: str = "") -> Checkpoint:
    """A small net with random weights that the method can explain."""
    name = architecture or ("vit" if method == "rollout" else "baseline")
    torch.manual_seed(0)
    spec = MODELS[name].variants["small"]
    return Checkpoint(spec.build(len(EMOTIONS), 0.2).eval(), Card(name, "small", EMOTIONS, spec.preprocess), "random")


def replace_head(checkpoint: Checkpoint, make: Callable[[nn.Module], nn.Module]) -> None:
    name = checkpoint.card.spec.head
    setattr(checkpoint.model, name, make(checkpoint.model.get_submodule(name)))


def last_layer(checkpoint: Checkpoint) -> nn.Linear:
    return [
        module
        for module in checkpoint.model.get_submodule(checkpoint.card.spec.head).modules()
        if isinstance(module, nn.Linear)
    ][-1]


def random_faces(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def hook_count(model: nn.Module) -> int:
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in _HOOKS)


class Failing(nn.Module):
    """A head that works for some calls and then raises."""

    def __init__(self, head: nn.Module, good_calls: int, error: Exception) -> None:
        super().__init__()
        self.head, self.good_calls, self.error = head, good_calls, error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.good_calls == 0:
            raise self.error
        self.good_calls -= 1
        return self.head(x)


class _Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("the backward pass broke")


class FailingBackward(nn.Module):
    """A head whose backward pass raises."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Broken.apply(self.head(x))


def in_a_mixed_state(model: nn.Module) -> None:
    """Training, but for one layer in evaluation mode and one frozen."""
    first, second = list(model.children())[:2]
    model.train()
    first.eval()
    second.requires_grad_(False)
    second.register_forward_hook(lambda *_: None)
    first.register_forward_pre_hook(lambda *_: None)


def state_of(model: nn.Module) -> tuple[list[bool], list[bool], int]:
    return [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()], hook_count(model)


@every_method
def test_values_lie_in_0_to_1_and_the_peak_is_not_negative(method):
    heatmaps = explain(random_checkpoint(method), random_faces(6), method=method)
    assert len(heatmaps) == 6
    for heatmap in heatmaps:
        assert heatmap.values.dtype == np.float32 and heatmap.values.shape == (48, 48)
        assert heatmap.values.min() >= 0 and heatmap.values.max() <= 1
        assert heatmap.peak >= 0
        assert heatmap.method == method


@every_method
def test_the_target_is_the_class_asked_for_and_changes_the_map(method):
    checkpoint, faces = random_checkpoint(method), random_faces(1)
    maps = {target: explain(checkpoint, faces, target, method)[0] for target in EMOTIONS}
    assert all(heatmap.target == target for target, heatmap in maps.items())
    assert (len({heatmap.values.tobytes() for heatmap in maps.values()}) > 1) == METHODS[method].follows_target


@every_method
def test_another_spelling_of_a_class_is_understood(method):
    (heatmap,) = explain(random_checkpoint(method), random_faces(1), "Happiness", method)
    assert heatmap.target == "happy"


@every_method
def test_without_a_target_each_face_is_explained_for_its_own_prediction(method):
    checkpoint, faces = random_checkpoint(method), random_faces(4)
    with torch.no_grad():  # make the predictions differ: each face's score is taken as far as it differs from the mean
        logits = checkpoint.model((faces.float() / 255 - 0.5077) / 0.2550)
        last_layer(checkpoint).bias -= logits.mean(0)
        predicted = (logits - logits.mean(0)).argmax(1).tolist()
    assert len(set(predicted)) > 1
    together = explain(checkpoint, faces, method=method)
    assert [heatmap.target for heatmap in together] == [EMOTIONS[i] for i in predicted]
    for i, heatmap in enumerate(together):
        (alone,) = explain(checkpoint, faces[i : i + 1], EMOTIONS[predicted[i]], method)
        np.testing.assert_allclose(heatmap.values, alone.values, atol=1e-3)
        assert heatmap.peak == pytest.approx(alone.peak, rel=1e-3)


@every_method
def test_an_unknown_class_lists_the_known_ones(method):
    with pytest.raises(UnknownNameError, match="angry, disgust, fear, happy, neutral, sad, surprise"):
        explain(random_checkpoint(method), random_faces(1), "contempt", method)


@every_method
def test_no_faces_give_no_maps(method):
    assert explain(random_checkpoint(method), [], method=method) == ()
    assert explain(random_checkpoint(method), random_faces(0), method=method) == ()


@every_method
def test_a_face_of_another_size_is_explained_as_its_48_pixel_form(method):
    small = random_faces(1).numpy()[0, 0]
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    faces = [Face(np.repeat(pixels[..., None], 3, axis=2), Box(0, 0, *pixels.shape), 1.0, "haar") for pixels in (small, large)]
    one, two = explain(random_checkpoint(method), faces, "sad", method)
    np.testing.assert_allclose(one.values, two.values, atol=1e-4)


@every_method
def test_the_model_is_left_as_it_was(method):
    checkpoint = unpacked(random_checkpoint(method))
    in_a_mixed_state(checkpoint.model)
    before, weights = state_of(checkpoint.model), [p.detach().clone() for p in checkpoint.model.parameters()]
    explain(checkpoint, random_faces(2), method=method)
    assert state_of(checkpoint.model) == before
    assert all(torch.equal(p, w) for p, w in zip(checkpoint.model.parameters(), weights, strict=True))


@every_method
def test_the_form_for_a_cpu_is_left_as_it_was(method):
    checkpoint = random_checkpoint(method)
    before = state_of(checkpoint.runner)
    explain(checkpoint, random_faces(2), method=method)
    assert checkpoint.runner is not checkpoint.model
    assert state_of(checkpoint.runner) == before
    assert all(parameter.grad is None for parameter in checkpoint.runner.parameters())


@every_method
def test_no_gradients_are_left_behind(method):
    checkpoint = unpacked(random_checkpoint(method))
    explain(checkpoint, random_faces(2), method=method)
    assert all(parameter.grad is None for parameter in checkpoint.model.parameters())


@every_method
def test_gradients_that_were_there_are_kept(method):
    checkpoint = unpacked(random_checkpoint(method))
    for parameter in checkpoint.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    explain(checkpoint, random_faces(2), method=method)
    assert all(p.grad is not None and bool((p.grad == 1).all()) for p in checkpoint.model.parameters())


@every_method
def test_statistics_of_batch_norm_do_not_move(method):
    checkpoint = unpacked(random_checkpoint(method, "vit" if method == "rollout" else "custom_cnn"))
    checkpoint.model.train()
    before = [b.clone() for b in checkpoint.model.buffers()]
    explain(checkpoint, random_faces(2), method=method)
    assert all(torch.equal(b, was) for b, was in zip(checkpoint.model.buffers(), before, strict=True))


FAILURES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "first forward pass": lambda head: Failing(head, 0, RuntimeError("the forward pass broke")),
    "second forward pass": lambda head: Failing(head, 1, RuntimeError("the forward pass broke")),
    "backward pass": FailingBackward,
}


def failing_calls(method: str, failure: str) -> bool:
    """Does the method come so far: a second forward pass, or a backward one?"""
    if failure == "second forward pass":
        return method not in ("gradcam", "layercam", "hirescam", "rollout")
    return failure == "first forward pass" or method not in ("occlusion", "eigencam", "scorecam", "ablationcam", "rollout")


@every_method
@pytest.mark.parametrize("failure", list(FAILURES))
def test_after_an_error_inside_the_model_is_left_as_it_was(method, failure):
    checkpoint = unpacked(random_checkpoint(method))
    model = checkpoint.model
    replace_head(checkpoint, FAILURES[failure])
    in_a_mixed_state(model)
    before = state_of(model)
    expected = pytest.raises(RuntimeError, match="pass broke") if failing_calls(method, failure) else nullcontext()
    with expected:
        explain(checkpoint, random_faces(2), method=method)
    assert state_of(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())


@every_method
@pytest.mark.parametrize("error", [IndexError, KeyError, ValueError])
def test_the_models_own_error_comes_through_and_nothing_is_printed(method, error, capsys):
    checkpoint = unpacked(random_checkpoint(method))
    replace_head(checkpoint, lambda head: Failing(head, 0, error("from the model")))
    with pytest.raises(error, match="from the model"):
        explain(checkpoint, random_faces(1), "happy", method)
    assert capsys.readouterr() == ("", "")


@every_method
def test_nothing_is_printed(method, capsys):
    explain(random_checkpoint(method), random_faces(1), "happy", method)
    assert capsys.readouterr() == ("", "")


@every_method
def test_a_contrast_explains_what_sets_two_classes_apart(method):
    checkpoint, faces = random_checkpoint(method), random_faces(3)
    if not METHODS[method].follows_target:
        with pytest.raises(ConfigError, match="gives every class the same map"):
            explain(checkpoint, faces, "happy", method, against="surprise")
        return
    alone = explain(checkpoint, faces, "happy", method)  # something speaks for it: empty maps would be alike
    set_apart = explain(checkpoint, faces, "happy", method, against="surprise")
    assert [heatmap.target for heatmap in set_apart] == ["happy"] * 3
    assert any(not np.array_equal(a.values, b.values) for a, b in zip(alone, set_apart, strict=True))


@every_method
@pytest.mark.parametrize("target, against", [("fear", "fear"), (None, "top1"), ("top2", "top2")])
def test_a_class_is_not_set_against_itself(method, target, against):
    message = "name two different classes" if METHODS[method].follows_target else "gives every class the same map"
    with pytest.raises(ConfigError, match=message):
        explain(random_checkpoint(method), random_faces(1), target, method, against=against)


@every_method
def test_the_second_class_is_that_of_the_second_highest_score(method):
    checkpoint, faces = random_checkpoint(method), random_faces(3)
    with torch.no_grad():
        order = checkpoint.model((faces.float() / 255 - 0.5077) / 0.2550).argsort(1)
    heatmaps = explain(checkpoint, faces, "top2", method)
    assert [heatmap.target for heatmap in heatmaps] == [EMOTIONS[i] for i in order[:, -2].tolist()]


@every_method
def test_a_split_is_explained_as_its_faces_are_one_by_one(method):
    checkpoint = random_checkpoint(method)
    faces = FaceSet(random_faces(3), torch.tensor([0, 3, 6]), ("a", "b", "c"), "validation")
    told: list[tuple[int, int]] = []
    table, heatmaps = explain_set(checkpoint, faces, Question(method=method), progress=lambda *now: told.append(now))
    assert told[-1] == (3, 3) and table.names == heatmaps.names == faces.names
    np.testing.assert_allclose(table.logits, evaluate_checkpoint(checkpoint, faces).logits, atol=1e-5)
    for row, alone in enumerate(explain(checkpoint, faces.images, method=method)):
        np.testing.assert_allclose(heatmaps[row].values, alone.values, atol=2e-3)  # half precision
        assert heatmaps[row].target == alone.target and heatmaps[row].peak == pytest.approx(alone.peak, rel=1e-3)


@pytest.mark.parametrize("against", [None, "top2", "fear", ["fear", "sad", "fear"]])
@pytest.mark.parametrize("layers", [(), ("conv1", "conv2")])
def test_a_saved_table_tells_what_was_asked(against, layers, tmp_path):
    faces = FaceSet(random_faces(3), torch.tensor([0, 3, 6]), ("a", "b", "c"), "validation")
    question = Question("happy", against=against, layers=layers)
    _, heatmaps = explain_set(random_checkpoint("gradcam"), faces, question)
    heatmaps.save(tmp_path / "heatmaps.npz")
    loaded = HeatmapTable.load(tmp_path / "heatmaps.npz")
    alone = explain(random_checkpoint("gradcam"), faces.images, "happy", against=against, layers=layers)
    assert [loaded[row].against for row in range(3)] == [heatmap.against for heatmap in alone]
    assert (loaded.against >= 0).all() == (against is not None)
    assert loaded.layers == layers and [loaded[row].target for row in range(3)] == ["happy"] * 3


@every_method
def test_a_layer_is_named_for_methods_that_read_one(method):
    checkpoint = random_checkpoint(method)
    layer = checkpoint.card.spec.cam_layers[0]
    if METHODS[method].reads == "layers":
        assert len(explain(checkpoint, random_faces(1), "happy", method, layers=[layer])) == 1
    else:
        with pytest.raises(ConfigError, match=f"{method} reads no single layer"):
            explain(checkpoint, random_faces(1), "happy", method, layers=[layer])


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].reads == "layers"])
@pytest.mark.parametrize("architecture, layer", [("baseline", "head"), ("custom_cnn", "head")])
def test_a_layer_without_places_is_refused(method, architecture, layer):
    checkpoint = unpacked(random_checkpoint(method, architecture))
    before = state_of(checkpoint.model)
    with pytest.raises(ConfigError, match=f"what {layer} answers has no height and width"):
        explain(checkpoint, random_faces(1), "happy", method, layers=[layer])
    assert state_of(checkpoint.model) == before


def test_a_layer_whose_channels_stand_last_is_refused():
    """Inside the blocks of ConvNeXt; read as (channels, height, width) it would give a map of nothing."""
    checkpoint = unpacked(random_checkpoint("gradcam", "convnext_tiny"))
    layer = "features.1.0.block.2"
    with pytest.raises(ConfigError, match=f"what {layer} answers has no height and width"):
        explain(checkpoint, random_faces(1), "happy", "gradcam", layers=[layer])


def lone(*predicted: str) -> tuple[Checkpoint, FaceSet]:
    """A network that answers the faces, one by one, with these classes."""
    checkpoint, faces = random_checkpoint("gradcam"), random_faces(len(predicted))
    layer = last_layer(checkpoint)
    kept: list[torch.Tensor] = []
    with torch.no_grad():
        handle = layer.register_forward_pre_hook(lambda _, entering: kept.append(entering[0]))
        checkpoint.model((faces.float() / 255 - 0.5077) / 0.2550)
        handle.remove()
        wanted = 5 * torch.eye(len(EMOTIONS))[[EMOTIONS.index(name) for name in predicted]]
        layer.weight.copy_((torch.linalg.pinv(kept[0]) @ wanted).T)
        layer.bias.zero_()
    return checkpoint, FaceSet(faces, torch.zeros(len(faces), dtype=torch.int64), tuple("abcdef"[: len(faces)]), "validation")


def test_a_face_is_not_explained_against_its_own_answer():
    checkpoint, faces = lone("fear", "happy", "fear")
    with pytest.raises(ConfigError, match="both fear, as it is answered; name two different classes"):
        explain(checkpoint, faces.images, against="fear")
    table, heatmaps = explain_set(checkpoint, faces, Question(against="fear"))
    assert table.names == heatmaps.names == ("b",) and (heatmaps[0].target, heatmaps[0].against) == ("happy", "fear")
    (alone,) = explain(checkpoint, faces.images[1:2], against="fear")
    np.testing.assert_allclose(heatmaps[0].values, alone.values, atol=2e-3)
    with pytest.raises(DataError, match="every face is answered fear"):
        explain_set(checkpoint, faces.select(torch.tensor([0, 2])), Question(against="fear"))


def test_every_class_is_set_against_another_but_not_against_itself():
    asked = questions(random_checkpoint("gradcam"), ["gradcam"], "all", "fearful", [])
    assert [question.target for question in asked] == [name for name in EMOTIONS if name != "fear"]
    assert len(questions(random_checkpoint("gradcam"), ["gradcam"], "all", "top2", [])) == len(EMOTIONS)


@every_method
def test_an_empty_map_is_all_zero_with_peak_zero(method):
    if method == "rollout":
        pytest.skip("attention always adds up to one")
    checkpoint = random_checkpoint(method)
    with torch.no_grad():
        for parameter in checkpoint.model.conv3.parameters():
            parameter.fill_(0)
    (heatmap,) = explain(checkpoint, random_faces(1), "happy", method)
    assert heatmap.values.max() == 0 and heatmap.peak == 0


@pytest.mark.parametrize("method", PROPORTIONAL)
def test_a_fainter_map_differs_in_its_peak_alone(method):
    checkpoint, faces = random_checkpoint(method), random_faces(1)
    strong = max((explain(checkpoint, faces, target, method)[0] for target in EMOTIONS), key=lambda heatmap: heatmap.peak)
    assert strong.peak > 0
    with torch.no_grad():
        last_layer(checkpoint).weight *= 0.01
    (faint,) = explain(checkpoint, faces, strong.target, method)
    assert faint.peak == pytest.approx(0.01 * strong.peak, rel=1e-3)
    np.testing.assert_allclose(faint.values, strong.values, atol=0.02)
