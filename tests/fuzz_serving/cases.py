"""Case number -> request: a picture, spoilt mostly, and the headers it is sent with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from fuzz.mutations import mutate
from fuzz.seeds import KINDS, picture

MAX_BODY_BYTES = 100_000  # of the server that is asked
_TYPES = ("image/jpeg", "image/png", "application/x-image", "IMAGE/JPEG", "image/png; q=1")
_OTHER_TYPES = (
    "",
    "text/plain",
    "image/gif",
    "image",
    "application/json",
    "image/jpeg2",
    ";image/jpeg",
    "\xff\xfe",
    "x" * 3000,
)
_ACCEPTED = (
    "*/*",
    "",
    "application/json",
    "application/json;annotation=1",
    ";,;=,",
    "annotation=1",
    "\xe9",
    "a;" * 2000,
)
_LENGTHS = ("0", "-1", "7", "9" * 19, "9" * 5000, "1e3", "\xb2", "")


@dataclass(frozen=True, slots=True)
class Case:
    """One request; `chunks` is its body as it is sent, `statuses` what may be answered (0: nothing).

    Without a `content-length` it is sent as chunks of HTTP.
    """

    number: int
    headers: tuple[tuple[bytes, bytes], ...]
    chunks: tuple[bytes, ...]
    statuses: frozenset[int]
    history: str

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def sent(self) -> Iterator[bytes]:
        """Yield the request's bytes, part by part."""
        is_chunked = all(name != b"content-length" for name, _ in self.headers)
        headers = (*self.headers, (b"transfer-encoding", b"chunked")) if is_chunked else self.headers
        lines = (b"POST /invocations HTTP/1.1", b"host: here", *(b"%b: %b" % header for header in headers))
        yield b"\r\n".join((*lines, b"", b""))
        for chunk in self.chunks:
            if chunk:
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk
        if is_chunked:
            yield b"0\r\n\r\n"


def make_case(seed: int, number: int) -> Case:
    """The case of this number, always the same for the same seed."""
    rng = random.Random(f"{seed}/{number}")
    _, kind, options = KINDS[number % len(KINDS)]
    body, history = picture(number % len(KINDS), kind, **options), f"{kind} {options}"  # type: ignore[arg-type]
    if rng.random() < 0.97:
        others = [picture(n, other, **more) for n, (_, other, more) in enumerate(KINDS)]  # type: ignore[arg-type]
        body, what = mutate(rng, body, others, is_text=False)
        history += f": {what}"
    if rng.random() < 0.01:
        body += bytes(MAX_BODY_BYTES)
    content_type = rng.choice(_OTHER_TYPES if rng.random() < 0.05 else _TYPES)
    length = rng.choice(_LENGTHS) if rng.random() < 0.05 else str(len(body))
    headers = {"content-type": content_type, "accept": rng.choice(_ACCEPTED), "content-length": length}
    left_out = rng.choice(("content-length", "accept", "content-type")) if rng.random() < 0.1 else ""
    sent = {name: value for name, value in headers.items() if name != left_out}
    return Case(
        number,
        tuple((name.encode(), value.encode("latin-1")) for name, value in sent.items()),
        _chunks(rng, body),
        _statuses(sent, body),
        f"{history}; content type {content_type[:40]!r}, length {length[:40]!r}, without {left_out or 'nothing'}",
    )


def _chunks(rng: random.Random, body: bytes) -> tuple[bytes, ...]:
    places = sorted(rng.randrange(len(body) + 1) for _ in range(rng.choice((0, 0, 1, 5))))
    return tuple(body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True))


def _statuses(headers: dict[str, str], body: bytes) -> frozenset[int]:
    length = headers.get("content-length", str(len(body)))
    if not length.isascii() or not length.isdecimal() or int(length[:20]) >= 1 << 64:
        return frozenset({400})  # this is no HTTP
    if headers.get("content-type", "") not in _TYPES:
        return frozenset({415})
    announced = int(length)
    if announced > MAX_BODY_BYTES:
        return frozenset({413})
    if announced > len(body):
        return frozenset({0})  # the rest never comes
    return frozenset({200, 400, 413}) if announced else frozenset({400})
