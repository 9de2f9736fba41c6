"""The setting by which a GPU's convolutions take the short form of float32: who changes it, and who puts it back."""

import pytest
import torch

from analysis.explain import explain
from analysis.perturbation import Scores
from fer.data import load
from fer.evaluation import judge
from fer.exact import exact
from fer.images import read
from fer.predict import Predictor
from fer.samples import sample_path
from tests.fer.fitted import fitted


@pytest.fixture
def conv(monkeypatch):
    """The setting of a process that has a GPU and takes the short form."""
    found = torch.backends.cudnn.conv
    before = found.fp32_precision
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found.fp32_precision = "tf32"
    yield found
    found.fp32_precision = before


def test_it_is_exact_inside_and_as_before_afterwards(conv):
    with exact():
        assert conv.fp32_precision == "ieee"
    assert conv.fp32_precision == "tf32"
    with pytest.raises(ZeroDivisionError), exact():
        1 / 0  # noqa: B018
    assert conv.fp32_precision == "tf32"


def test_of_several_at_once_the_last_puts_it_back(conv):
    one, other = exact(), exact()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert conv.fp32_precision == "ieee"
    other.__exit__(None, None, None)
    assert conv.fp32_precision == "tf32"


def test_without_a_gpu_nothing_is_touched(conv, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with exact():
        assert conv.fp32_precision == "tf32"


@pytest.mark.parametrize("ask", ["judge", "explain", "score"])
def test_every_way_to_ask_a_network_is_exact(ask, conv, fake_zip, monkeypatch):
    """Cards, heatmaps and the figures about them are of one network in one arithmetic."""
    faces = load(fake_zip).split("validation")
    checkpoint, seen = fitted(faces), []
    for net in (checkpoint.runner, checkpoint.model):  # its faster form first, which is tried out when it is made
        net.register_forward_hook(lambda *_: seen.append(conv.fp32_precision))
    monkeypatch.setattr("fer.checkpoint.best_device", lambda: "cpu")
    ways = {
        "judge": lambda: judge(checkpoint, faces.images),
        "explain": lambda: explain(checkpoint, Predictor(checkpoint).faces(read(sample_path()))),
        "score": lambda: Scores(checkpoint)(faces.images / 255),
    }
    ways[ask]()
    assert seen and set(seen) == {"ieee"} and conv.fp32_precision == "tf32"
