"""Cut a graph where its frozen parameters end: a trunk that never changes, the rest that is trained on its outputs.

The trunk then runs as plain inference (no gradients, no stored activations), which is most of what freezing saves.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import mxnet as mx

from dropspot.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Split:
    """`trunk` maps `data` to the values named in `cut`.

    `rest` takes those as inputs. No trunk where nothing is frozen from the start.
    """

    trunk: mx.sym.Symbol | None
    cut: tuple[str, ...]
    rest: mx.sym.Symbol


def frozen_parameters(symbol: mx.sym.Symbol, pattern: str) -> frozenset[str]:
    """Return the parameters and statistics whose name the pattern matches from its beginning.

    None for an empty pattern. Raises InvalidInputError where no parameter is left to train.
    """
    parameters = set(symbol.list_arguments()) - {"data"}
    names = parameters | set(symbol.list_auxiliary_states())
    frozen = frozenset(name for name in names if pattern and re.match(pattern, name))
    if parameters <= frozen:
        raise InvalidInputError(
            f"hyperparameter freeze_layer_pattern is {pattern!r}: it freezes every layer, nothing is left to train"
        )
    return frozen


def split(symbol: mx.sym.Symbol, frozen: frozenset[str]) -> Split:
    """Return the graph cut where no further operator depends on `data` and frozen parameters alone."""
    graph = json.loads(symbol.tojson())
    nodes: list[dict[str, Any]] = graph["nodes"]
    still: list[bool] = []  # by node: depends on data and frozen parameters alone
    for node in nodes:
        if node["op"] == "null":
            still.append(node["name"] == "data" or node["name"] in frozen)
        else:
            still.append(all(still[source[0]] for source in node["inputs"]))
    cut = sorted(
        {
            source[0]
            for index, node in enumerate(nodes)
            if not still[index]
            for source in node["inputs"]
            if still[source[0]] and nodes[source[0]]["op"] != "null"
        }
    )
    if not cut or all(still):
        return Split(None, (), symbol)
    names = tuple(nodes[index]["name"] for index in cut)
    internals = symbol.get_internals()
    trunk = mx.sym.Group([internals[f"{name}_output"] for name in names])
    if trunk.list_arguments() == ["data"]:  # nothing but padding: not worth a graph of its own
        return Split(None, (), symbol)
    for index in cut:
        nodes[index] = {"op": "null", "name": nodes[index]["name"], "inputs": []}
    return Split(trunk, names, mx.sym.load_json(json.dumps(graph)))
