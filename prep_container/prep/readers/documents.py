"""JSON as data sets have it: documents of any size as a stream of events, and files of one document a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

import ijson  # type: ignore[import-untyped]

from prep.model import SourceFile

MAX_LINE_BYTES = 8 << 20
MAX_DEPTH = 500
_CHUNK = 1 << 20
_MAX_TEXT_CHUNKS = 64
_BOM = b"\xef\xbb\xbf"
# A text; a word that may go on; NaN, as Python writes it though JSON has no such thing; numbers no machine can hold.
_PIECE = re.compile(
    rb""""(?:[^"\\]++|\\.)*+(?P<closed>"?)"""
    rb"|(?P<tail>(?<![-+.\w])[-+.\w]++\Z)"
    rb"|(?P<no_number>(?<![-+.\w])-?(?:NaN|Infinity|[0-9]{19,}+(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?"
    rb"|[0-9.]++[eE]\+?[0-9]{3,}+)(?![-+.\w]))",
    re.DOTALL,
)


def loads(data: bytes) -> Any:
    """One document; ValueError, one sentence, where it is broken or nested too deep."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
    except ValueError as error:  # includes text that is not UTF-8, and numbers of thousands of digits
        raise ValueError(f"not readable as JSON: {_sentence(error)}") from None


def lines(file: SourceFile) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank with its number from 1; of a line too long its first MAX_LINE_BYTES + 1 bytes."""
    with file.stored.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            line = line.removeprefix(_BOM) if number == 1 else line
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                yield number, line
                while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                    pass
            elif line.strip():
                yield number, line


def events(file: SourceFile, *, whole: bool = False, mended: bool = False) -> Iterator[tuple[str, Any]]:
    """The events (`start_map`, `map_key`, `number`, ...) of the file's first document, or of the `whole` file.

    `mended` reads NaN and numbers beyond any sense as null, which costs time. Raises ValueError, one sentence, where
    the JSON is broken, nested too deep, or not read for its size; with `whole` also where something follows it.
    """
    depth = 0
    with file.stored.open("rb") as stream:
        source = _Mended(stream) if mended else _Source(stream)
        try:
            for step in ijson.basic_parse(source, use_float=True, buf_size=_CHUNK, multiple_values=not whole):
                yield step
                event = step[0]
                if event == "number" and depth:
                    continue  # nearly all that a large document consists of
                if event in ("start_map", "start_array"):
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise ValueError("its JSON is nested too deep")
                elif event in ("end_map", "end_array"):
                    depth -= 1
                if not (depth or whole):
                    return
        except ijson.JSONError as error:
            raise ValueError(f"not readable as JSON: {_sentence(error)}") from None
    if not whole:
        raise ValueError("there is no JSON in it")


class _Source:
    """A file's bytes without a byte order mark, refusing texts that no annotation has."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._started = False
        self._without_quote = 0
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if not self._started and size:
            self._started = True
            data = data.removeprefix(_BOM) or self._stream.read(size)
        # A text is held in memory until it ends.
        escaped = (self._last + data).count(b'\\"')
        self._without_quote = 0 if data.count(b'"') > escaped else self._without_quote + 1
        self._last = data[-1:]
        if self._without_quote > _MAX_TEXT_CHUNKS:
            raise ValueError(
                f"more than {_MAX_TEXT_CHUNKS * _CHUNK >> 20} MiB of it are one text or one list of numbers"
            )
        return data


class _Mended(_Source):
    """The same with null for what is no number; a text or a word that a read cuts is held back for the next."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        out: list[bytes] = []
        while size and not any(out):
            more = super().read(size)
            data, done = self._held + more, 0
            end = len(data)
            for piece in _PIECE.finditer(data):
                if piece.lastgroup == "no_number":
                    out += [data[done : piece.start()], b"null"]
                    done = piece.end()
                elif more and not piece["closed"]:
                    end = piece.start()
                    break
            out.append(data[done:end])
            self._held = data[end:]
            if not more:
                break
        return b"".join(out)


def _sentence(error: Exception) -> str:
    """The first line of a parser's message, which goes on with an excerpt."""
    message = error.args[0] if error.args and not isinstance(error, UnicodeError) else str(error)
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    return str(message).strip().partition("\n")[0][:120].rstrip(".")
