"""Requests checked against the services' own models, as botocore ships them. For tests: no network, no mock."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from dropspot.ports import Request


@cache
def _service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def assert_valid_request(service: str, operation: str, request: Request) -> None:
    """Check a request against the service's model: names, types, required fields, enums, lengths and patterns.

    Raises AssertionError. The client itself checks neither enums nor patterns nor upper limits: the service does.
    """
    shape = _service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if faults := [report.generate_report()] if report.has_errors() else list(_faults(request, shape, operation)):
        raise AssertionError(f"{service}.{operation}: " + "; ".join(faults))


def _faults(value: Any, shape: Any, where: str) -> Iterator[str]:
    for name, item, inner in _members(value, shape):
        yield from _faults(item, inner, f"{where}.{name}")
    limit, pattern, enum = (shape.metadata.get(rule) for rule in ("max", "pattern", "enum"))
    if limit is not None and (size := value if isinstance(value, int | float) else len(value)) > limit:
        yield f"{where} is {size}, above {limit}"
    if enum and value not in enum:
        yield f"{where} is {value!r}, none of {', '.join(enum)}"
    # Patterns are Java's; those with Unicode classes (\p{L}, of tags) or code units (\uD800) mean nothing to Python.
    if pattern and not re.search(r"\\p\{|\\uD800", pattern) and re.fullmatch(pattern, str(value)) is None:
        yield f"{where} is {value!r}, which doesn't match {pattern}"


def _members(value: Any, shape: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, value and shape of what the value consists of, beside the shape that it must have."""
    if shape.type_name == "structure" and isinstance(value, dict):
        yield from ((name, item, shape.members[name]) for name, item in value.items() if name in shape.members)
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        yield from ((str(index), item, shape.member) for index, item in enumerate(value))
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from ((str(name), name, shape.key) for name in value)
        yield from ((str(name), item, shape.value) for name, item in value.items())
