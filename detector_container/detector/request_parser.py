"""Requests out of the bytes of a connection: HTTP/1.1 as llhttp reads it, within a limit to all but the bodies.

llhttp keeps a header until it has ended, however long it is, and skips what chunks and trailers add to a body, however
much. Whoever offers another protocol (`Upgrade: h2c`, as curl and Java's client do) is answered in this one: RFC 9110,
7.8.
"""

import functools
import urllib.parse
from collections import deque

import httptools

from detector.messages import Request

# Bytes of a request besides its body, after the packet it begins in, and one more for so many of the body: a long one
# may come in many chunks.
MOST_BESIDES = 1 << 16
_BODY_FOR_ONE_MORE = 8


class MalformedError(Exception):
    """What came is no HTTP, or too much of it; says so in a sentence. Nothing behind it can be read."""


class End:
    """A request has come to its end."""


Event = Request | bytes | End | MalformedError


class RequestParser:
    """Turns what it is fed with into events: for each request its head, its body's bytes, and an end."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self._llhttp = self._new_llhttp()
        self._has_begun = False  # a request, and it has not ended
        self._has_head = False  # it
        self._is_offered_another = False  # protocol, by the head that has just ended
        self._is_broken = False
        self._began_here = False  # in what is being read now
        self._besides = 0
        self._length = 0  # of its body
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    @property
    def has_begun(self) -> bool:
        """Whether a request has begun and not ended."""
        return self._has_begun

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self._is_broken:
            return
        self._began_here = False
        self._besides += len(data) if self._has_begun else 0
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._break("Invalid HTTP request received.")
        if self._has_begun and self._besides > MOST_BESIDES + self._length // _BODY_FOR_ONE_MORE:
            self._break(
                "The request has too much besides its body." if self._has_head else "The request's head is too large."
            )

    def _break(self, sentence: str) -> None:
        if not self._is_broken:
            self._is_broken = True
            self.events.append(MalformedError(sentence))

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)  # copies nothing, however many requests come at once
        while rest:
            try:
                self._llhttp.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
                self._decline()

    def _decline(self) -> None:
        """Take the head that has just ended as if it offered no other protocol.

        llhttp ends a request with a head that does, and cannot be told otherwise; another parser gets the head anew.
        """
        method, version = self._llhttp.get_method(), self._llhttp.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (method, self._url, version)]
        head += [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        self._llhttp = self._new_llhttp()
        self._llhttp.feed_data(b"\r\n".join((*head, b"", b"")))

    def _new_llhttp(self) -> httptools.HttpRequestParser:
        llhttp = httptools.HttpRequestParser(self)
        llhttp.set_dangerous_leniencies(lenient_data_after_close=True)  # nobody looks at it: the connection is closed
        return llhttp

    # What llhttp calls

    def on_message_begin(self) -> None:
        self._has_begun = self._began_here = True
        self._has_head = False
        self._besides = self._length = 0
        self._url, self._headers = b"", []

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_offered_another = self._llhttp.should_upgrade()
        if not self._is_offered_another:
            self._has_head = True
            self.events.append(self._request())
        elif self._llhttp.get_method() == b"CONNECT":  # which is no offer: what follows would be another protocol
            raise ValueError("this is no proxy")

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        self._besides -= 0 if self._began_here else len(body)
        self.events.append(body)

    def on_message_complete(self) -> None:
        if not self._is_offered_another:  # else the request goes on, see _decline
            self._has_begun = False
            self.events.append(End())

    def _request(self) -> Request:
        headers: dict[str, str] = {}
        for name, value in self._headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Request(
            method=self._llhttp.get_method().decode("ascii"),
            path=_path(self._url),
            headers=headers,
            version=self._llhttp.get_http_version(),
            keep_alive=self._llhttp.should_keep_alive(),
        )


@functools.lru_cache(maxsize=8)  # clients ask for few
def _path(url: bytes) -> str:
    return urllib.parse.unquote((httptools.parse_url(url).path or b"/").decode("ascii"))
