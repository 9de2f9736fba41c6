"""Starting weights: torchvision's own loader against a server on loopback, and local files given with --init."""

import hashlib
import http.server
import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torchvision.models import WeightsEnum, resnet18
from torchvision.models._api import Weights

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import load
from fer.errors import WeightsError
from fer.models import MODELS
from fer.models.weights import download, read_state, start_from
from fer.overrides import with_values
from fer.training.freezing import stages
from fer.training.plan import make_model, make_plan
from tests.conftest import save_random
from tests.fer.strange import RunsCode, evil_pickle, torch_saved


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and keeps count of the requests instead of printing them."""

    def do_GET(self):
        self.server.paths.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A file server on loopback; ``server.folder`` is what it serves, ``server.paths`` what was asked of it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        server.folder, server.paths = folder, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """torch's own cache of downloads, empty; loopback is asked without a proxy."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "hub" / "checkpoints"


def weights_at(url):
    """A torchvision weights entry that lies at this address."""

    class Fake(WeightsEnum):
        V1 = Weights(url=url, transforms=None, meta={})

    return Fake.V1


def serve(server, data, prefix=None):
    """Put a file on the server under torchvision's naming: the first eight digits of its sha256."""
    name = f"tiny-{prefix or hashlib.sha256(data).hexdigest()[:8]}.pth"
    (server.folder / name).write_bytes(data)
    return weights_at(f"http://127.0.0.1:{server.server_port}/{name}")


TINY = {"layer.weight": torch.arange(6.0).reshape(2, 3)}


# the download


def test_weights_come_from_the_server(server, hub):
    state = download(serve(server, torch_saved(TINY)))
    assert state.keys() == TINY.keys() and torch.equal(state["layer.weight"], TINY["layer.weight"])
    assert len(list(hub.iterdir())) == 1


def test_the_second_time_they_come_from_the_cache(server, hub):
    weights = serve(server, torch_saved(TINY))
    download(weights)
    download(weights)
    assert len(server.paths) == 1


@pytest.mark.parametrize("content", ["other tensors", "web page", "cut short"])
def test_a_wrong_hash_is_refused_and_nothing_kept(content, server, hub):
    data = torch_saved(TINY)
    prefix = hashlib.sha256(data).hexdigest()[:8]
    served = {"other tensors": torch_saved({"w": torch.zeros(1)}), "web page": b"<html></html>", "cut short": data[:-10]}
    with pytest.raises(WeightsError, match=rf"tiny-{prefix}\.pth.*hash.*--init FILE"):
        download(serve(server, served[content], prefix))
    assert list(hub.iterdir()) == []


def test_code_in_a_download_is_not_run(server, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(WeightsError, match="tiny-"):
        download(serve(server, torch_saved({"w": RunsCode(mark)})))
    assert not mark.exists()


def test_a_damaged_file_in_the_cache_is_named_or_fetched_again(server, hub):
    weights = serve(server, torch_saved(TINY))
    hub.mkdir(parents=True)
    cached = hub / weights.url.rsplit("/", 1)[-1]
    cached.write_bytes(b"cut short")
    try:
        assert torch.equal(download(weights)["layer.weight"], TINY["layer.weight"])
    except WeightsError as error:
        assert str(cached) in str(error)


def test_the_time_limit_of_other_connections_is_left_alone(server):
    before = socket.getdefaulttimeout()
    with pytest.raises(WeightsError):
        download(weights_at(f"http://127.0.0.1:{server.server_port}/none-00000000.pth"))
    assert socket.getdefaulttimeout() == before


@pytest.fixture
def train(fer, fake_zip, tmp_path):
    """Runs ``fer train resnet18``; whatever goes wrong, no run folder may be left."""

    def run(*arguments):
        outcome = fer(
            "train",
            "resnet18",
            "--data",
            fake_zip,
            "--runs",
            tmp_path / "runs",
            "--epochs",
            "1",
            "--set",
            "batch_size=21",
            *arguments,
        )
        (line,) = outcome.err.splitlines()
        assert outcome.code == 2 and outcome.out == ""
        assert line.startswith("fer: ") and "Traceback" not in line
        assert not (tmp_path / "runs").exists()
        return line

    return run


def use(monkeypatch, weights):
    """Let resnet18 take its ImageNet weights from there."""
    variants = MODELS["resnet18"].variants
    monkeypatch.setitem(variants, "imagenet", replace(variants["imagenet"], weights=lambda: download(weights)))


@pytest.mark.parametrize("mode", ["finetune", "feature-extract"])
def test_offline_one_line_says_so_and_what_to_do(mode, train, server, monkeypatch):
    port = server.server_port
    server.shutdown()  # first, since its thread waits at the socket
    server.server_close()  # nobody listens at this port any more
    use(monkeypatch, weights_at(f"http://127.0.0.1:{port}/resnet18-00000000.pth"))
    line = train("--mode", mode)
    assert "cannot fetch ImageNet weights resnet18-00000000.pth" in line and "refused" in line
    assert "--init FILE" in line and "--mode scratch" in line


def test_a_file_the_server_does_not_have(train, server, monkeypatch):
    use(monkeypatch, weights_at(f"http://127.0.0.1:{server.server_port}/resnet18-00000000.pth"))
    line = train("--mode", "finetune")
    assert "resnet18-00000000.pth" in line and "--init FILE" in line and "()" not in line


def test_a_wrong_hash_at_the_command_line(train, server, monkeypatch):
    use(monkeypatch, serve(server, torch_saved(TINY), "00000000"))
    assert "hash" in train("--mode", "finetune")


def test_a_download_of_another_architecture(train, server, monkeypatch):
    use(monkeypatch, serve(server, torch_saved(TINY)))
    assert "another architecture" in train("--mode", "finetune")


@pytest.fixture(scope="module")
def imagenet_state():
    torch.manual_seed(3)
    return resnet18(weights=None).state_dict()


def built(fake_zip, **config):
    plan = make_plan(
        with_values(RunConfig(), {"model": "resnet18", "batch_size": 21, **config}, "test"), load(fake_zip).split("train")
    )
    model = make_model(plan)
    plan.freeze(model, stages(model, plan.spec.head), 1)
    return model


@pytest.mark.parametrize("mode", ["finetune", "feature-extract"])
def test_the_trunk_is_that_of_the_server_and_the_head_is_new(mode, server, fake_zip, imagenet_state, monkeypatch):
    use(monkeypatch, serve(server, torch_saved(imagenet_state)))
    model = built(fake_zip, mode=mode)
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in imagenet_state.items() if not name.startswith("fc."))
    assert [tuple(value.shape) for name, value in found.items() if name.startswith("fc.")] == [(7, 512), (7,)]
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert all(name.startswith("fc.") for name in trained) == (mode == "feature-extract") and trained


def test_training_from_scratch_asks_no_server(server, fake_zip, monkeypatch):
    use(monkeypatch, weights_at(f"http://127.0.0.1:{server.server_port}/resnet18-00000000.pth"))
    built(fake_zip, mode="scratch")
    assert server.paths == []


# local files


def test_init_takes_a_plain_state_dict(server, fake_zip, imagenet_state, tmp_path, monkeypatch):
    use(monkeypatch, weights_at(f"http://127.0.0.1:{server.server_port}/resnet18-00000000.pth"))
    (tmp_path / "local.pth").write_bytes(torch_saved(imagenet_state))
    found = built(fake_zip, mode="finetune", init=str(tmp_path / "local.pth")).state_dict()
    assert all(torch.equal(found[name], value) for name, value in imagenet_state.items() if not name.startswith("fc."))
    assert server.paths == []


@pytest.mark.parametrize("legacy", [False, True], ids=["zip form", "legacy form"])
def test_a_state_dict_may_lie_under_its_own_key(legacy, tmp_path):
    data = torch_saved({"epoch": 3, "state_dict": TINY}, _use_new_zipfile_serialization=not legacy)
    (tmp_path / "a.pth").write_bytes(data)
    assert torch.equal(read_state(tmp_path / "a.pth")["layer.weight"], TINY["layer.weight"])


@pytest.mark.parametrize("variant", ["small", "imagenet"])
def test_init_takes_a_checkpoint_of_this_program_with_its_head(variant, fake_zip, tmp_path):
    path = save_random(tmp_path / "mine.pth", "resnet18", variant, seed=5)
    found = built(fake_zip, mode="finetune", init=str(path)).state_dict()
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(found[name], value) for name, value in stored.items())


def test_half_precision_starts_in_full(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2))
    start_from(model, {"0.weight": torch.ones(2, 3).half(), "0.bias": torch.zeros(2).half()}, ("1",), "a.pth")
    assert model[0].weight.dtype == torch.float32 and (model[0].weight == 1).all()


def test_a_head_of_another_size_stays_new():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 7))
    head = model[1].weight.clone()
    state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1000)).state_dict()
    start_from(model, state, ("1",), "a.pth")
    assert torch.equal(model[0].weight, state["0.weight"]) and torch.equal(model[1].weight, head)


BAD = {
    "empty": b"",
    "text": b"the quick brown fox\n",
    "web page": b"<!doctype html>",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "no tensors": torch_saved({"epoch": 3}),
    "a list": torch_saved([torch.zeros(2)]),
    "a tensor": torch_saved(torch.zeros(2)),
    "nothing in it": torch_saved({}),
    "state of numbers": torch_saved({"state_dict": {"w": 1.0}}),
    "state is a tensor": torch_saved({"state_dict": torch.zeros(2)}),
    "state is a list": torch_saved({"state_dict": [torch.zeros(2)]}),
    "names are numbers": torch_saved({1: torch.zeros(2)}),
    "other tensors": torch_saved(TINY),
    "cut short": torch_saved(TINY)[:-200],
    "whole model": torch_saved(torch.nn.Linear(2, 2)),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_local_file(kind, train, tmp_path):
    path = tmp_path / "local.pth"
    path.write_bytes(BAD[kind])
    line = train("--mode", "finetune", "--init", path)
    assert str(path) in line and "; give" in line


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_local_file_is_not_run(protocol, train, tmp_path):
    path, mark = tmp_path / "local.pkl", tmp_path / "mark"
    path.write_bytes(evil_pickle(mark, protocol))
    assert str(path) in train("--mode", "finetune", "--init", path)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_local_file_that_is_none(kind, train, tmp_path):
    path = tmp_path / "local.pth"
    if kind == "folder":
        path.mkdir()
    line = train("--mode", "finetune", "--init", path)
    assert str(path) in line and ";" in line


@pytest.mark.parametrize("mode", ["finetune", "feature-extract"])
def test_a_checkpoint_of_another_architecture(mode, train, checkpoint_file):
    line = train("--mode", mode, "--init", checkpoint_file)
    assert str(checkpoint_file) in line and "another architecture" in line


def test_from_scratch_nothing_is_started_from(train, imagenet_state, tmp_path):
    """The card would say nothing of it."""
    (tmp_path / "local.pth").write_bytes(torch_saved(imagenet_state))
    line = train("--mode", "scratch", "--init", tmp_path / "local.pth")
    assert "starts from random weights" in line and "--init" in line and "--mode finetune" in line


@pytest.mark.parametrize("form", ["small", "imagenet"])
def test_a_checkpoint_of_the_same_architecture_brings_its_form(form, fake_zip, tmp_path):
    """Also where fine-tuning would take the form of ImageNet weights."""
    path = save_random(tmp_path / "own.pth", "mobilenet_v3_small", variant=form)
    config = RunConfig(model="mobilenet_v3_small", mode="gradual", init=str(path), batch_size=2, small_epochs=0)
    plan = make_plan(config, load(fake_zip).split("train"))
    assert plan.variant == form
    make_model(plan)


def test_other_weights_bring_none(fake_zip, tmp_path):
    path = save_random(tmp_path / "other.pth", "custom_cnn")
    config = RunConfig(model="mobilenet_v3_small", mode="finetune", init=str(path), batch_size=2, small_epochs=0)
    assert make_plan(config, load(fake_zip).split("train")).variant == "imagenet"


def test_what_sets_the_start_apart_is_said_of_what_comes_of_it(fer, fake_zip, tmp_path):
    source = checkpoints.load(save_random(tmp_path / "soft.pth", "baseline"))
    config = {**source.card.config, "labels": "ferplus-soft"}
    checkpoints.save(tmp_path / "soft.pth", source.model.state_dict(), replace(source.card, config=config))
    words = ["train", "baseline", "--mode", "finetune", "--init", tmp_path / "soft.pth", "--data", fake_zip]
    outcome = fer(*words, "--epochs", 1, "--set", "batch_size=14", "--runs", tmp_path / "runs")
    assert outcome.code == 0, outcome.err
    first = Path(outcome.out.strip()) / "best.pth"
    card = checkpoints.load(first).card
    assert card.data["started_from"]["name"] == "soft"
    assert card.marks == ("labels ferplus-soft: another task",)
    words[5] = first
    outcome = fer(*words, "--epochs", 1, "--set", "batch_size=14", "--runs", tmp_path / "again")
    assert checkpoints.load(Path(outcome.out.strip()) / "best.pth").card.marks == card.marks


def test_a_release_is_started_from_by_its_name(fer, fake_zip, tmp_path):
    words = ["train", "baseline", "--mode", "finetune", "--init", "baseline", "--data", fake_zip, "--runs", tmp_path]
    outcome = fer(*words, "--epochs", 1, "--set", "batch_size=14", "--set", "lr=1e-9", "--set", "settle_norms=false")
    assert outcome.code == 0, outcome.err
    learnt, released = checkpoints.load(Path(outcome.out.strip()) / "best.pth"), checkpoints.load("baseline")
    assert learnt.card.data["started_from"]["weights_sha256"] == released.card.weights_sha256
    for name, weight in released.model.named_parameters():
        torch.testing.assert_close(dict(learnt.model.named_parameters())[name], weight, rtol=1e-3, atol=1e-4)


def test_no_mode_is_trained_before_one_that_cannot_be(fer, fake_zip, checkpoint_file, tmp_path):
    words = ["compare-modes", "custom_cnn", "--modes", "finetune,scratch", "--set", f"init={checkpoint_file}"]
    outcome = fer(*words, "--data", fake_zip, "--runs", tmp_path / "runs")
    assert outcome.code == 2 and "random weights" in outcome.err and not (tmp_path / "runs").exists()
