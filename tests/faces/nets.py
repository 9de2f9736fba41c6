"""A net in the form of YuNet that finds red squares: the real file is not to be had where tests run.

Three strides, each with class and object scores, boxes and key points, as OpenCV's ``FaceDetectorYN`` reads them.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Side of the squares that it finds, and where the five points of each lie, in sides of the square from its centre.
SIDE = 32
POINTS = ((-0.25, -0.2), (0.25, -0.2), (0.0, 0.05), (-0.2, 0.3), (0.2, 0.3))


def write(path: Path, lean: float = 0.0) -> Path:
    """The net as ONNX: a cell of 32 pixels is a face where it is red (BGR in); its points are turned by ``lean`` degrees."""
    nodes, constants, outputs = [], [], []

    def constant(name: str, value: object, kind: type = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    constant("red", np.reshape([-1, -1, 1], (1, 3, 1, 1)))
    constant("rows1", [1, -1, 1], np.int64)
    nodes.append(helper.make_node("Conv", ["input", "red"], ["redness"]))
    for stride in (8, 16, 32):
        pooled = dict(kernel_shape=[stride, stride], strides=[stride, stride])
        nodes.append(helper.make_node("AveragePool", ["redness"], [f"mean{stride}"], **pooled))
        # only the last stride finds anything; 0..255 becomes 0..1
        gain = 1 / 200 if stride == SIDE else 0.0
        constant(f"gain{stride}", np.full((1, 1, 1, 1), gain))
        nodes.append(helper.make_node("Conv", [f"mean{stride}", f"gain{stride}"], [f"raw{stride}"]))
        nodes.append(
            helper.make_node(
                "Clip", [f"raw{stride}", constant(f"low{stride}", 0), constant(f"high{stride}", 1)], [f"map{stride}"]
            )
        )
        for kind in ("cls", "obj"):
            nodes.append(helper.make_node("Reshape", [f"map{stride}", "rows1"], [f"{kind}_{stride}"]))
            outputs.append((f"{kind}_{stride}", 1))
        for kind, values in (("bbox", _box(stride)), ("kps", _points(stride, lean))):
            width = len(values)
            weights = [constant(f"{kind}w{stride}", np.zeros((width, 1, 1, 1))), constant(f"{kind}b{stride}", values)]
            nodes.append(helper.make_node("Conv", [f"map{stride}", *weights], [f"{kind}c{stride}"]))
            nodes.append(helper.make_node("Transpose", [f"{kind}c{stride}"], [f"{kind}t{stride}"], perm=[0, 2, 3, 1]))
            constant(f"{kind}rows{stride}", [1, -1, width], np.int64)
            nodes.append(helper.make_node("Reshape", [f"{kind}t{stride}", f"{kind}rows{stride}"], [f"{kind}_{stride}"]))
            outputs.append((f"{kind}_{stride}", width))
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, width]) for name, width in outputs]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "squares", [image], shown, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)
    return path


def _box(stride: int) -> list[float]:
    """Centre half a cell from its corner, sides as logarithms of cells: as YuNet writes them."""
    return [0.5, 0.5, float(np.log(SIDE / stride)), float(np.log(SIDE / stride))]


def _points(stride: int, lean: float) -> list[float]:
    cosine, sine = np.cos(np.deg2rad(lean)), np.sin(np.deg2rad(lean))
    turned = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in POINTS]
    return [0.5 + value * SIDE / stride for point in turned for value in point]
