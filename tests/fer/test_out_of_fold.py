"""The table of what every fold says of the faces it did not train on, against the networks of the folds themselves."""

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import Corpus, load
from fer.data.folds import folds as split_folds
from fer.errors import ConfigError, DataError
from fer.evaluation import evaluate_checkpoint
from fer.overrides import with_values
from fer.training import out_of_fold
from fer.training.run import Watch
from fer.training.series import cross_validate, repeat_seeds
from fer.types import PredictionTable

SMALL = with_values(
    RunConfig(), {"model": "baseline", "epochs": 1, "batch_size": 14, "precision": "fp32", "ema": 0, "seed": 3}, "test"
)


def watched(*_: object) -> nullcontext[Watch]:
    return nullcontext(Watch())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(fake_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load(fake_folder)


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished series over three folds. Do not change it."""
    path = tmp_path_factory.mktemp("runs") / "series"
    cross_validate(SMALL, corpus, path, 3, watched)
    return path


def test_the_table_has_every_training_face_once_in_the_order_of_the_data(folder, corpus):
    table, faces = out_of_fold.load(folder), corpus.split("train")
    assert table.names == faces.names and len(table) == 42
    assert table.labels.tolist() == faces.labels.tolist()
    assert (table.classes, table.split) == (faces.classes, "train")
    assert table.source["data"] == faces.fingerprint and table.source["checkpoint"] == "series, 3 folds"


def test_every_row_is_what_the_network_says_that_did_not_train_on_the_face(folder, corpus):
    """Each network judges all faces; a row has to be that of the one network whose part the face was."""
    table, faces = out_of_fold.load(folder), corpus.split("train")
    models = [checkpoints.load(folder / f"fold-{number}" / "best.pth") for number in (1, 2, 3)]
    everything = [evaluate_checkpoint(model, faces).logits for model in models]
    trained_on = [model.card.data["splits"]["train"]["fingerprint"] for model in models]
    for (kept, held_out), logits, fingerprint in zip(split_folds(faces, 3, 3), everything, trained_on, strict=True):
        assert faces.select(kept).fingerprint == fingerprint
        np.testing.assert_allclose(table.logits[held_out.numpy()], logits[held_out.numpy()], atol=1e-5)
    assert all(np.abs(table.logits - logits).max() > 1e-4 for logits in everything)
    hashes = [model.card.weights_sha256 for model in models]
    assert table.source["weights_sha256"] == ", ".join(hashes) and len(set(hashes)) == 3


def part(names: str, labels: list[int], logits: list[list[float]]) -> PredictionTable:
    return PredictionTable(logits, labels, tuple(names), ("angry", "happy"), "validation")


@pytest.fixture
def five(corpus: Corpus):
    faces = corpus.split("train").only(["angry", "happy"]).select(torch.arange(5))
    return replace(faces, names=tuple("abcde"), labels=torch.tensor([0, 1, 1, 0, 1]))


PLACES = [torch.tensor([0, 3]), torch.tensor([1, 2, 4])]
FIRST, SECOND = part("ad", [0, 0], [[1, 2], [3, 4]]), part("bce", [1, 1, 1], [[5, 6], [7, 8], [9, 10]])


def test_parts_are_put_in_place_by_hand(five):
    table = out_of_fold.assemble([FIRST, SECOND], PLACES, five)
    assert table.logits.tolist() == [[1, 2], [5, 6], [7, 8], [3, 4], [9, 10]]
    assert table.names == ("a", "b", "c", "d", "e") and table.labels.tolist() == [0, 1, 1, 0, 1]


WRONG = {
    "other names": part("ax", [0, 0], [[1, 2], [3, 4]]),
    "another order": part("da", [0, 0], [[1, 2], [3, 4]]),
    "other labels": part("ad", [0, 1], [[1, 2], [3, 4]]),
    "fewer faces": part("a", [0], [[1, 2]]),
    "other classes": replace(FIRST, classes=("angry", "sad")),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_table_of_other_faces_is_refused(kind, five):
    with pytest.raises(ConfigError, match="fold 2 judged other faces"):
        out_of_fold.assemble([SECOND, WRONG[kind]], PLACES[::-1], five)


def test_a_series_stopped_in_its_last_fold_gets_the_same_table(folder, corpus, tmp_path):
    """As after Ctrl-C there: the state of the run is on disk, its figures are not."""
    copy = Path(shutil.copytree(folder, tmp_path / "series"))
    for name in ("summary.json", "out-of-fold.npz", "out-of-fold.json", "fold-3/metrics.json", "fold-3/validation.npz"):
        (copy / name).unlink()
    with pytest.raises(ConfigError, match=r"not all of its folds are finished; finish it with fer train --resume"):
        out_of_fold.load(copy)
    before = {name: data for name, data in files(copy).items() if name.startswith(("fold-1", "fold-2"))}
    cross_validate(SMALL, corpus, copy, 3, watched)
    assert {name: data for name, data in files(copy).items() if name in before} == before
    again, first = out_of_fold.load(copy), out_of_fold.load(folder)
    assert again.names == first.names and again.logits.tolist() == first.logits.tolist() and again.source == first.source


def test_a_series_resumed_with_another_number_of_folds_or_seed_is_refused(folder, corpus, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "series"))
    before = files(copy)
    for config, k in ((replace(SMALL, seed=4), 3), (SMALL, 4)):
        with pytest.raises(ConfigError, match="fold 1 judged other faces"):
            cross_validate(config, corpus, copy, k, watched)
        assert files(copy) == before  # nothing was trained first


def test_a_damaged_table_of_a_fold_says_how_to_get_it_anew(folder, corpus, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "series"))
    (copy / "fold-2" / "validation.npz").write_bytes(b"half")
    with pytest.raises(ConfigError, match=r"remove .*fold-2/metrics\.json"):
        cross_validate(SMALL, corpus, copy, 3, watched)
    (copy / "fold-2" / "metrics.json").unlink()  # as it says
    cross_validate(SMALL, corpus, copy, 3, watched)
    assert out_of_fold.load(copy).logits.tolist() == out_of_fold.load(folder).logits.tolist()


def test_a_series_over_seeds_has_no_such_table(corpus, tmp_path):
    repeat_seeds(SMALL, corpus, tmp_path / "series", 2, watched)
    assert json.loads((tmp_path / "series" / "summary.json").read_text())["names"] == ["seed-3", "seed-4"]
    with pytest.raises(ConfigError, match=r"no series over folds.*fer train NAME --folds 5"):
        out_of_fold.load(tmp_path / "series")


def test_a_folder_that_is_not_there_and_a_damaged_table(tmp_path):
    with pytest.raises(ConfigError, match="no series over folds"):
        out_of_fold.load(tmp_path / "nowhere")
    (tmp_path / "out-of-fold.npz").write_bytes(b"half")
    with pytest.raises(DataError, match="no prediction table"):
        out_of_fold.load(tmp_path)
