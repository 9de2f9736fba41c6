"""Batch norms that end with the statistics of faces as they are, where training saw augmented ones."""

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.data.preprocess import standardise, to_unit
from fer.evaluation import evaluate_checkpoint
from fer.metrics import evaluate_table
from fer.types import PredictionTable, Preprocess, Progress

#: So many images say enough.
IMAGES, BATCH = 8192, 128
#: Modes that leave batch norms of the trunk as they were.
_KEPT = ("feature-extract", "gradual")


def norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms that keep statistics."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]


@torch.no_grad()
def take_statistics(
    model: nn.Module,
    images: torch.Tensor,
    preprocess: Preprocess,
    autocast: AbstractContextManager[object] | None = None,
    progress: Progress | None = None,
) -> None:
    """Set mean and variance of every batch norm to those of images without augmentation ("precise" statistics).

    The mean over batches of a fixed random choice of images, whatever the norms knew before (Wu & Johnson 2021,
    arXiv:2105.07576). Weights stay; the model is in evaluation mode afterwards.

    Args:
        model: maps ``preprocess``'s input to logits.
        images: uint8 (N, 1, H, W), two or more, on any device.
        preprocess: the model's input.
        autocast: number format of the passes; float32 where None.
        progress: told images done and all.
    """
    device, found = next(model.parameters()).device, norms(model)
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES]
    before = [norm.momentum for norm in found]
    model.eval()
    done = 0
    for norm in found:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    with autocast or nullcontext():
        for index in chosen.chunk(-(-len(chosen) // BATCH)):  # of nearly one size: a batch of one has no variance
            model(standardise(to_unit(images[index.to(images.device)].to(device)), preprocess))
            done += len(index)
            if progress:
                progress(done, len(chosen))
    for norm, momentum in zip(found, before, strict=True):
        norm.momentum = momentum
    model.eval()


def may_settle(source: Checkpoint) -> bool:
    """False for a network without batch norms or with settled ones, and where the run keeps them: by its mode, or as told.

    An ensemble that had no run of its own keeps the norms that its members ended with.
    """
    card = source.card
    combined = bool(card.members) and "mode" not in card.config
    kept = card.settled_norms or card.config.get("mode") in _KEPT or not card.config.get("settle_norms", True)
    return not (combined or kept) and bool(norms(source.model))


def settled(
    source: Checkpoint,
    train: FaceSet,
    validation: FaceSet,
    progress: Progress | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> tuple[Checkpoint, PredictionTable]:
    """The checkpoint with the better of two kinds of statistics, and its table over the validation faces.

    Those of training, or those of the training faces as they are: where it :func:`may_settle` and these give the lower
    log loss.
    """
    table, card = evaluate_checkpoint(source, validation, progress), source.card
    if not may_settle(source):
        return source, table
    model = copy.deepcopy(source.model)
    take_statistics(model, train.only(card.classes).images, card.preprocess, autocast, progress)
    other = Checkpoint(model, replace(card, settled_norms=True), source.name)
    with_others = evaluate_checkpoint(other, validation, progress)
    if evaluate_table(with_others)["log_loss"] < evaluate_table(table)["log_loss"]:
        return other, with_others
    return source, table
