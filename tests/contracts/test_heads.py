"""Every architecture's logits can be moved by the bias of its last layer; an ensemble's are moved by its members'."""

import pytest
import torch

from fer.emotions import EMOTIONS
from fer.models import MODELS
from fer.models.head import add_to_logits, last_linear

BIASES = torch.linspace(-1, 2, len(EMOTIONS))


@pytest.mark.parametrize("architecture", [name for name in MODELS if name != "ensemble"])
@torch.no_grad()
def test_biases_are_added_to_the_logits(architecture):
    torch.manual_seed(0)
    spec = MODELS[architecture].variants["small"]
    model = spec.build(len(EMOTIONS), 0.1).eval()
    inputs = torch.randn(2, spec.preprocess.channels, spec.preprocess.size, spec.preprocess.size)
    before = model(inputs)
    assert add_to_logits(model, spec.head, BIASES)
    torch.testing.assert_close(model(inputs), before + BIASES, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "head",
    [torch.nn.Conv2d(4, 7, 1), torch.nn.Linear(4, 7, bias=False), torch.nn.Linear(4, 5)],
    ids=["no layer", "no bias", "other"],
)
def test_a_head_without_such_a_bias_is_left_alone(head):
    model = torch.nn.Sequential(torch.nn.Identity(), head)
    before = [parameter.clone() for parameter in model.parameters()]
    assert not add_to_logits(model, "1", BIASES)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert last_linear(model, "0") is None
