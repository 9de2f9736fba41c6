"""Architectures: one family a file, all found through :data:`MODELS`."""

from fer.models import (  # noqa: F401  (importing enters them in the registry)
    baseline,
    convnext,
    custom_cnn,
    efficientnet,
    ensemble,
    fast_cnn,
    mobilenet,
    net,
    resnet,
    senet,
    timm_models,
    vgg,
    vit,
)
from fer.models.entry import MODELS, Member, ModelEntry, Variant, register_model

__all__ = ["MODELS", "Member", "ModelEntry", "Variant", "register_model"]
