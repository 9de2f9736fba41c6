"""Changes to an ONNX graph: which nodes serve what, and maps that cost nothing where nobody asks for them."""

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
from onnx import helper

from fer.portable.model import FEATURES, LOGITS, OUTPUTS, WEIGHTS
from fer.portable.onnx_file import EXPLAIN

#: Names inside the branch: those of the outputs belong to the node that holds it.
_INSIDE = "asked_"


def behind(graph: Any, outputs: Iterable[str]) -> set[str]:
    """Names of the nodes that some values are computed from."""
    makers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    waiting = [makers[name] for name in outputs if name in makers]
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting += [makers[name] for name in node.input if name in makers]
    return found


def beside_the_logits(graph: Any) -> list[Any]:
    """The nodes that only the maps need, in their order."""
    needed = behind(graph, [LOGITS])
    return [node for node in graph.node if node.name not in needed]


def maps_on_request(proto: Any) -> Any:
    """The same model with a second, optional input: unless ``explain`` is true, features and weights are empty.

    ONNX Runtime computes every output of a graph, wanted or not; what stands in a branch that is not taken it leaves out.
    """
    answer = onnx.ModelProto()
    answer.CopyFrom(proto)
    graph = answer.graph
    outputs = {value.name: value for value in graph.output}
    if FEATURES not in outputs:
        return answer
    asked = beside_the_logits(graph)
    made = {name for node in asked for name in node.output}
    # a map that the logits need is made outside under another name
    inside = {name: f"{_INSIDE}{name}" for name in OUTPUTS if name in made}
    outside = {FEATURES: f"{_INSIDE}{FEATURES}_outside"} if FEATURES not in made else {}
    kept = [node for node in graph.node if node.name not in {node.name for node in asked}]
    for node in (*kept, *asked):
        _rename(node, inside | outside)
    if outside:
        asked.append(
            helper.make_node("Identity", [outside[FEATURES]], [f"{_INSIDE}{FEATURES}"], name=f"{_INSIDE}{FEATURES}_identity")
        )
    taken = helper.make_graph(asked, "maps", [], [_value(outputs[name], f"{_INSIDE}{name}") for name in (FEATURES, WEIGHTS)])
    request = helper.make_node(
        "If", [EXPLAIN], [FEATURES, WEIGHTS], name="maps_on_request", then_branch=taken, else_branch=_empty(outputs)
    )
    del graph.node[:]
    graph.node.extend([*kept, request])
    graph.input.append(helper.make_tensor_value_info(EXPLAIN, onnx.TensorProto.BOOL, []))
    graph.initializer.append(helper.make_tensor(EXPLAIN, onnx.TensorProto.BOOL, [], [False]))  # a default makes it optional
    del graph.value_info[:]
    onnx.checker.check_model(answer)
    return answer


def _rename(node: Any, names: dict[str, str]) -> None:
    for values in (node.input, node.output):
        for place, name in enumerate(values):
            values[place] = names.get(name, name)


def _value(output: Any, name: str) -> Any:
    twin = onnx.ValueInfoProto()
    twin.CopyFrom(output)
    twin.name = name
    return twin


def _empty(outputs: dict[str, Any]) -> Any:
    """The branch that is not asked: features and weights of no face."""
    nodes, values = [], []
    for name in (FEATURES, WEIGHTS):
        sizes: Sequence[int] = [dim.dim_value for dim in outputs[name].type.tensor_type.shape.dim][1:]
        tensor = helper.make_tensor(f"none_{name}", onnx.TensorProto.FLOAT, [0, *sizes], [])
        nodes.append(helper.make_node("Constant", [], [f"none_{name}"], name=f"none_{name}_constant", value=tensor))
        values.append(helper.make_tensor_value_info(f"none_{name}", onnx.TensorProto.FLOAT, [0, *sizes]))
    return helper.make_graph(nodes, "no_maps", [], values)
