"""Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928) for vision transformers."""

from typing import Any

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, finished, register_method
from fer.aim import Aim
from fer.errors import ConfigError


@register_method(
    "rollout",
    "attention followed through all layers of a transformer",
    "Abnar & Zuidema 2020 (arXiv:2005.00928)",
    follows_target=False,
    reads_layers=False,
)
def rollout(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """How much of every place reaches the class token when attention and skip connections are multiplied through.

    Raises:
        ConfigError: the network has no attention layers of torch.
    """
    blocks = _attention_of(model)
    if not blocks:
        raise ConfigError("rollout follows attention, and this network has none; use it with vit, or choose another method")
    attention: list[torch.Tensor] = []
    handles = [hook for block in blocks for hook in _watch(block, attention)]
    try:
        with torch.no_grad():
            logits = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    flow = torch.eye(attention[0].shape[-1], device=inputs.device)
    for heads in attention:
        flow = (heads.mean(1) + torch.eye(heads.shape[-1], device=inputs.device)) / 2 @ flow
    reshape = layers.reshape or (lambda output: output)
    # the class token's row, as if it were one channel of tokens
    raw = reshape(flow[:, 0, :, None])[:, 0]
    return finished([raw], inputs.shape[-1], logits)


def has_attention(model: nn.Module) -> bool:
    """Whether a network has attention layers of torch, which this method needs."""
    return bool(_attention_of(model))


def _attention_of(model: nn.Module) -> list[nn.MultiheadAttention]:
    return [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]


def _watch(block: nn.MultiheadAttention, attention: list[torch.Tensor]) -> list[Any]:
    """Have a block compute its attention (N, heads, T, T), which it skips otherwise, and keep it."""

    def ask(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"need_weights": True, "average_attn_weights": False}

    def keep(_: nn.Module, __: object, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        attention.append(output[1])

    return [block.register_forward_pre_hook(ask, with_kwargs=True), block.register_forward_hook(keep)]
