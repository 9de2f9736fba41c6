"""How far maps hold still and depend on the weights, against maps asked for one by one and correlations by numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats

from analysis.explain import explain
from analysis.faithfulness import Plan, Subject, rate, without_training
from fer import checkpoint as checkpoints
from fer.checkpoint import Checkpoint
from fer.data import load


def test_the_four_figures_are_correlations_with_maps_of_changed_faces_and_changed_weights(checkpoint_file, fake_folder):
    checkpoint, faces = checkpoints.load(checkpoint_file), load(fake_folder).split("validation")
    plan = Plan(("layercam",), 6, seed=3)
    (report,) = rate(checkpoint, faces, plan)
    subject = Subject.of(checkpoint, faces, plan)
    names = [checkpoint.card.classes[target] for target in subject.targets.tolist()]
    images = subject.faces.images.numpy()

    def maps(pictures: np.ndarray, net: Checkpoint = checkpoint) -> list[np.ndarray]:
        rows = torch.from_numpy(np.ascontiguousarray(pictures)).split(1)
        return [explain(net, row, name, "layercam")[0].values for row, name in zip(rows, names, strict=True)]

    def mean(correlation, one, other) -> float:
        return float(np.mean([correlation(a.ravel(), b.ravel())[0] for a, b in zip(one, other, strict=True)]))

    own = maps(images)
    mirrored = [found[:, ::-1] for found in maps(images[..., ::-1])]
    moved = maps(np.concatenate([images[..., :1], images[..., :1], images[..., :-2]], axis=-1))  # two pixels to the right
    shifted = mean(stats.pearsonr, [a[:, :-2] for a in own], [b[:, 2:] for b in moved])
    untrained = {whole: maps(images, without_training(subject, whole=whole, seed=3)) for whole in (False, True)}
    expected = {
        "flip": mean(stats.pearsonr, own, mirrored),
        "shift": shifted,
        "head_randomised": mean(stats.spearmanr, own, untrained[False]),
        "all_randomised": mean(stats.spearmanr, own, untrained[True]),
    }
    for name, value in expected.items():
        assert getattr(report, name) == pytest.approx(value, abs=5e-3), name  # maps of a split are kept in half precision
    assert abs(mean(stats.pearsonr, own, maps(images[..., ::-1])) - expected["flip"]) > 0.02
    assert abs(mean(stats.pearsonr, own, moved) - shifted) > 0.02
    assert abs(expected["head_randomised"] - expected["all_randomised"]) > 0.02
