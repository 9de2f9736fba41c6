"""What learns when: stages of every architecture, gradual unfreezing, frozen trunks, all on real networks."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from fer import checkpoint as checkpoints
from fer.config import RunConfig
from fer.data import load
from fer.data.preprocess import model_input
from fer.models import MODELS
from fer.overrides import with_values
from fer.training.fit import Hooks, Job, fit
from fer.training.freezing import MOST_TRUNK_STAGES, free_stages, freeze, keep_frozen_norms, stages
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import frozen_note, make_model, make_plan
from fer.training.trainer import make_trainer
from tests.conftest import save_random

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module", params=list(MODELS))
def staged(request: pytest.FixtureRequest) -> tuple[str, nn.Module, list[list[str]]]:
    """Every architecture's small form with its stages."""
    spec = MODELS[request.param].variants["small"]
    torch.manual_seed(0)
    net = spec.build(7, 0.2)
    return request.param, net, stages(net, spec.head)


def in_order_of_use(name: str, net: nn.Module) -> dict[str, int]:
    """Module name → when it was first asked during a forward pass."""
    used: dict[str, int] = {}

    def note(key: str) -> None:
        used.setdefault(key, len(used))

    hooks = [
        module.register_forward_pre_hook(lambda *_, key=key: note(key))
        for key, module in net.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    faces = torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.eval()(model_input(faces, MODELS[name].variants["small"].preprocess))
    for hook in hooks:
        hook.remove()
    return used


def norms_of(net: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in net.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}


# stages


def test_every_parameter_is_in_exactly_one_stage(staged):
    _, net, by_stage = staged
    placed = [name for stage in by_stage for name in stage]
    assert sorted(placed) == sorted(name for name, _ in net.named_parameters())
    assert all(by_stage) and 2 <= len(by_stage) <= MOST_TRUNK_STAGES + 1 == 6


def test_the_last_stage_is_the_head(staged):
    name, net, by_stage = staged
    head = MODELS[name].variants["small"].head
    assert by_stage[-1] == [f"{head}.{inner}" for inner, _ in net.get_submodule(head).named_parameters()]


def test_stages_go_from_the_input_to_the_head(staged):
    """By the order in which layers are asked when a face passes."""
    name, net, by_stage = staged
    used = in_order_of_use(name, net)
    times = [[used[key.rpartition(".")[0]] for key in stage if key.rpartition(".")[0] in used] for stage in by_stage]
    if name == "ensemble":  # its members see the face one after the other, each with a head of its own
        assert [min(stage) for stage in times] == sorted(min(stage) for stage in times)
        return
    for earlier, later in pairwise(times):
        assert max(earlier) < min(later)


def test_a_norm_learns_together_with_its_convolution(staged):
    _, net, by_stage = staged
    place = {name: number for number, stage in enumerate(by_stage) for name in stage}
    for (name, module), (next_name, following) in pairwise(net.named_modules()):
        if isinstance(module, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            assert place[f"{name}.weight"] == place[f"{next_name}.weight"] == place[f"{next_name}.bias"]


def test_parameters_of_no_layer_are_near_the_input(staged):
    name, net, by_stage = staged
    loose = {key for key in dict(net.named_parameters()) if "token" in key or "pos_embed" in key}
    assert loose <= set(by_stage[0])
    assert (name == "vit") == bool(loose)


def test_the_residual_nets_first_layer_is_first_and_its_deepest_one_is_late():
    spec = MODELS["resnet18"].variants["small"]
    by_stage = stages(spec.build(7, 0.2), spec.head)
    place = {name: number for number, stage in enumerate(by_stage) for name in stage}
    assert place["conv1.weight"] == place["bn1.weight"] == 0
    layers = [place[f"layer{number}.0.conv1.weight"] for number in (1, 2, 3, 4)]
    assert layers == sorted(layers) and layers[3] > layers[0]
    assert place["layer4.1.conv2.weight"] == len(by_stage) - 2


@pytest.mark.parametrize("architecture, variant, places", [("vgg8", "small", 3), ("vgg16", "imagenet", 5)])
def test_dense_layers_do_not_hide_the_convolutions_before_them(architecture, variant, places):
    """They hold most of the weights, so that all convolutions once were one stage."""
    spec = MODELS[architecture].variants[variant]
    with torch.device("meta"):
        net = spec.build(7, 0.2)
    by_stage = stages(net, *spec.heads)
    weights = dict(net.named_parameters())
    convolutions = [sum(weights[name].ndim == 4 for name in stage) for stage in by_stage]
    assert sum(map(bool, convolutions)) == places and max(convolutions) <= 4


def test_the_stages_of_vgg16():
    """13 convolutions and two dense layers, three a stage."""
    spec = MODELS["vgg16"].variants["imagenet"]
    with torch.device("meta"):
        by_stage = stages(spec.build(7, 0.2), *spec.heads)
    first = [stage[0].removesuffix(".weight") for stage in by_stage]
    assert first == ["features.0", "features.10", "features.20", "features.30", "features.40", "classifier.6"]
    assert by_stage[-2][-2:] == ["classifier.3.weight", "classifier.3.bias"]


def test_several_heads_are_the_last_stage_together():
    net = nn.ModuleDict({"trunk": nn.Linear(2, 2), "one": nn.Linear(2, 3), "other": nn.Linear(2, 3)})
    heads = ["one.weight", "one.bias", "other.weight", "other.bias"]
    assert stages(net, "one", "other") == [["trunk.weight", "trunk.bias"], heads]


@pytest.mark.parametrize("every, expected", [(1, [1, 2, 3, 4, 5, 6]), (2, [1, 1, 2, 2, 3, 3]), (4, [1, 1, 1, 1, 2, 2])])
def test_one_more_stage_is_free_every_so_many_epochs(every, expected):
    assert [free_stages(epoch, every) for epoch in range(1, 7)] == expected


def test_freezing_leaves_the_last_stages_and_their_norms_to_learn(staged):
    _, net, by_stage = staged
    for free in range(1, len(by_stage) + 1):
        freeze(net, by_stage, free)
        learning = {name for name, p in net.named_parameters() if p.requires_grad}
        assert learning == {name for stage in by_stage[-free:] for name in stage}
        net.train()
        keep_frozen_norms(net)
        assert all(norm.training == (f"{name}.weight" in learning) for name, norm in norms_of(net).items())


def test_a_norm_without_weights_follows_the_layer_before_it():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, affine=False), nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False)
    )
    for frozen, expected in (((), [True, True]), ((0,), [False, True]), ((0, 2), [False, False])):
        net.train()
        for place in (0, 2):
            net[place].requires_grad_(place not in frozen)
        keep_frozen_norms(net)
        assert [net[1].training, net[3].training] == expected


# training with parts frozen


def weights(net: nn.Module) -> Weights:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(before: Weights, after: Weights) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def trained(fake_folder: Path, init: Path, **values: object) -> tuple[list[list[str]], list[Weights]]:
    """Stages, and the learning network's state before the first and after every epoch."""
    faces = load(fake_folder).split("train")
    usual = {"precision": "fp32", "batch_size": 21, "warmup": 0.0, "lr": 0.02, "init": str(init)}
    config = with_values(RunConfig(), {**usual, **values}, "test")
    plan = make_plan(config, faces)
    fabric = make_fabric(Hardware("cpu"), plan)
    trainer = make_trainer(fabric, make_model(plan), plan)
    states = [weights(trainer.net)]
    job = Job(fabric, plan, make_objective(plan, fabric, faces), faces, faces)
    fit(job, trainer, Hooks(lambda *_: None, lambda t: states.append(weights(t.net))))
    return trainer.by_stage, states


@pytest.mark.parametrize("stages", [2, 3, 6])
@pytest.mark.parametrize("every", [1, 2, 3, 5])
@pytest.mark.parametrize("epochs", [1, 2, 5, 6, 10, 11, 14])
def test_stages_that_are_never_freed_are_said_with_what_would_free_them(epochs, every, stages):
    def freed(every: int) -> int:
        """Counted epoch by epoch."""
        return min(stages, 1 + sum((epoch - 1) % every == 0 for epoch in range(2, epochs + 1)))

    config = RunConfig(mode="gradual", epochs=epochs, small_epochs=0, unfreeze_every=every)
    note = frozen_note(config, stages)
    assert bool(note) == (freed(every) < stages)
    assert frozen_note(replace(config, mode="finetune"), stages) == ""
    if note:
        assert note.startswith(f"{stages - freed(every)} of {stages} stages stay")
        enough = [value for value in range(1, epochs) if freed(value) == stages]
        if enough:
            assert f"--set unfreeze_every={max(enough)})" in note
        else:  # what is advised is the least that helps
            advised = int(note.rpartition("all need --epochs ")[2])
            notes = [frozen_note(replace(config, epochs=number), stages) for number in (advised - 1, advised)]
            assert [bool(each) for each in notes] == [True, False]


def test_a_short_gradual_run_says_what_stays_frozen_before_it_trains(fer, fake_folder, checkpoint_file, tmp_path):
    words = ["--mode", "gradual", "--init", checkpoint_file, "--data", fake_folder, "--runs", tmp_path, "--epochs", 2]
    small = ["--set", "batch_size=21", "--set", "input_size=32", "--set", "precision=fp32", "--set", "small_epochs=0"]
    by_stage = len(stages(MODELS["custom_cnn"].variants["small"].build(7, 0.0), "head"))
    outcome = fer("train", "custom_cnn", *words, *small, "--unfreeze-every", 1)
    said = outcome.err.splitlines()
    assert outcome.code == 0 and by_stage > 2
    assert f"{by_stage - 2} of {by_stage} stages stay frozen, since 2 epochs free 2; all need --epochs {by_stage}" in said
    assert [line.startswith(("epoch", f"{by_stage - 2} of")) for line in said].index(True) == said.index(
        next(line for line in said if "stay frozen" in line)
    )


@pytest.mark.parametrize("every, free", [(1, [1, 2, 3]), (2, [1, 1, 2])])
def test_gradual_unfreezing_moves_one_more_stage_from_the_head_backwards(every, free, fake_folder, checkpoint_file):
    settings = {"model": "custom_cnn", "mode": "gradual", "epochs": 3, "input_size": 32, "unfreeze_every": every}
    by_stage, states = trained(fake_folder, checkpoint_file, **settings)
    start = checkpoints.load(checkpoint_file).model.state_dict()
    assert changed(start, states[0]) == set()
    parameters = {name for stage in by_stage for name in stage}
    for epoch, count in enumerate(free, 1):
        moved = changed(states[epoch - 1], states[epoch])
        learning = {name for stage in by_stage[-count:] for name in stage}
        assert moved & parameters == learning
        # a norm's statistics move exactly where its weights do
        statistics = {name for name in moved if name.endswith(("running_mean", "running_var"))}
        assert {name.rpartition(".")[0] for name in statistics} == {
            name.rpartition(".")[0] for name in learning if f"{name.rpartition('.')[0]}.running_mean" in states[0]
        }


@pytest.mark.parametrize("architecture, size", [("custom_cnn", 32), ("baseline", 0), ("resnet18", 32)])
def test_feature_extraction_moves_the_head_alone(architecture, size, fake_folder, tmp_path):
    init = save_random(tmp_path / "start.pth", architecture)
    settings = {"model": architecture, "mode": "feature-extract", "epochs": 1, "input_size": size}
    if "imagenet" in MODELS[architecture].variants:
        init = save_random(tmp_path / "start.pth", architecture, "imagenet")
    by_stage, states = trained(fake_folder, init, **settings)
    moved = changed(states[0], states[1])
    parameters = {name for stage in by_stage for name in stage}
    assert moved & parameters == set(by_stage[-1])
    trunk = MODELS[architecture].variants["small"].head
    assert [name for name in moved if not name.startswith(f"{trunk}.")] == []


def test_the_command_line_unfreezes_gradually(fer, fake_zip, checkpoint_file, tmp_path):
    outcome = fer(
        "train", "custom_cnn", "--mode", "gradual", "--unfreeze-every", 1, "--init", checkpoint_file, "--epochs", 2,
        "--data", fake_zip, "--runs", tmp_path / "runs", "--set", "batch_size=21", "--set", "input_size=32", "--set", "ema=0",
        "--set", "precision=fp32",
    )  # fmt: skip
    assert outcome.code == 0
    folder = Path(outcome.out.strip())
    assert folder.name.endswith("-custom_cnn-gradual")
    start = checkpoints.load(checkpoint_file).model
    moved = changed(start.state_dict(), checkpoints.read(folder / "last.pth")["state_dict"])
    by_stage = stages(start, "head")
    assert moved & {name for stage in by_stage for name in stage} == {name for stage in by_stage[-2:] for name in stage}
