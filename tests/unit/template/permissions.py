"""Which actions a role may take, by IAM's evaluation of its identity policies."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def allows(statements: Iterable[Mapping[str, Any]], action: str, resource: str, **context: str) -> bool:
    """Tell whether the statements allow the action on the resource.

    `context` holds the request's condition keys with `_` for the colon (`iam_PassedToService`). An operator other than
    StringEquals, StringLike and Bool is a ValueError, as is a Deny: the template's roles have none.
    """
    request = {key.replace("_", ":", 1): value for key, value in context.items()}
    return any(_allows(statement, action, resource, request) for statement in statements)


def _allows(statement: Mapping[str, Any], action: str, resource: str, request: Mapping[str, str]) -> bool:
    if statement["Effect"] != "Allow":
        raise ValueError(f"{statement['Effect']}: not known here")
    return (
        any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(_holds(operator, keys, request) for operator, keys in statement.get("Condition", {}).items())
    )


def _holds(operator: str, keys: Mapping[str, Any], request: Mapping[str, str]) -> bool:
    if operator not in {"StringEquals", "StringLike", "Bool"}:
        raise ValueError(f"{operator}: not known here")
    test = fnmatchcase if operator == "StringLike" else str.__eq__
    return all(
        key in request and any(test(request[key], each) for each in listed(wanted)) for key, wanted in keys.items()
    )


def listed(value: Any) -> list[str]:
    """Return a policy's one-or-many as a list."""
    return value if isinstance(value, list) else [value]
