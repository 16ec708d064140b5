"""Cut a graph where its frozen parameters end: a trunk that never changes, the rest that is trained on its outputs.

The trunk then runs as plain inference (no gradients, no stored activations), which is most of what freezing saves.
"""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mxnet as mx

from dropspot.errors import InvalidInputError

_SECONDS_TO_MATCH = 5  # all of a network's names take a millisecond
_MATCHING = """
import json, re, signal, sys
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(int(sys.argv[1]))
pattern, names = json.load(sys.stdin)
json.dump([name for name in names if re.match(pattern, name)], sys.stdout)
"""


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

    None for an empty pattern. Raises InvalidInputError where no parameter is left to train, and for a pattern that
    doesn't come to an end.
    """
    parameters = set(symbol.list_arguments()) - {"data"}
    names = parameters | set(symbol.list_auxiliary_states())
    frozen = _matching(pattern, frozenset(names)) if pattern else frozenset()
    if parameters <= frozen:
        raise InvalidInputError(
            f"hyperparameter freeze_layer_pattern is {pattern!r}: it freezes every layer, nothing is left to train"
        )
    return frozen


@lru_cache(maxsize=1)
def _matching(pattern: str, names: frozenset[str]) -> frozenset[str]:
    """Return the names that the pattern matches from their beginning.

    In a process of its own that ends itself by an alarm, also where this one is gone: nested repetitions can try more
    ways than there is time for, and nothing else gets a turn meanwhile.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MATCHING, str(_SECONDS_TO_MATCH)],
        input=json.dumps([pattern, sorted(names)]),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C is for the training, which finishes its step
    )
    if done.returncode == -signal.SIGALRM:
        raise InvalidInputError(
            f"hyperparameter freeze_layer_pattern is {pattern!r}: matching it against the layers' names takes more than"
            f" {_SECONDS_TO_MATCH} seconds"
        )
    done.check_returncode()
    return frozenset(json.loads(done.stdout))


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
