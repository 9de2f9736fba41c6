"""One step of the trainer for every form of every architecture: guards against kernels that crash or give no numbers."""

import pytest
import torch

from fer.config import RunConfig
from fer.data import FaceSet
from fer.models import MODELS
from fer.overrides import with_values
from fer.training.fit import Hooks, Job, fit
from fer.training.hardware import Hardware, make_fabric
from fer.training.objective import make_objective
from fer.training.plan import make_model, make_plan
from fer.training.tally import Tally
from fer.training.trainer import make_trainer

FORMS = [(name, variant) for name in MODELS for variant in MODELS[name].variants]


def one_step(config: RunConfig) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Tally]:
    """Weights before and after an epoch of one step over four faces, and the figures of its validation."""
    images = torch.randint(0, 256, (4, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    faces = FaceSet(images, torch.tensor([0, 2, 3, 6]), ("a", "b", "c", "d"), "train")
    plan = make_plan(config, faces)
    fabric = make_fabric(Hardware("cpu"), plan)
    trainer = make_trainer(fabric, make_model(plan, resumed=True), plan)
    before = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    fit(Job(fabric, plan, make_objective(plan, fabric, faces), faces, faces), trainer, Hooks(lambda *_: None, lambda _: None))
    return before, trainer.net.state_dict(), trainer.validated


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "variant"), FORMS, ids=["-".join(form) for form in FORMS])
def test_a_step_moves_every_stage_and_stays_finite(name, variant, precision):
    mode = "scratch" if variant == "small" else "finetune"
    values = {"model": name, "mode": mode, "epochs": 1, "batch_size": 4, "precision": precision, "warmup": 0, "lr": 0.01}
    before, after, validated = one_step(with_values(RunConfig(), values, "test"))
    assert all(value.isfinite().all() for value in after.values())
    weights = [name for name, value in before.items() if value.ndim > 1]
    still = [name for name in weights if torch.equal(before[name], after[name])]
    assert len(still) <= len(weights) // 10  # dying units may leave a layer without a gradient
    assert validated.count == 4 and 0 < validated.mean_loss < 100


# the sizes of the recipes' small epochs, and one at which a convolution's backward pass is known to crash in torch 2.13
RESIZED = [name for name in MODELS if not MODELS[name].variants["small"].fixed_size]


@pytest.mark.parametrize("size", [32, 60])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", RESIZED)
def test_a_step_at_other_sizes_stays_finite(name, precision, size):
    values = {"model": name, "epochs": 1, "batch_size": 4, "precision": precision, "warmup": 0, "lr": 0.01}
    _, after, validated = one_step(with_values(RunConfig(), {**values, "input_size": size}, "test"))
    assert all(value.isfinite().all() for value in after.values())
    assert validated.count == 4 and 0 < validated.mean_loss < 100
