"""Why a model decides: one :func:`explain` over all methods, every result a :class:`~fer.types.Heatmap`."""

from collections.abc import Sequence

import torch

from analysis.explain import gradcam  # noqa: F401  (importing enters it in the registry)
from analysis.explain.method import METHODS, Layers, Maps, untouched
from fer.checkpoint import Checkpoint
from fer.data.preprocess import face_batch, model_input
from fer.emotions import canonical
from fer.errors import UnknownNameError
from fer.types import Face, Heatmap

__all__ = ["DEFAULT_METHOD", "METHODS", "Maps", "explain"]

#: The method used where none is named.
DEFAULT_METHOD = "gradcam"


def explain(
    checkpoint: Checkpoint,
    faces: Sequence[Face] | torch.Tensor,
    target: str | Sequence[str] | None = None,
    method: str = DEFAULT_METHOD,
) -> tuple[Heatmap, ...]:
    """Where the network looks when it scores a class, one map a face.

    Args:
        checkpoint: the model and its card.
        faces: faces, or uint8 (N, 1, 48, 48) as in a :class:`~fer.data.FaceSet`.
        target: the class to explain, or one for every face; None finds each face's prediction by one more forward pass.
        method: name in :data:`METHODS`.

    Returns:
        Heatmaps at the size of the network's input. The model is left as it was, also after an error.

    Raises:
        UnknownNameError: no such class or method.

    >>> from fer.checkpoint import load
    >>> from fer.predict import Predictor
    >>> from fer.samples import sample_path
    >>> predictor = Predictor()
    >>> heatmap, = explain(predictor.checkpoint, predictor.faces(sample_path()))
    >>> heatmap.target, heatmap.values.shape
    ('happy', (48, 48))
    """
    run = METHODS[method]
    card, model = checkpoint.card, checkpoint.model
    wanted = [_class_index(name, card.classes) for name in ([target] if isinstance(target, str) else target or ())]
    images = faces if isinstance(faces, torch.Tensor) else face_batch(faces) if faces else torch.empty(0)
    if len(images) == 0:
        return ()
    inputs = model_input(images.to(next(model.parameters()).device), card.preprocess)
    with untouched(model):
        if target is None:
            with torch.no_grad():
                wanted = model(inputs).argmax(1).tolist()
        indices = wanted * len(inputs) if isinstance(target, str) else wanted
        maps = run(model, inputs, Layers.of(model, card.spec), indices)
    return tuple(
        Heatmap(values, float(peak), card.classes[index], method)
        for values, peak, index in zip(maps.values, maps.peaks, indices, strict=True)
    )


def _class_index(name: str, classes: Sequence[str]) -> int:
    label = canonical(name)
    if label not in classes:
        raise UnknownNameError(f"this checkpoint does not know the class {label!r}; its classes: {', '.join(classes)}")
    return list(classes).index(label)
