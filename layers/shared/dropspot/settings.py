"""A function's settings: a frozen dataclass read once from the environment, a variable for a field."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_type_hints

from dropspot.errors import InvalidInputError


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    dict[str, Any]: json.loads,
    tuple[str, ...]: _names,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What every function is told. Functions add fields of their own; a field's variable is its name in capitals."""

    app_name: str
    bucket_name: str
    endpoint_name: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the settings; raise InvalidInputError naming the missing or unreadable variable."""
        hints = get_type_hints(cls)
        return cls(**{field.name: _read(field.name.upper(), hints[field.name], env) for field in fields(cls)})


def _read(variable: str, kind: Any, env: Mapping[str, str]) -> Any:
    try:
        return _READERS[kind](env[variable])
    except KeyError as error:
        raise InvalidInputError(f"environment variable {variable} is missing") from error
    except ValueError as error:
        raise InvalidInputError(f"environment variable {variable} can't be read: {error}") from error


@dataclass(frozen=True, slots=True)
class DataSettings(Settings):
    """What functions that look at data sets are told; a manifest may refer to objects of the extra buckets."""

    extra_data_buckets: tuple[str, ...]
