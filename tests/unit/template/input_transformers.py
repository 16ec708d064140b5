"""EventBridge's input transformers, as its user guide describes them."""

import json
import re
from collections.abc import Mapping
from typing import Any


def render(transformer: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return the text that the target gets.

    In a JSON value's place a variable becomes JSON. Inside a string it becomes bare text, and nothing is escaped.
    """
    values = {name: _at(path, event) for name, path in transformer["InputPathsMap"].items()}

    def in_string(found: re.Match[str]) -> str:
        value = values[found[1]]
        return value if isinstance(value, str) else json.dumps(value).replace('"', "")

    def anywhere(found: re.Match[str]) -> str:
        token = found[0]
        return re.sub(r"<([^<>]+)>", in_string, token) if token[0] == '"' else json.dumps(values[token[1:-1]])

    return re.sub(r'"(?:\\.|[^"\\])*"|<[^<>]+>', anywhere, transformer["InputTemplate"])


def _at(path: str, event: Mapping[str, Any]) -> Any:
    """Return the value at a path in dot notation; EventBridge gives an empty string for one that isn't there."""
    value: Any = event
    for name in path.removeprefix("$.").split("."):
        if not isinstance(value, Mapping) or name not in value:
            return ""
        value = value[name]
    return value
