"""Requests checked against botocore's model of SageMaker, refused in the service's own words.

botocore's client checks types, required members and minimum values before it sends anything. The service also checks
patterns, enumerations and maxima, for every client, and names up to ten violations at once.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.session import get_session

from dropspot_local.sagemaker.errors import ServiceError, validation

REPORTED = 10
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
}


@cache
def operations() -> frozenset[str]:
    """The names of all operations of SageMaker's control plane."""
    return frozenset(get_session().get_service_model("sagemaker").operation_names)


@cache
def input_shape(operation: str) -> Shape | None:
    """The shape of an operation's request; None when it takes none."""
    shape: Shape | None = get_session().get_service_model("sagemaker").operation_model(operation).input_shape
    return shape


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Raise what the service answers to a request that violates its model."""
    shape = input_shape(operation)
    if shape is None:
        return
    problems = list(_problems(shape, request, ""))
    if problems:
        count = len(problems)
        found = f"{count} validation error{'s' if count > 1 else ''} detected: "
        raise validation(found + "; ".join(problems[:REPORTED]))


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    if isinstance(shape, StructureShape):
        yield from _structure_problems(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _range_problems(shape, value, path, len(value), "length")
        for index, item in enumerate(value, start=1):
            yield from _problems(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _range_problems(shape, value, path, len(value), "length")
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")
    elif shape.type_name == "string":
        yield from _string_problems(shape, value, path)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _range_problems(shape, value, path, value, "value")


def _structure_problems(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name not in shape.members:
            # The service drops what it doesn't know. Here a misspelt parameter is refused, as botocore's client does.
            raise validation(f"Unknown parameter '{_join(path, name)}'.")
        if item is not None:
            yield from _problems(shape.members[name], item, _join(path, name))


def _string_problems(shape: Shape, value: str, path: str) -> Iterator[str]:
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        yield _problem(value, path, f"Member must satisfy enum value set: [{', '.join(choices)}]")
        return
    yield from _range_problems(shape, value, path, len(value), "length")
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(_python_pattern(pattern), value):
        yield _problem(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _range_problems(shape: Shape, value: Any, path: str, measure: float, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and measure < low:
        yield _problem(value, path, f"Member must have {what} greater than or equal to {low}")
    if high is not None and measure > high:
        yield _problem(value, path, f"Member must have {what} less than or equal to {high}")


def _check_type(shape: Shape, value: Any, path: str) -> None:
    wanted = _TYPES[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        what = f"{path or 'The request'} must be {shape.type_name}, but is {type(value).__name__}."
        raise ServiceError("SerializationException", what)


def _problem(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, member: str) -> str:
    name = member[0].lower() + member[1:]
    return f"{path}.{name}" if path else name


@cache
def _python_pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern of the model, written for Java, as Python's: `re` lacks classes of Unicode categories, as \p{L}."""
    pattern = re.sub(r"\$\{\d+,\d+\}", "$", pattern)  # a repeated end of the text, in patterns of customer metadata
    return re.compile(re.sub(r"\\p\{([LMNPSZ])\}", lambda match: _category(match[1]), pattern))


@cache
def _category(letter: str) -> str:
    """The characters of a general category of Unicode, as ranges for use inside a character class."""
    ranges: list[list[int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point))[0] != letter:
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
