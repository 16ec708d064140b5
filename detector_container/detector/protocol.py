"""HTTP/1.1 as uvicorn speaks it, with limits to a request's time and size, and refusals as JSON.

uvicorn limits only the pause between two requests: a connection that never finishes its request's head would stay for
ever, as would one that goes on sending a body which was refused. (What a body that is wanted may take is server.py's.)
The parser, llhttp, keeps a header until it has ended, however long it is.

Whoever offers another protocol (`Upgrade: h2c`, as curl and Java's client do) is answered in this one: RFC 9110, 7.8.
"""

import asyncio
import json

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS = 20.0
# Bytes of a request besides its body, after the packet it begins in: head, chunks' lengths, trailers.
MOST_BESIDES = 1 << 16


class DeadlineProtocol(HttpToolsProtocol):  # type: ignore[misc]  # untyped where it is checked
    """Closes connections on which no request is under way and none gets complete within SECONDS."""

    seconds = SECONDS
    parser: httptools.HttpRequestParser
    _deadline: asyncio.TimerHandle | None = None
    _has_begun = False  # a request, and it has not ended
    _has_head = False  # it, and `cycle` is its
    _is_offered_another = False  # protocol, by the head that has just ended
    _besides = 0
    _refusal = ""  # of what came after a request that is under way
    _has_ended = False  # the client's side of the connection

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._see_to_deadline()

    def data_received(self, data: bytes) -> None:
        self._besides += len(data) if self._has_begun else 0
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._besides > MOST_BESIDES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")
        self._see_to_deadline()

    def eof_received(self) -> bool:
        """Answer what is complete, though the client has ended its side, and close then; True: not yet."""
        if self._has_ended or not self._is_under_way():
            return self._has_ended
        if self._has_head:  # the last request's body will not come
            if not self.pipeline:
                return False
            self.pipeline.popleft()
        self._has_ended = True
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun, self._has_head, self._besides = True, False, 0

    def on_headers_complete(self) -> None:
        self._is_offered_another = self.parser.should_upgrade()
        if not self._is_offered_another:
            super().on_headers_complete()
            self._has_head = True
        elif self.parser.get_method() == b"CONNECT":  # which is no offer: what follows would be another protocol
            raise ValueError("this is no proxy")

    def on_body(self, body: bytes) -> None:
        self._besides -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_offered_another:
            return  # the request goes on, see _decline
        super().on_message_complete()
        self._has_begun = self._has_head = False

    def on_response_complete(self) -> None:
        is_last = self._has_ended and not self.pipeline
        super().on_response_complete()
        if self._refusal and not self._is_under_way() and not self.transport.is_closing():
            self.send_400_response(self._refusal)
        elif is_last:
            self.transport.close()
        elif self._has_begun:  # the next request; or what still comes of a refused body is thrown away for a while
            self._see_to_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in its turn, unless its answer has been given or begun already."""
        if self._is_under_way() and not self._has_head:
            self._refusal = msg
            self.flow.pause_reading()
            return
        if not (self._has_head and self.cycle.response_started):
            body = json.dumps({"error": msg})
            lines = (
                "HTTP/1.1 400 Bad Request",
                "content-type: application/json",
                f"content-length: {len(body)}",
                "connection: close",
            )
            self.transport.write("\r\n".join((*lines, "", body)).encode())
        self.transport.close()

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)  # copies nothing, however many requests come at once
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
                self._decline()

    def _decline(self) -> None:
        """Take the head that has just ended as if it offered no other protocol.

        llhttp ends a request with a head that does, and cannot be told otherwise; another parser gets the head anew.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (method, self.url, version)]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.parser.feed_data(b"\r\n".join((*head, b"", b"")))

    def _is_under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _see_to_deadline(self) -> None:
        if self._is_under_way() or self.transport.is_closing():
            self._end_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._close)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self.transport.abort()  # what the client still sends has no reader
