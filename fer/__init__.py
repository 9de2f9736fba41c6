"""Facial expression models that explain themselves.

Importing this package loads neither torch nor any other heavy library; public names are fetched when they are used.

>>> import fer
>>> fer.Predictor().predict(fer.sample_path())[0].label
'happy'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer.checkpoint import Checkpoint as Checkpoint
    from fer.checkpoint import load as load_checkpoint  # noqa: F401
    from fer.data import load as load_data  # noqa: F401
    from fer.emotions import EMOTIONS as EMOTIONS
    from fer.errors import FerError as FerError
    from fer.evaluation import evaluate_checkpoint as evaluate_checkpoint
    from fer.metrics import evaluate_table as evaluate_table
    from fer.models import MODELS as MODELS
    from fer.predict import Predictor as Predictor
    from fer.samples import sample_path as sample_path
    from fer.types import Face as Face
    from fer.types import Heatmap as Heatmap
    from fer.types import Prediction as Prediction
    from fer.types import PredictionTable as PredictionTable

_PUBLIC: dict[str, tuple[str, str]] = {
    "Checkpoint": ("fer.checkpoint", "Checkpoint"),
    "EMOTIONS": ("fer.emotions", "EMOTIONS"),
    "Face": ("fer.types", "Face"),
    "FerError": ("fer.errors", "FerError"),
    "Heatmap": ("fer.types", "Heatmap"),
    "MODELS": ("fer.models", "MODELS"),
    "Prediction": ("fer.types", "Prediction"),
    "PredictionTable": ("fer.types", "PredictionTable"),
    "Predictor": ("fer.predict", "Predictor"),
    "evaluate_checkpoint": ("fer.evaluation", "evaluate_checkpoint"),
    "evaluate_table": ("fer.metrics", "evaluate_table"),
    "load_checkpoint": ("fer.checkpoint", "load"),
    "load_data": ("fer.data", "load"),
    "sample_path": ("fer.samples", "sample_path"),
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fer' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return list(__all__)
