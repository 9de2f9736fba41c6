"""Architectures: one family a file, all found through :data:`MODELS`."""

from fer.models import baseline, custom_cnn, resnet  # noqa: F401  (importing enters them in the registry)
from fer.models.entry import MODELS, ModelEntry, Variant, register_model

__all__ = ["MODELS", "ModelEntry", "Variant", "register_model"]
