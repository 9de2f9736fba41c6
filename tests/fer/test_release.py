"""What a release is calibrated on, and what it is judged on: two halves, divided and measured here in another way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from fer import checkpoint as checkpoints
from fer import release as releases
from fer.data import Corpus, load
from fer.data.preprocess import model_input
from fer.errors import DataError
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.release import release
from tests.fer.fitted import fitted

CLASSES = 7


def places(corpus: Corpus) -> tuple[list[int], list[int]]:
    """Positions of the validation faces that the calibration sees, and of the others."""
    faces = corpus.split("validation")
    order = sorted(range(len(faces)), key=lambda place: (int(faces.labels[place]), faces.names[place]))
    return order[::2], order[1::2]


@pytest.fixture(scope="module")
def corpus(fake_zip, tmp_path_factory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load(fake_zip)


@pytest.fixture(scope="module")
def source(corpus) -> checkpoints.Checkpoint:
    """A net that is wrong about five faces of the half that the calibration sees, and about two of the others."""
    faces, (seen, unseen) = corpus.split("validation"), places(corpus)
    labels = faces.labels.clone()
    for place in (*seen[:5], *unseen[:2]):
        labels[place] = (labels[place] + 1) % CLASSES
    return fitted(replace(faces, labels=labels))


def test_the_figures_held_out_are_those_of_the_other_half(source, corpus, tmp_path):
    card = release(source, corpus, tmp_path / "one.pth")
    faces, (seen, unseen) = corpus.split("validation"), places(corpus)
    stored = checkpoints.load(tmp_path / "one.pth")
    with torch.no_grad():
        logits = stored.model(model_input(faces.images, card.preprocess)).numpy() / card.temperature
    labels = faces.labels.numpy()
    accuracies = [(logits[half].argmax(axis=1) == labels[half]).mean() for half in (seen, unseen)]
    assert accuracies[0] != accuracies[1]
    figures = card.metrics["validation/held-out"]
    assert figures["n"] == len(unseen) and figures["accuracy"] == pytest.approx(accuracies[1])
    losses = -log_softmax(logits, axis=1)[unseen, labels[unseen]]
    assert figures["log_loss"] == pytest.approx(losses.mean(), rel=1e-3)


@pytest.mark.parametrize("pay", [True, False], ids=["with biases", "temperature alone"])
def test_what_is_fitted_depends_on_the_one_half_alone(pay, source, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "biases_pay", lambda one, other: pay)

    def found(changed: list[int]) -> np.ndarray:
        """Temperature and biases, the pictures of some faces being turned upside down."""
        faces = corpus.split("validation")
        images = faces.images.clone()
        images[changed] = images[changed].flip(2)
        card = release(source, replace(corpus, splits={**corpus.splits, "validation": replace(faces, images=images)}), path)
        return np.array([card.temperature, *card.biases])

    path, (seen, unseen) = tmp_path / "one.pth", places(corpus)
    usual = found([])
    assert len(usual) == (1 + CLASSES if pay else 1)
    np.testing.assert_allclose(found(unseen), usual, rtol=1e-4, atol=1e-4)
    assert np.abs(found(seen) - usual).max() > 0.05


def test_one_validation_face_cannot_be_released(source, corpus, tmp_path):
    one = corpus.split("validation").select(torch.tensor([0]))
    few = replace(corpus, splits={**corpus.splits, "validation": one})
    with pytest.raises(DataError, match="one face of the validation split cannot be halved; give two or more"):
        release(replace(source, card=replace(source.card, data={})), few, tmp_path / "one.pth")
    assert not (tmp_path / "one.pth").exists()


def test_the_release_of_a_run_that_did_not_end_has_the_accuracy_of_faces_as_they_are(source, corpus, tmp_path):
    """Until a run ends its card has that of augmented faces."""
    train, _ = corpus.for_training()
    for metrics, known in (({}, False), ({"validation": {"accuracy": 0.5}}, True)):
        card = release(
            replace(source, card=replace(source.card, train_accuracy=0.123, metrics=metrics)), corpus, tmp_path / "a.pth"
        )
        measured = evaluate_table(evaluate_checkpoint(checkpoints.load(tmp_path / "a.pth"), train))["accuracy"]
        assert card.train_accuracy == (0.123 if known else pytest.approx(measured, abs=2 / len(train)))
