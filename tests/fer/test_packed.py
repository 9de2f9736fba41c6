"""The form that answers on a CPU: the same answers, gradients and layers as the network it was made of."""

import copy

import pytest
import torch
from torch import nn

from fer.data.preprocess import standardise
from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.models import packed as form  # the module
from fer.models.packed import PackedConvolution, packed

FORMS = [(name, form) for name in MODELS for form in MODELS[name].variants if form == "small" or name == "resnet18"]

#: Where with the usual seed a unit that many pixels hang on stands at the edge of being the largest of its pool.
SEEDS = {"fast_cnn": 12}


def network(architecture: str, form: str) -> tuple[nn.Module, torch.Tensor]:
    """A random network whose batch norms do something, and five inputs."""
    torch.manual_seed(SEEDS.get(architecture, 11))
    spec = MODELS[architecture].variants[form]
    model = spec.build(len(EMOTIONS), 0.3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model, standardise(torch.rand(5, 1, 48, 48), spec.preprocess)


@pytest.mark.parametrize("architecture, form", FORMS)
def test_it_answers_the_same_and_reads_the_same_at_the_layers_of_the_maps(architecture, form):
    model, inputs = network(architecture, form)
    layers = MODELS[architecture].variants[form].cam_layers
    twin = packed(model, inputs[:1], layers)
    assert twin is not model
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    assert sum(isinstance(module, PackedConvolution) for module in twin.modules()) == convolutions
    seen: list[torch.Tensor] = []
    for net in (model, twin):
        handles = [net.get_submodule(name).register_forward_hook(lambda *a: seen.append(a[2])) for name in layers]
        with torch.no_grad():
            seen.append(net(inputs))
        for handle in handles:
            handle.remove()
    half = len(seen) // 2
    for expected, found in zip(seen[:half], seen[half:], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("architecture", [name for name in MODELS if "vgg" not in name])
def test_gradients_flow_back_through_it(architecture):
    model, inputs = network(architecture, "small")
    twin = packed(model, inputs[:1])
    found, expected = (
        torch.autograd.grad(net(given)[:, 2].sum(), given)[0]
        for net, given in ((net, inputs.clone().requires_grad_()) for net in (twin, model))
    )
    # single pixels differ where a unit stands at the edge of being on, so not each is compared
    assert float((found - expected).norm()) < 1e-3 * float(expected.norm())


def test_the_network_it_is_made_of_stays_as_it_was():
    model, inputs = network("resnet18", "small")
    model.train()
    before = copy.deepcopy(model.state_dict())
    twin = packed(model, inputs[:1])
    assert model.training and not twin.training
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for net in (model, twin) for module in net.modules())
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_copy_of_it_answers_the_same():
    model, inputs = network("custom_cnn", "small")
    twin = packed(model, inputs[:1])
    own = copy.deepcopy(twin)
    with torch.no_grad():
        assert torch.equal(own(inputs), twin(inputs))
    assert {id(p) for p in own.parameters()}.isdisjoint(id(p) for p in twin.parameters())


class Twice(nn.Module):
    """What the convolution answers is used beside its batch norm: folding would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_mean.fill_(3.0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        answer = self.conv(inputs)
        return (self.norm(answer) + answer).mean(dim=(2, 3))


REFUSED = {
    "what a folded norm was given is used elsewhere": Twice(),
    "no convolution": nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)),
    "double precision": nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()).double(),
    "padding by reflection": nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten()),
    "padding by name": nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.Flatten()),
}


@pytest.mark.parametrize("reason", list(REFUSED))
def test_a_network_that_cannot_be_packed_answers_itself(reason):
    model = REFUSED[reason].eval()
    assert packed(model, torch.rand(1, 1, 48, 48).to(next(model.parameters()).dtype)) is model


def test_where_torch_lacks_the_operators_the_network_answers_itself(monkeypatch):
    model, inputs = network("baseline", "small")
    monkeypatch.setattr(form, "_OPERATORS", ("_reorder_convolution_weight", "_no_such_operator"))
    assert packed(model, inputs[:1]) is model


def test_a_norm_without_statistics_of_its_own_stays():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()).eval()
    inputs = torch.rand(2, 1, 48, 48)
    twin = packed(model, inputs)
    assert isinstance(twin[0], PackedConvolution) and isinstance(twin[1], nn.BatchNorm2d)
    torch.testing.assert_close(twin(inputs), model(inputs), rtol=1e-4, atol=1e-5)


def test_layers_that_are_kept_are_not_folded():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)).eval()
    twin = packed(model, torch.rand(1, 1, 48, 48), keep=("0",))
    assert [type(module) for module in twin] == [PackedConvolution, nn.BatchNorm2d, nn.ReLU, PackedConvolution, nn.Identity]
