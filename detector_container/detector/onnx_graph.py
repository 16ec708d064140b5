"""Write an inference graph as ONNX: the operators our networks use, nothing else.

Our own rather than `mxnet.onnx`: that exporter lists weights as graph inputs, which keeps ONNX Runtime from folding
batch normalisation, leaves the opset to the installed package and has not been maintained since 2022.
"""

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from detector.artifacts import write_artifact

OPSET = 17
_IR_VERSION = 8
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Node:
    """An MXNet operator to translate: its name (also its output's), its inputs' names and its attributes."""

    name: str
    inputs: list[str]
    attributes: dict[str, Any]
    weights: dict[str, Array]
    constants: dict[str, TensorProto] = field(default_factory=dict)  # what the translation adds
    before: list[NodeProto] = field(default_factory=list)  # where one operator becomes several: all but the last

    def constant(self, suffix: str, values: Any, kind: type[np.generic]) -> str:
        """Add a constant that ONNX takes as an input and MXNet as an attribute; return its name."""
        name = f"{self.name}_{suffix}"
        self.constants[name] = numpy_helper.from_array(np.array(values, kind), name)
        return name

    def first(self, suffix: str, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator that comes before the last one; return its output's name."""
        name = f"{self.name}_{suffix}"
        self.before.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def become(self, operator: str, *more_inputs: str, **attributes: Any) -> NodeProto:
        return helper.make_node(operator, [*self.inputs, *more_inputs], [self.name], **attributes)


def write_onnx(
    path: Path, symbol: mx.sym.Symbol, weights: dict[str, Array], side: int, outputs: tuple[str, ...]
) -> None:
    """Write `symbol` (input `data`: any number of pictures (3, side, side)) with its outputs under the given names.

    Raises TransientError where that is impossible, as on a full disk.
    """
    write_artifact(path, onnx_model(symbol, weights, side, outputs).SerializeToString())


def onnx_model(symbol: mx.sym.Symbol, weights: dict[str, Array], side: int, outputs: tuple[str, ...]) -> ModelProto:
    """Return the checked model; raise ValueError naming an operator that has no translation."""
    graph = json.loads(symbol.tojson())
    initializers: dict[str, TensorProto] = {}
    nodes: list[NodeProto] = []
    names: list[str] = [node["name"] for node in graph["nodes"]]
    for entry in graph["nodes"]:
        name = entry["name"]
        if entry["op"] == "null":
            if name in weights:
                initializers[name] = numpy_helper.from_array(weights[name], name)
            continue
        translate = _TRANSLATIONS.get(entry["op"])
        if translate is None:
            raise ValueError(f"operator {entry['op']} of {name} has no ONNX translation")
        attributes = {key: _literal(value) for key, value in entry.get("attrs", {}).items()}
        node = _Node(name, [names[source[0]] for source in entry["inputs"]], attributes, weights)
        last = translate(node)
        nodes += [*node.before, last]
        initializers |= node.constants
    for (source, *_), output in zip(graph["heads"], outputs, strict=True):
        nodes.append(helper.make_node("Identity", [names[source]], [output]))
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["pictures", 3, side, side])
    answers = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["pictures", None, None]) for output in outputs]
    used = {name for node in nodes for name in node.input}
    constants = [value for name, value in initializers.items() if name in used]
    body = helper.make_graph(nodes, "detector", [picture], answers, constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="dropspot")
    model.ir_version = _IR_VERSION
    checker.check_model(model, full_check=True)
    return model


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _convolution(node: _Node) -> NodeProto:
    known = node.attributes
    return node.become(
        "Conv",
        kernel_shape=known["kernel"],
        strides=known.get("stride", (1, 1)),
        pads=known.get("pad", (0, 0)) * 2,
        dilations=known.get("dilate", (1, 1)),
        group=known.get("num_group", 1),
    )


def _batch_norm(node: _Node) -> NodeProto:
    if node.attributes.get("fix_gamma", True):  # MXNet then takes 1 for the scale, whatever the parameter holds
        node.inputs[1] = node.constant("scale", np.ones_like(node.weights[node.inputs[1]]), np.float32)
    return node.become("BatchNormalization", epsilon=node.attributes["eps"])


def _pooling(node: _Node) -> NodeProto:
    known = node.attributes
    if known["pool_type"] != "max" or known.get("global_pool", False):
        raise ValueError(f"pooling {node.name} has no ONNX translation: only maxima of windows")
    return node.become(
        "MaxPool",
        kernel_shape=known["kernel"],
        strides=known.get("stride", (1, 1)),
        pads=known.get("pad", (0, 0)) * 2,
        ceil_mode=int(known.get("pooling_convention", "valid") == "full"),
    )


def _l2_normalization(node: _Node) -> NodeProto:
    if node.attributes.get("mode") != "channel":
        raise ValueError(f"L2Normalization {node.name} has no ONNX translation: only mode channel")
    squares = node.first("squares", "ReduceSumSquare", node.inputs[0], axes=[1], keepdims=1)
    # ONNX's own LpNormalization knows no epsilon
    guarded = node.first("guarded", "Add", squares, node.constant("eps", node.attributes.get("eps", 1e-10), np.float32))
    return node.become("Div", node.first("length", "Sqrt", guarded))


def _clip(node: _Node) -> NodeProto:
    return node.become("Clip", *(node.constant(end, node.attributes[end], np.float32) for end in ("a_min", "a_max")))


def _activation(node: _Node) -> NodeProto:
    return node.become({"relu": "Relu", "sigmoid": "Sigmoid"}[node.attributes["act_type"]])


def _pad(node: _Node) -> NodeProto:
    width = node.attributes["pad_width"]  # before and after, axis by axis; ONNX wants all befores first
    return node.become("Pad", node.constant("width", width[::2] + width[1::2], np.int64))


def _upsampling(node: _Node) -> NodeProto:
    scale = node.attributes["scale"]
    return node.become(
        "Resize",
        "",  # no region of interest
        node.constant("scales", (1, 1, scale, scale), np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _slice_axis(node: _Node) -> NodeProto:
    limits = (node.constant(key, [node.attributes[key]], np.int64) for key in ("begin", "end", "axis"))
    return node.become("Slice", *limits)


_TRANSLATIONS: dict[str, Callable[[_Node], NodeProto]] = {
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "Pooling": _pooling,
    "L2Normalization": _l2_normalization,
    "broadcast_mul": lambda node: node.become("Mul"),
    "clip": _clip,
    "Activation": _activation,
    "Pad": _pad,
    "UpSampling": _upsampling,
    "slice_axis": _slice_axis,
    "Reshape": lambda node: node.become("Reshape", node.constant("shape", node.attributes["shape"], np.int64)),
    "elemwise_add": lambda node: node.become("Add"),
    "Concat": lambda node: node.become("Concat", axis=node.attributes["dim"]),
    "transpose": lambda node: node.become("Transpose", perm=node.attributes["axes"]),
    "softmax": lambda node: node.become("Softmax", axis=node.attributes["axis"]),
}
