"""Building blocks that several families share."""

import math

import torch
from torch import nn


def conv_norm(before: int, after: int, *, stride: int = 1, kernel: int = 3) -> tuple[nn.Module, nn.Module]:
    """Convolution without bias, and its batch norm; the border is padded."""
    conv = nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after)


def double_conv(before: int, after: int) -> nn.Sequential:
    """Twice Conv-BN-ReLU at unchanged size."""
    return nn.Sequential(*conv_norm(before, after), nn.ReLU(inplace=True), *conv_norm(after, after), nn.ReLU(inplace=True))


def grey_stem(conv: nn.Conv2d, *, stride: int = 1, kernel: int = 3) -> nn.Conv2d:
    """A first convolution for grey 48-pixel faces in place of an ImageNet one, freshly initialised."""
    stem = nn.Conv2d(1, conv.out_channels, kernel, stride=stride, padding=(kernel - 1) // 2, bias=conv.bias is not None)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    if stem.bias is not None:
        nn.init.zeros_(stem.bias)
    return stem


def tokens_to_map(output: torch.Tensor) -> torch.Tensor:
    """Tokens (N, P + h·w, D), P of them in front and of no place, → (N, D, h, w) with h = w; maps pass, channels brought first.

    >>> tokens_to_map(torch.zeros(2, 1 + 64, 192)).shape
    torch.Size([2, 192, 8, 8])
    >>> tokens_to_map(torch.zeros(2, 7, 7, 192)).shape
    torch.Size([2, 192, 7, 7])
    """
    if output.ndim == 4:
        channels_last = output.shape[1] == output.shape[2] != output.shape[3]
        return output.permute(0, 3, 1, 2) if channels_last else output
    side = math.isqrt(output.shape[1])
    places = output[:, output.shape[1] - side * side :]
    return places.transpose(1, 2).reshape(len(output), -1, side, side)
