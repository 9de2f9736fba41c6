"""A frame as people see it: what is in it, and on request why."""

from itertools import compress

from analysis.figures.scene import draw_scene, shown
from analysis.question import Question, ask
from fer.predict import Model
from fer.types import ByteArray
from fer.video import Scene


def drawn(image: ByteArray, scene: Scene, model: Model, *, maps: bool) -> ByteArray:
    """Copy of uint8 (H, W, 3) with the faces of its scene; under their boxes, the maps of what each is taken for.

    A face that the model before it named, and that is not found at present, may have a name which this one does not know: it
    has no map.

    Raises:
        ConfigError: the model gives no maps.
    """
    predictions = [seen.prediction for seen in shown(scene)] if maps else []
    known = [prediction.label in model.card.classes for prediction in predictions]
    asked = list(compress(predictions, known))
    if not asked:
        return draw_scene(image, scene)
    question = Question([prediction.label for prediction in asked])
    found = iter(ask(model, [prediction.face for prediction in asked], question))
    return draw_scene(image, scene, [next(found) if one else None for one in known])
