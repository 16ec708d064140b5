"""EventBridge's pattern matching, as its user guide describes it, so that a rule can be tested without a bus.

A pattern that EventBridge would refuse raises ValueError: a test must not take such a rule for one that never matches.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Json = Any


Test = Callable[[Mapping[str, Json]], bool]


def matches(pattern: Mapping[str, Json], event: Mapping[str, Json]) -> bool:
    """Tell whether the event matches: every field of the pattern, and one alternative of its `$or`."""
    return _compiled(pattern)(event)


def _compiled(pattern: Mapping[str, Json]) -> Test:
    if not pattern:
        raise ValueError("a pattern must not be empty")
    fields = [_field(field, wanted) for field, wanted in pattern.items()]
    return lambda event: all(holds(event) for holds in fields)


def _field(field: str, wanted: Json) -> Test:
    if field == "$or" and isinstance(wanted, list):
        alternatives = [_compiled(alternative) for alternative in wanted]
        return lambda event: any(holds(event) for holds in alternatives)
    if isinstance(wanted, Mapping):
        inner = _compiled(wanted)
        return lambda event: any(inner(candidate) for candidate in _objects(event, field))
    if not isinstance(wanted, list) or not wanted:
        raise ValueError(f"{field}: {wanted!r} must be an object or an array that isn't empty")
    conditions = [_condition(each) for each in wanted]
    return lambda event: any(holds(_leaves(event, field)) for holds in conditions)


def _objects(event: Mapping[str, Json], field: str) -> list[Mapping[str, Json]]:
    """Return the field's objects; one without any where there is none, since `exists: false` holds below it."""
    value = event.get(field)
    found: list[Mapping[str, Json]] = [
        each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Mapping)
    ]
    return found or [{}]


def _leaves(event: Mapping[str, Json], field: str) -> list[Json]:
    """Return the field's values; an array stands for each of its elements, an absent field or an object for none."""
    if field not in event or isinstance(event[field], Mapping):
        return []
    value = event[field]
    return value if isinstance(value, list) else [value]


def _condition(wanted: Json) -> Callable[[list[Json]], bool]:
    if not isinstance(wanted, Mapping):
        if isinstance(wanted, list):
            raise ValueError(f"{wanted!r}: an array in an array")
        return lambda values: any(_same(value, wanted) for value in values)
    if len(wanted) != 1:
        raise ValueError(f"{wanted!r}: one operator only")
    (operator, argument) = next(iter(wanted.items()))
    if operator == "exists":
        return lambda values: bool(values) is _boolean(argument)
    if operator == "anything-but":
        excluded = _excluded(argument)
        return lambda values: any(not excluded(value) for value in values)
    test = _operator(operator, argument)
    return lambda values: any(test(value) for value in values)


def _same(value: Json, wanted: Json) -> bool:
    return type(value) is type(wanted) and value == wanted if isinstance(wanted, bool) else value == wanted


def _boolean(argument: Json) -> bool:
    if not isinstance(argument, bool):
        raise ValueError(f"exists: {argument!r} must be true or false")
    return argument


def _excluded(argument: Json) -> Callable[[Json], bool]:
    if isinstance(argument, Mapping):
        ((operator, inner),) = argument.items()
        if operator not in {"prefix", "suffix", "wildcard", "equals-ignore-case"}:
            raise ValueError(f"anything-but: {operator} is not allowed")
        tests = [_operator(operator, each) for each in (inner if isinstance(inner, list) else [inner])]
        return lambda value: any(test(value) for test in tests)
    excluded = argument if isinstance(argument, list) else [argument]
    if not excluded:
        raise ValueError("anything-but: an empty array")
    return lambda value: value in excluded


def _operator(operator: str, argument: Json) -> Callable[[Json], bool]:
    """Return the test of one value for the operators that look at a single one."""
    if operator == "numeric":
        return _numeric(argument)
    folded = False
    if isinstance(argument, Mapping) and operator in {"prefix", "suffix"}:
        argument, folded = argument["equals-ignore-case"], True
    if not isinstance(argument, str):
        raise ValueError(f"{operator}: {argument!r} must be a string")
    expressions = {
        "prefix": f"{re.escape(argument)}.*",
        "suffix": f".*{re.escape(argument)}",
        "equals-ignore-case": re.escape(argument),
        "wildcard": _wildcard(argument) if operator == "wildcard" else "",
    }
    if operator not in expressions:
        raise ValueError(f"{operator} is no operator of an event pattern")
    flags = re.DOTALL | (re.IGNORECASE if folded or operator == "equals-ignore-case" else 0)
    expression = re.compile(expressions[operator], flags)
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _wildcard(argument: str) -> str:
    """Return the expression of a wildcard: `*` is any characters or none, a backslash takes the next one literally."""
    if "**" in re.sub(r"\\.", "", argument):
        raise ValueError(f"wildcard: {argument!r} has two asterisks in a row")
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+", argument)
    if "".join(parts) != argument:
        raise ValueError(f"wildcard: {argument!r} escapes something that needs no escape")
    return "".join(".*" if part == "*" else re.escape(part.removeprefix("\\")) for part in parts)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


def _numeric(argument: Json) -> Callable[[Json], bool]:
    if (
        not isinstance(argument, list)
        or len(argument) not in {2, 4}
        or any(o not in _COMPARISONS for o in argument[::2])
    ):
        raise ValueError(f"numeric: {argument!r} must be operators, each followed by its number")
    bounds = [
        (_COMPARISONS[operator], float(bound)) for operator, bound in zip(argument[::2], argument[1::2], strict=True)
    ]

    def test(value: Json) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return all(holds(value, bound) for holds, bound in bounds)

    return test
