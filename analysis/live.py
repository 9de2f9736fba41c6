"""A frame as people see it: what is in it, and on request why."""

from analysis.figures.scene import draw_scene, shown
from analysis.question import Question, ask
from fer.predict import Model
from fer.types import ByteArray
from fer.video import Scene


def drawn(image: ByteArray, scene: Scene, model: Model, *, maps: bool) -> ByteArray:
    """Copy of uint8 (H, W, 3) with the faces of its scene; under their boxes, the maps of what each is taken for.

    Raises:
        ConfigError: the model gives no maps.
    """
    predictions = [seen.prediction for seen in shown(scene)] if maps else []
    if not predictions:
        return draw_scene(image, scene)
    asked = Question([prediction.label for prediction in predictions])
    return draw_scene(image, scene, ask(model, [prediction.face for prediction in predictions], asked))
