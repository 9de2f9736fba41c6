"""Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928) for vision transformers."""

from typing import Any

import torch
from torch import nn

from analysis.explain.method import Layers, Maps, attention_of, finished, register_method
from fer.aim import Aim


@register_method(
    "rollout",
    "attention followed through all layers of a transformer",
    "Abnar & Zuidema 2020 (arXiv:2005.00928)",
    follows_target=False,
    reads="attention",
)
def rollout(model: nn.Module, inputs: torch.Tensor, layers: Layers, aim: Aim) -> Maps:
    """How much of every place reaches the class token when attention and skip connections are multiplied through."""
    attention: list[torch.Tensor] = []
    handles = [hook for block in attention_of(model) for hook in _watch(block, attention)]
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


def _watch(block: nn.MultiheadAttention, attention: list[torch.Tensor]) -> list[Any]:
    """Have a block compute its attention (N, heads, T, T), which it skips otherwise, and keep it."""

    def ask(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"need_weights": True, "average_attn_weights": False}

    def keep(_: nn.Module, __: object, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        attention.append(output[1])

    return [block.register_forward_pre_hook(ask, with_kwargs=True), block.register_forward_hook(keep)]
