"""HTTP/1.1 as uvicorn speaks it, with a limit to how long a client may take, and refusals as JSON.

uvicorn limits only the pause between two requests: a connection that never finishes its request's head would stay for
ever, as would one that goes on sending a body which was refused. (What a body that is wanted may take is server.py's.)
"""

import asyncio
import json
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 20.0


class DeadlineProtocol(H11Protocol):  # type: ignore[misc]  # untyped where it is checked
    """Closes connections on which no request is under way and none gets complete within SECONDS."""

    seconds = SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._see_to_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._see_to_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # what still comes of a refused body is thrown away for a while; or a next request's beginning is there already
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._see_to_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, unless its answer has been given already."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": msg}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            status = HTTPStatus.BAD_REQUEST
            for event in (
                h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _see_to_deadline(self) -> None:
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way or self.transport.is_closing():
            self._end_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._close)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self.transport.abort()  # what the client still sends has no reader
