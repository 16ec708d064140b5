"""The objects in the lists of one large JSON object, each cut down to the values that are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MAX_LIST = 16  # of a wanted value that is a list; what goes beyond is cut off
_LIST_DEPTH, _ENTRY_DEPTH, _VALUE_DEPTH = 2, 3, 4  # containers open inside a list, an entry of it, a list in the entry


class Entries:
    """Picks wanted values out of a stream of JSON events, whatever else the document holds and however much of it.

    `wanted` gives the values to keep by the name of the list they are in. A value that is an object is kept as None,
    and so is whatever is no plain value in a list. `lists` are the wanted lists found so far.
    """

    def __init__(self, wanted: Mapping[str, frozenset[str]]) -> None:
        self.lists: set[str] = set()
        self._wanted = wanted
        self._depth = 0
        self._section = self._field = ""
        self._entry: dict[str, Any] = {}
        self._values: list[Any] | None = None  # the wanted list being read

    def read(self, events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Each entry as (list, position, wanted values); an entry that is no object has none."""
        position = 0
        for event, value in events:
            if event == "number" and self._depth > _VALUE_DEPTH:
                continue  # the corners of segmentations, most of a document
            if event in ("start_map", "start_array"):
                self._depth += 1
                self._open(is_list=event == "start_array")
                position = 0 if self._depth == _LIST_DEPTH else position
                continue
            complete = False
            if event in ("end_map", "end_array"):
                self._depth -= 1
                self._values = None if self._depth < _VALUE_DEPTH else self._values
                complete = self._depth == _LIST_DEPTH
            elif self._depth > _VALUE_DEPTH:
                continue
            elif event == "map_key":
                self._name(value)
            elif self._depth == _LIST_DEPTH:
                self._entry, complete = {}, True
            else:
                self._take(value)
            if complete and self._section:
                yield self._section, position, self._entry
                position += 1

    def _name(self, key: str) -> None:
        if self._depth == _LIST_DEPTH - 1:
            self._section = key if key in self._wanted else ""
        elif self._depth == _ENTRY_DEPTH:
            self._field = key if key in self._wanted.get(self._section, ()) else ""

    def _open(self, *, is_list: bool) -> None:
        if self._depth == _LIST_DEPTH:
            self._section = self._section if is_list else ""
            self.lists |= {self._section} - {""}
        elif self._depth == _ENTRY_DEPTH:
            self._entry, self._field = {}, ""
        elif self._depth == _VALUE_DEPTH and self._field:
            self._values = [] if is_list else None
            self._entry[self._field] = self._values
        elif self._depth > _VALUE_DEPTH and self._values is not None and len(self._values) < MAX_LIST:
            self._values.append(None)

    def _take(self, value: Any) -> None:
        if self._depth == _VALUE_DEPTH:
            if self._values is not None and len(self._values) < MAX_LIST:
                self._values.append(value)
        elif self._depth == _ENTRY_DEPTH and self._field:
            self._entry[self._field] = value
