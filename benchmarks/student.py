"""The peer of our benchmarks: the loop that most student projects train with."""

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from fer.environment import best_device
from fer.types import Preprocess


class StudentLoop:
    """Files, PIL and float32; a batch is loaded, transformed and collated by two worker processes."""

    def __init__(self, folder: Path, shape: Preprocess, net: nn.Module | None, batch: int) -> None:
        self.device = best_device()
        pictures = ImageFolder(folder, student_transforms(shape), allow_empty=True)
        loader = DataLoader(pictures, batch, shuffle=True, num_workers=2, drop_last=True)
        self.batches = itertools.chain.from_iterable(itertools.repeat(loader))
        if net:
            self.net = net.to(self.device).train()
            self.optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next normalised faces and their labels."""
        images, labels = next(self.batches)
        return images.to(self.device), labels.to(self.device)

    def step(self) -> float:
        """Load, forward, backward, update; the loss."""
        images, labels = self.batch()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(images), labels)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.item()


def student_transforms(shape: Preprocess) -> transforms.Compose:
    """What tutorials for FER-2013 list; RandomAffine stands where others crop after resizing, which takes longer."""
    resize = [transforms.Resize((shape.size, shape.size))] if shape.size != 48 else []
    return transforms.Compose(
        [
            transforms.Grayscale(shape.channels),
            *resize,
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(10),
            transforms.RandomAffine(0, translate=(0.1, 0.1), scale=(0.9, 1.1)),
            transforms.ColorJitter(brightness=0.2, contrast=0.2),
            transforms.ToTensor(),
            transforms.Normalize(shape.mean, shape.std),
        ]
    )
