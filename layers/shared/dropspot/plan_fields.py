"""The fields of a user's JSON document, taken one by one, each checked and refused by name."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dropspot.errors import InvalidInputError

MAX_BYTES = 100_000


def stated(text: bytes, where: str) -> Any:
    """Return what the bytes of a plan state; raise InvalidInputError for what is no JSON or can't be kept."""
    if len(text) > MAX_BYTES:
        raise InvalidInputError(f"{where} has {len(text)} bytes: a plan has at most {MAX_BYTES}")
    try:
        document = json.loads(text)
        # A lone surrogate passes as JSON and can't be written down again.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where} is not JSON that can be kept: {shortened(str(error))}") from error
    return document


def shortened(text: str) -> str:
    """Return the text as it may stand in a sentence: 80 characters at most."""
    return text if len(text) <= 80 else f"{text[:79]}…"


class Fields:
    """Takes fields out of one JSON object, each checked by name; `finish` refuses what nobody took."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise InvalidInputError(f"{where} must be a JSON object, not {json.dumps(document)[:40]}")
        self._left = dict(document)
        self._where = where

    def refusal(self, name: str, rule: str) -> InvalidInputError:
        """Return the error for a field that breaks a rule of its own."""
        return InvalidInputError(f"{self._where}: {name} {rule}")

    def _refuse(self, name: str, value: Any, rule: str) -> InvalidInputError:
        return self.refusal(name, f"is {json.dumps(value)[:80]}: {rule}")

    def __contains__(self, name: str) -> bool:
        """Tell whether the field is stated, and nobody has taken it."""
        return name in self._left

    def take(self, name: str, default: Any) -> Any:
        return self._left.pop(name, default)

    def part(self, name: str) -> "Fields":
        return Fields(self.take(name, {}), f"{self._where}: {name}")

    def matching(self, name: str, default: str, pattern: re.Pattern[str], rule: str) -> str:
        value = self.take(name, default)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise self._refuse(name, value, rule)
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self._refuse(name, value, "must be true or false")
        return value

    def choice(self, name: str, default: str, values: Iterable[str]) -> str:
        value = self.take(name, default)
        if value not in tuple(values):
            raise self._refuse(name, value, f"must be one of {', '.join(values)}")
        return str(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(name, value, f"must be a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.take(name, default)
        # A NaN, which JSON as Python reads it can spell, is in no range.
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(name, value, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def finish(self, besides: Mapping[str, Any] | Iterable[str] = ()) -> None:
        """Refuse the first field that nobody took and that isn't among `besides`."""
        if left := sorted(self._left.keys() - set(besides)):
            raise InvalidInputError(f"{self._where}: {shortened(left[0])} is no field of the training plan")
